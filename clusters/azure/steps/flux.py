"""Flux in the cluster: whose it is, its key to Git, its operator, its settings and itself."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from clusters.azure.runner import ROOT, Command, flux, kubectl
from clusters.azure.steps.github import (
    KNOWN_HOSTS,
    claim,
    exchange_key,
    ownership,
    remove_keys,
    titled_keys,
)
from clusters.azure.steps.kubernetes import (
    APPLY,
    INSTANCE,
    KUSTOMIZATION,
    OPERATOR,
    OPERATOR_VERSION,
    an_object,
    applied,
    get,
    is_ready,
)
from clusters.azure.steps.model import ABSENT, MARK, Found, Step, at

if TYPE_CHECKING:
    from clusters.azure.runner import Desk


_KEY_TITLE = "$NAME: image automation"

# --- whose Flux it is ---

_MARK = f"configmap {MARK}"


def _look_at_mark(desk: Desk) -> Found:
    """One ConfigMap says whose Flux this is; it is made before everything and removed after it."""
    mark = get(desk, _MARK, namespace="kube-system")
    namespace = get(desk, "namespace flux-system", namespace="")
    ours = at(mark, "data.name") == desk.values["NAME"]
    # Without our mark, either is somebody else's.
    there = namespace is not None if ours else (mark or namespace) is not None
    return Found(there=there, ours=ours)


def _make_namespace(desk: Desk) -> None:
    mark = an_object("ConfigMap", MARK, data={"name": desk.values["NAME"]})
    mark["metadata"]["namespace"] = "kube-system"
    applied(desk, mark, f"the ConfigMap {MARK}, which says whose Flux this is")
    applied(desk, an_object("Namespace", "flux-system"), "the namespace flux-system")


def _remove_flux(desk: Desk) -> None:
    """Bot first, by pruning; then Flux, by its operator; then the operator, its mark last."""
    gone = "--ignore-not-found --wait --timeout 5m"
    # A kind that was never defined is an error, even with --ignore-not-found.
    if desk.dry or at(get(desk, KUSTOMIZATION), "items"):
        desk.run(kubectl(f"delete {KUSTOMIZATION} --all -n flux-system --wait --timeout 5m"))
    if desk.dry or get(desk, f"{INSTANCE} flux"):
        desk.run(kubectl(f"delete {INSTANCE} flux -n flux-system {gone}"))
    desk.run(kubectl(f"delete namespace discord-sky {gone}"))
    desk.run(kubectl(f"delete -f {OPERATOR} {gone}"))
    desk.run(kubectl(f"delete {_MARK} -n kube-system {gone}"))


NAMESPACE = Step(
    name="namespace",
    about="the namespace flux-system, marked as this set-up's",
    look=_look_at_mark,
    make=_make_namespace,
    undo=_remove_flux,
    place="cluster",
    flag="--cluster: this one has a Flux that is not this set-up's",
)

# --- Git's key ---


def _look_at_key(desk: Desk) -> Found:
    title = desk.filled(_KEY_TITLE)
    keys = titled_keys(desk, title)
    seen = get(desk, "secret flux-system")
    held = base64.b64decode((at(seen, "data") and seen["data"].get("identity.pub", "")) or "")
    same = [key for key in keys if key["key"].split()[:2] == held.decode().split()[:2]]
    return Found(there=bool(same) and not same[0]["read_only"], ours=bool(keys))


def _make_key(desk: Desk) -> None:
    claim(desk)
    pair = exchange_key(desk, desk.filled(_KEY_TITLE))
    data = {
        "identity": pair.private,
        "identity.pub": pair.public + "\n",
        "known_hosts": KNOWN_HOSTS + "\n",
    }
    secret = an_object("Secret", "flux-system", stringData=data)
    applied(
        desk, secret, "the Secret flux-system with that key's private half, which is nowhere else"
    )


def _own_key(desk: Desk) -> Found:
    keys = titled_keys(desk, desk.filled(_KEY_TITLE))
    return Found(ours=bool(keys) and ownership(desk).mine)


def _remove_key(desk: Desk) -> None:
    remove_keys(desk, desk.filled(_KEY_TITLE))


KEY = Step(
    name="deploy key",
    about="a deploy key with write access, for Flux and its image automation",
    look=_look_at_key,
    make=_make_key,
    undo=_remove_key,
    own=_own_key,
    place="github",  # the Secret goes with its namespace
)


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
