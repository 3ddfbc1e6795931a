"""What a resource that is already there has to be like; each problem with the line that mends it.

They are checked and never changed: existing clusters and registries serve others too.
"""

from __future__ import annotations

import re
from typing import Any

from clusters.azure.step import at

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
    update = f"az aks update --name {seen['name']} --resource-group {seen['resourceGroup']}"
    vault = at(seen, "addonProfiles.azureKeyvaultSecretsProvider") or {}
    rotation = (vault.get("config") or {}).get("enableSecretRotation")
    wanted = (
        (at(seen, "powerState.code") == "Running", "is stopped", update.replace("update", "start")),
        (
            at(seen, "provisioningState") == "Succeeded",
            f"is in the state {at(seen, 'provisioningState')}",
            update + "  (or delete it, if this set-up made it, and run this again)",
        ),
        (
            at(seen, "oidcIssuerProfile.enabled"),
            "has no OIDC issuer",
            f"{update} --enable-oidc-issuer",
        ),
        (
            at(seen, "securityProfile.workloadIdentity.enabled"),
            "has no workload identity",
            f"{update} --enable-workload-identity",
        ),
        (
            vault.get("enabled"),
            "has no Key Vault provider",
            update.replace("aks update", "aks enable-addons")
            + " --addons azure-keyvault-secrets-provider --enable-secret-rotation",
        ),
        (
            not vault.get("enabled") or str(rotation).lower() == "true",
            "does not renew mounted secrets",
            f"{update} --enable-secret-rotation --rotation-poll-interval 2m",
        ),
        (
            at(seen, "networkProfile.networkPolicy") in {"cilium", "azure", "calico"},
            "enforces no NetworkPolicy",
            f"{update} --network-dataplane cilium",
        ),
        (
            _version(seen) >= _OLDEST,
            f"runs Kubernetes {at(seen, 'currentKubernetesVersion')}, older than 1.31",
            update.replace("update", "upgrade") + " --kubernetes-version 1.34",
        ),
    )
    return tuple(
        f"The cluster {seen['name']} {what}: {line}" for good, what, line in wanted if not good
    )


def _version(seen: Any) -> tuple[int, ...]:
    text = str(at(seen, "currentKubernetesVersion") or at(seen, "kubernetesVersion") or "")
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])
