"""Flux in the cluster, and the ids that it cannot read from Git."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusters.azure.command import ROOT, Command, flux, kubectl
from clusters.azure.kube import (
    APPLY,
    INSTANCE,
    OPERATOR,
    OPERATOR_VERSION,
    an_object,
    applied,
    get,
    is_ready,
)
from clusters.azure.step import ABSENT, Found, Step, at

if TYPE_CHECKING:
    from clusters.azure.desk import Desk

_INSTANCE_FILE = "clusters/production/flux-instance.yaml"
# What Flux fills into the manifests (clusters/README.md).
SETTINGS = (
    "ACR_LOGIN_SERVER",
    "AZURE_TENANT_ID",
    "BOT_CLIENT_ID",
    "IMAGE_REFLECTOR_CLIENT_ID",
    "KEYVAULT_NAME",
)


def _look_at_operator(desk: Desk) -> Found:
    seen = get(desk, "deployment flux-operator")
    if seen is None:
        return ABSENT
    image = seen["spec"]["template"]["spec"]["containers"][0]["image"]
    ready = at(seen, "status.availableReplicas") or 0
    return Found(there=image.split("@")[0].endswith(f":{OPERATOR_VERSION}") and ready > 0)


FLUX_OPERATOR = Step(
    name="operator",
    about=f"the Flux Operator {OPERATOR_VERSION}",
    look=_look_at_operator,
    make=(
        kubectl(f"apply --server-side -f {OPERATOR}"),
        kubectl("rollout status deployment/flux-operator -n flux-system --timeout 5m"),
    ),
    place="cluster",
    usually="1 min",
)


def _look_at_settings(desk: Desk) -> Found:
    seen = get(desk, "configmap cluster-settings")
    return Found(there=seen is not None and seen["data"] == _settings(desk))


def _settings(desk: Desk) -> dict[str, str]:
    return {name: desk.filled(f"${name}") for name in SETTINGS}


def _make_settings(desk: Desk) -> None:
    settings = an_object("ConfigMap", "cluster-settings", data=_settings(desk))
    applied(desk, settings, f"the ConfigMap cluster-settings with {', '.join(SETTINGS)}")


CLUSTER_SETTINGS = Step(
    name="settings",
    about="the ids that are not in Git",
    look=_look_at_settings,
    make=_make_settings,
    place="cluster",
)


def _instance(desk: Desk) -> str:
    """clusters/production/flux-instance.yaml with the repository's address filled in."""
    names = ("GIT_URL", "AZURE_TENANT_ID", "IMAGE_REFLECTOR_CLIENT_ID")
    values = {name: desk.filled(f"${name}") for name in names}
    text = (ROOT / _INSTANCE_FILE).read_text()
    return desk.read(Command(flux("envsubst --strict").words, text, _INSTANCE_FILE, values)) or ""


def _look_at_instance(desk: Desk) -> Found:
    seen = get(desk, f"{INSTANCE} flux")
    if seen is None or not is_ready(seen):
        return ABSENT
    diff = kubectl("diff --server-side -f -").reading(_instance(desk), "that FluxInstance")
    done = desk.try_(diff)
    return Found(there=done is not None and done.code == 0)


def _make_instance(desk: Desk) -> None:
    desk.run(APPLY.reading(_instance(desk), "that FluxInstance"))
    desk.run(
        kubectl("wait fluxinstance/flux -n flux-system --for condition=Ready --timeout 10m"),
    )


FLUX = Step(
    name="flux",
    about="Flux itself, following this repository's main",
    look=_look_at_instance,
    make=_make_instance,
    place="cluster",
    usually="2 min",
)
