"""What the loop's controllers may do: Kubernetes roles for the users of pki.py."""

from typing import Any

import yaml

from tests.loop.supervisor import state
from tests.tools import share
from tests.tools.families import FLUX

READ = ("get", "list", "watch")
WRITE = (*READ, "create", "update", "patch", "delete")


def flux() -> list[dict[str, Any]]:
    """Return the rights of Flux's controllers, upstream's own."""
    manifest = (share("flux-releases") / "flux" / FLUX / "rbac.yaml").read_text()
    role = next(
        one
        for one in yaml.safe_load_all(manifest)
        if one["kind"] == "ClusterRole" and one["metadata"]["name"] == "crd-controller"
    )
    users = dict.fromkeys(state.FLUX_HEALTH, role["metadata"]["name"])
    users["kustomize-controller"] = "cluster-admin"
    return [role, *(binding(f"flux:{name}", right) for name, right in users.items())]


def dns() -> list[dict[str, Any]]:
    """Return the rights of CoreDNS: upstream's."""
    rules = [
        rule("", "endpoints services pods namespaces", "list", "watch"),
        rule("discovery.k8s.io", "endpointslices", "list", "watch"),
    ]
    return [role("system:coredns", rules), binding("system:coredns", "system:coredns")]


def csi_driver() -> list[dict[str, Any]]:
    """Return the rights of the Secrets Store CSI driver: upstream's, none on Secrets."""
    store = "secrets-store.csi.x-k8s.io"
    rules = [
        rule("", "pods", *READ),
        rule("", "events", "create", "patch"),
        rule(store, "secretproviderclasses", *READ),
        rule(store, "secretproviderclasspodstatuses", *WRITE),
        rule(store, "secretproviderclasspodstatuses/status", "get", "update", "patch"),
        rule("storage.k8s.io", "csidrivers", *READ),
    ]
    name = "csi:secrets-store-driver"
    return [role(name, rules), binding(name, name)]


def public_issuer() -> dict[str, Any]:
    """Let everyone read the keys of ServiceAccount tokens, as a public OIDC issuer does."""
    public = binding("loop:public-issuer", "system:service-account-issuer-discovery")
    subject = {"apiGroup": _GROUP, "kind": "Group", "name": "system:unauthenticated"}
    return {**public, "subjects": [subject]}


_GROUP = "rbac.authorization.k8s.io"


def rule(group: str, resources: str, *verbs: str) -> dict[str, Any]:
    """Return one rule; RESOURCES are names with spaces between."""
    return {"apiGroups": [group], "resources": resources.split(), "verbs": list(verbs)}


def role(name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a ClusterRole."""
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def binding(user: str, role: str) -> dict[str, Any]:
    """Return a ClusterRoleBinding, named after the user who gets the role."""
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": user},
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": _GROUP, "kind": "User", "name": user}],
    }
