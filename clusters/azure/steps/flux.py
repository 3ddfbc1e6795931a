"""Flux in the cluster: its owner, its deploy key, its operator, its settings and itself."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from clusters.azure.runner import ROOT, Command, flux, kubectl
from clusters.azure.steps.github import (
    KNOWN_HOSTS,
    claim,
    delete_keys,
    find_keys,
    ownership,
    replace_key,
)
from clusters.azure.steps.kubernetes import (
    APPLY,
    INSTANCE,
    KUSTOMIZATION,
    OPERATOR,
    OPERATOR_VERSION,
    apply_object,
    get_object,
    is_ready,
    manifest,
)
from clusters.azure.steps.model import ABSENT, OWNER_TAG, Step, StepState, get_path

if TYPE_CHECKING:
    from clusters.azure.runner import Runner


_KEY_TITLE = "$NAME: image automation"

# --- whose Flux it is ---

_MARK = f"configmap {OWNER_TAG}"


def _check_owner(runner: Runner) -> StepState:
    """A ConfigMap names the owner of this Flux; it is created first and removed last."""
    mark = get_object(runner, _MARK, namespace="kube-system")
    namespace = get_object(runner, "namespace flux-system", namespace="")
    ours = get_path(mark, "data.name") == runner.values["NAME"]
    # Without our ConfigMap, either is somebody else's.
    there = namespace is not None if ours else (mark or namespace) is not None
    return StepState(exists=there, owned=ours)


def _create_namespace(runner: Runner) -> None:
    mark = manifest("ConfigMap", OWNER_TAG, data={"name": runner.values["NAME"]})
    mark["metadata"]["namespace"] = "kube-system"
    apply_object(runner, mark, f"the ConfigMap {OWNER_TAG}, which names the owner of this Flux")
    apply_object(runner, manifest("Namespace", "flux-system"), "the namespace flux-system")


def _remove_flux(runner: Runner) -> None:
    """Remove the bot by pruning, Flux by its operator, the operator, and the ConfigMap last."""
    gone = "--ignore-not-found --wait --timeout 5m"
    # A kind that is not defined is an error, even with --ignore-not-found.
    if runner.dry_run or get_path(get_object(runner, KUSTOMIZATION), "items"):
        runner.run(kubectl(f"delete {KUSTOMIZATION} --all -n flux-system --wait --timeout 5m"))
    if runner.dry_run or get_object(runner, f"{INSTANCE} flux"):
        runner.run(kubectl(f"delete {INSTANCE} flux -n flux-system {gone}"))
    runner.run(kubectl(f"delete namespace discord-sky {gone}"))
    runner.run(kubectl(f"delete -f {OPERATOR} {gone}"))
    runner.run(kubectl(f"delete {_MARK} -n kube-system {gone}"))


NAMESPACE = Step(
    name="namespace",
    description="the namespace flux-system, marked as this set-up's",
    check=_check_owner,
    create=_create_namespace,
    delete=_remove_flux,
    place="cluster",
    flag="--cluster: this one has a Flux that is not this set-up's",
)

# --- Git's key ---


def _check_key(runner: Runner) -> StepState:
    title = runner.fill(_KEY_TITLE)
    keys = find_keys(runner, title)
    seen = get_object(runner, "secret flux-system")
    held = base64.b64decode((get_path(seen, "data") and seen["data"].get("identity.pub", "")) or "")
    same = [key for key in keys if key["key"].split()[:2] == held.decode().split()[:2]]
    return StepState(exists=bool(same) and not same[0]["read_only"], owned=bool(keys))


def _create_key(runner: Runner) -> None:
    claim(runner)
    pair = replace_key(runner, runner.fill(_KEY_TITLE))
    data = {
        "identity": pair.private,
        "identity.pub": pair.public + "\n",
        "known_hosts": KNOWN_HOSTS + "\n",
    }
    secret = manifest("Secret", "flux-system", stringData=data)
    apply_object(
        runner,
        secret,
        "the Secret flux-system with the private half of that key, kept nowhere else",
    )


def _check_owned_key(runner: Runner) -> StepState:
    keys = find_keys(runner, runner.fill(_KEY_TITLE))
    return StepState(owned=bool(keys) and ownership(runner).mine)


def _remove_key(runner: Runner) -> None:
    delete_keys(runner, runner.fill(_KEY_TITLE))


KEY = Step(
    name="deploy key",
    description="a deploy key with write access, for Flux and its image automation",
    check=_check_key,
    create=_create_key,
    delete=_remove_key,
    check_owned=_check_owned_key,
    place="github",  # the Secret goes with its namespace
)


_INSTANCE_FILE = "clusters/production/flux-instance.yaml"
# What Flux substitutes in the manifests (clusters/README.md).
SETTINGS = (
    "ACR_LOGIN_SERVER",
    "AZURE_TENANT_ID",
    "BOT_CLIENT_ID",
    "IMAGE_REFLECTOR_CLIENT_ID",
    "KEYVAULT_NAME",
)


def _check_operator(runner: Runner) -> StepState:
    seen = get_object(runner, "deployment flux-operator")
    if seen is None:
        return ABSENT
    image = seen["spec"]["template"]["spec"]["containers"][0]["image"]
    ready = get_path(seen, "status.availableReplicas") or 0
    return StepState(exists=image.split("@")[0].endswith(f":{OPERATOR_VERSION}") and ready > 0)


FLUX_OPERATOR = Step(
    name="operator",
    description=f"the Flux Operator {OPERATOR_VERSION}",
    check=_check_operator,
    create=(
        kubectl(f"apply --server-side -f {OPERATOR}"),
        kubectl("rollout status deployment/flux-operator -n flux-system --timeout 5m"),
    ),
    place="cluster",
    duration="1 min",
)


def _check_settings(runner: Runner) -> StepState:
    seen = get_object(runner, "configmap cluster-settings")
    return StepState(exists=seen is not None and seen["data"] == _settings(runner))


def _settings(runner: Runner) -> dict[str, str]:
    return {name: runner.fill(f"${name}") for name in SETTINGS}


def _create_settings(runner: Runner) -> None:
    settings = manifest("ConfigMap", "cluster-settings", data=_settings(runner))
    apply_object(runner, settings, f"the ConfigMap cluster-settings with {', '.join(SETTINGS)}")


CLUSTER_SETTINGS = Step(
    name="settings",
    description="the ids that are not in Git",
    check=_check_settings,
    create=_create_settings,
    place="cluster",
)


def _instance(runner: Runner) -> str:
    """Return clusters/production/flux-instance.yaml with the repository's address."""
    names = ("GIT_URL", "AZURE_TENANT_ID", "IMAGE_REFLECTOR_CLIENT_ID")
    values = {name: runner.fill(f"${name}") for name in names}
    text = (ROOT / _INSTANCE_FILE).read_text()
    return runner.read(Command(flux("envsubst --strict").words, text, _INSTANCE_FILE, values)) or ""


def _check_instance(runner: Runner) -> StepState:
    seen = get_object(runner, f"{INSTANCE} flux")
    if seen is None or not is_ready(seen):
        return ABSENT
    diff = kubectl("diff --server-side -f -").with_stdin(_instance(runner), "that FluxInstance")
    done = runner.attempt(diff)
    return StepState(exists=done is not None and done.code == 0)


def _create_instance(runner: Runner) -> None:
    runner.run(APPLY.with_stdin(_instance(runner), "that FluxInstance"))
    runner.run(
        kubectl("wait fluxinstance/flux -n flux-system --for condition=Ready --timeout 10m"),
    )


FLUX = Step(
    name="flux",
    description="Flux itself, following this repository's main",
    check=_check_instance,
    create=_create_instance,
    place="cluster",
    duration="2 min",
)
