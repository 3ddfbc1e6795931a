"""How the steps write Kubernetes objects, and read others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from clusters.azure.runner import kubectl
from clusters.azure.steps.model import get_path

if TYPE_CHECKING:
    from clusters.azure.runner import Runner


# The release whose CustomResourceDefinitions the manifests are checked against (tests/tools/crds).
OPERATOR_VERSION = "v0.59.0"
OPERATOR = (
    "https://github.com/controlplaneio-fluxcd/flux-operator/releases/download/"
    f"{OPERATOR_VERSION}/install.yaml"
)
# In full: other programs in a shared cluster may have kinds with the same short name.
KUSTOMIZATION = "kustomizations.kustomize.toolkit.fluxcd.io"
INSTANCE = "fluxinstances.fluxcd.controlplane.io"
IMAGE_REPOSITORY = "imagerepositories.image.toolkit.fluxcd.io"
APPLY = kubectl("apply --server-side -f -")


def get_object(runner: Runner, what: str, namespace: str = "flux-system") -> Any:
    """Read one object; None if it does not exist."""
    where = f"-n {namespace} " if namespace else ""
    return runner.query(kubectl(f"get {what} {where}--ignore-not-found --output json"))


def apply_object(runner: Runner, manifest: Any, described: str) -> None:
    """Apply one object from standard input: it may contain a key."""
    runner.run(APPLY.with_stdin(json.dumps(manifest), described))


def manifest(kind: str, name: str, **more: Any) -> Any:
    """Return an object in the namespace flux-system, or a namespace."""
    namespace = {} if kind == "Namespace" else {"namespace": "flux-system"}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **namespace}, **more}


def is_ready(seen: Any) -> bool:
    """Return whether an object's Ready condition is True for its current generation."""
    generation = get_path(seen, "metadata.generation")
    return any(
        condition["type"] == "Ready"
        and condition["status"] == "True"
        and condition.get("observedGeneration", generation) == generation
        for condition in get_path(seen, "status.conditions") or ()
    )
