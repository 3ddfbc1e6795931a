"""What a resource that is already there has to be like; each problem with the line that mends it.

They are checked and never changed: existing clusters and registries serve others too.
"""

from __future__ import annotations

import re
from typing import Any

from clusters.azure.step import at

_PROVIDER = "azure-keyvault-secrets-provider"
_OLDEST = (1, 31)  # of Kubernetes: what the manifests are checked against goes back no further


def registry_problems(seen: Any) -> tuple[str, ...]:
    """AcrPull and AcrPush count in the mode `rbac` only."""
    if at(seen, "roleAssignmentMode") != "AbacRepositoryPermissions":
        return ()
    why = f"The registry {seen['name']} is in ABAC mode, which ignores AcrPull and AcrPush"
    return (f"{why}: az acr update --name {seen['name']} --role-assignment-mode rbac",)


def vault_problems(seen: Any) -> tuple[str, ...]:
    """Roles count only where the vault asks Azure RBAC."""
    if at(seen, "properties.enableRbacAuthorization"):
        return ()
    why = f"The vault {seen['name']} has access policies instead of roles"
    return (f"{why}: az keyvault update --name {seen['name']} --enable-rbac-authorization true",)


def cluster_problems(seen: Any) -> tuple[str, ...]:
    """Workload identity, the Key Vault provider, enforced NetworkPolicy, a known version."""
    names = f"--name {seen['name']} --resource-group {seen['resourceGroup']}"
    vault = at(seen, "addonProfiles.azureKeyvaultSecretsProvider") or {}
    rotation = str((vault.get("config") or {}).get("enableSecretRotation")).lower()
    policy = at(seen, "networkProfile.networkPolicy")
    wanted = (
        (at(seen, "powerState.code") == "Running", "is stopped", f"az aks start {names}"),
        (
            at(seen, "provisioningState") == "Succeeded",
            f"is in the state {at(seen, 'provisioningState')}",
            f"Azure tries again with az aks update {names}",
        ),
        (
            at(seen, "oidcIssuerProfile.enabled"),
            "has no OIDC issuer",
            f"az aks update {names} --enable-oidc-issuer",
        ),
        (
            at(seen, "securityProfile.workloadIdentity.enabled"),
            "has no workload identity",
            f"az aks update {names} --enable-workload-identity",
        ),
        (
            vault.get("enabled"),
            "has no Key Vault provider",
            f"az aks enable-addons {names} --addons {_PROVIDER} --enable-secret-rotation",
        ),
        (
            not vault.get("enabled") or rotation == "true",
            "does not renew mounted secrets",
            f"az aks update {names} --enable-secret-rotation --rotation-poll-interval 2m",
        ),
        (
            policy in {"cilium", "azure", "calico"},
            "enforces no NetworkPolicy",
            f"az aks update {names} --network-dataplane cilium",
        ),
        (
            _version(seen) >= _OLDEST,
            (
                f"runs Kubernetes {at(seen, 'currentKubernetesVersion')}, older than 1.31 (Azure "
                "goes up by one minor version at a time)"
            ),
            f"az aks upgrade {names} --kubernetes-version {_next(seen)}",
        ),
    )
    return tuple(
        f"The cluster {seen['name']} {what}: {line}" for good, what, line in wanted if not good
    )


def _next(seen: Any) -> str:
    major, minor = _version(seen) or _OLDEST
    return f"{major}.{minor + 1}"


def _version(seen: Any) -> tuple[int, ...]:
    text = str(at(seen, "currentKubernetesVersion") or at(seen, "kubernetesVersion") or "")
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])
