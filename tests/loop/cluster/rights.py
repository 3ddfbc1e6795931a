"""What the loop's controllers may do: Kubernetes roles for the users of pki.py."""

from typing import Any

READ = ("get", "list", "watch")
WRITE = (*READ, "create", "update", "patch", "delete")


def flux() -> list[dict[str, Any]]:
    """Return the rights of Flux's controllers; kustomize-controller's are upstream's, all."""
    toolkit = "toolkit.fluxcd.io"
    source = [
        rule(f"source.{toolkit}", "*", *WRITE),
        rule("", "namespaces secrets configmaps serviceaccounts", *READ),
        rule("", "events", "create", "patch"),
    ]
    image = [
        rule(f"image.{toolkit}", "*", *READ, "update", "patch"),
        rule(f"source.{toolkit}", "gitrepositories", *READ),
        rule("", "secrets", "get"),
        rule("", "events", "create", "patch"),
    ]
    return [
        role("flux:source-controller", source),
        role("flux:image-controllers", image),
        binding("flux:source-controller", "flux:source-controller"),
        binding("flux:image-controllers", "flux:image-controllers"),
        binding("flux:kustomize-controller", "cluster-admin"),
    ]


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
