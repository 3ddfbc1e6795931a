"""The Kubernetes objects that the set-up writes, and how it asks for others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from clusters.azure.runner import kubectl
from clusters.azure.steps.model import at

if TYPE_CHECKING:
    from clusters.azure.runner import Desk


# The release whose CustomResourceDefinitions the manifests are checked against (tests/tools/crds).
OPERATOR_VERSION = "v0.59.0"
OPERATOR = (
    "https://github.com/controlplaneio-fluxcd/flux-operator/releases/download/"
    f"{OPERATOR_VERSION}/install.yaml"
)
# In full: other programs in a shared cluster have kinds of the same short name.
KUSTOMIZATION = "kustomizations.kustomize.toolkit.fluxcd.io"
INSTANCE = "fluxinstances.fluxcd.controlplane.io"
IMAGE_REPOSITORY = "imagerepositories.image.toolkit.fluxcd.io"
APPLY = kubectl("apply --server-side -f -")


def get(desk: Desk, what: str, namespace: str = "flux-system") -> Any:
    """Read one object; None if it is not there."""
    where = f"-n {namespace} " if namespace else ""
    return desk.ask(kubectl(f"get {what} {where}--ignore-not-found --output json"))


def applied(desk: Desk, manifest: Any, described: str) -> None:
    """Apply one object, from standard input: it may hold a key."""
    desk.run(APPLY.reading(json.dumps(manifest), described))


def an_object(kind: str, name: str, **more: Any) -> Any:
    """Write one object of the namespace flux-system, or a namespace."""
    namespace = {} if kind == "Namespace" else {"namespace": "flux-system"}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **namespace}, **more}


def is_ready(seen: Any) -> bool:
    """Tell whether an object's Ready condition is True for its present generation."""
    generation = at(seen, "metadata.generation")
    return any(
        condition["type"] == "Ready"
        and condition["status"] == "True"
        and condition.get("observedGeneration", generation) == generation
        for condition in at(seen, "status.conditions") or ()
    )
