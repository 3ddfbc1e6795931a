"""The registry and the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.azure.az_resources import NAMES, NEW, deleted, made, shown
from tests.azure.world import Asked, Refused, State, Verb, guid

REGISTRY = "Microsoft.ContainerRegistry/registries"


def _create_registry(state: State, asked: Asked) -> Any:
    modes = {"rbac": "LegacyRegistryPermissions", "rbac-abac": "AbacRepositoryPermissions"}
    more = {
        "loginServer": f"{asked.one('--name')}.azurecr.io",
        "sku": {"name": asked.one("--sku")},
        "adminUserEnabled": asked.one("--admin-enabled") == "true",
        "roleAssignmentMode": modes[asked.one("--role-assignment-mode")],
    }
    state["azure"]["images"][asked.one("--name")] = []
    return made(state, asked, REGISTRY, more)


def _tags_of(state: State, asked: Asked) -> Any:
    images = state["azure"]["images"].get(asked.one("--name"))
    if not images:
        raise Refused(1, "repository discordskybot is not found. Correlation ID: none.")
    return images


def _delete_images(state: State, asked: Asked) -> Any:
    _tags_of(state, asked)
    state["azure"]["images"][asked.one("--name")] = []


CLUSTER = "Microsoft.ContainerService/managedClusters"


def _begin_cluster(state: State, asked: Asked) -> Any:
    enabled = {name: f"--enable-{name}" in asked.options for name in _FEATURES}
    name = asked.one("--name")
    found = made(
        state,
        asked,
        CLUSTER,
        {
            "powerState": {"code": "Running"},
            "currentKubernetesVersion": "1.35.2",
            "oidcIssuerProfile": {
                "enabled": enabled["oidc-issuer"],
                "issuerUrl": f"https://example.org/oidc/{guid(name)}/",
            },
            "securityProfile": {"workloadIdentity": {"enabled": enabled["workload-identity"]}},
            "addonProfiles": {
                addon: {
                    "enabled": True,
                    "config": {"enableSecretRotation": str(enabled["secret-rotation"]).lower()},
                }
                for addon in ["azureKeyvaultSecretsProvider"]
                if "azure-keyvault-secrets-provider" in asked.options.get("--enable-addons", [])
            },
            "networkProfile": {"networkPolicy": asked.options.get("--network-dataplane", [""])[0]},
            "identityProfile": {"kubeletidentity": {"objectId": guid(f"kubelet {name}")}},
        },
    )
    state["clusters"][found["id"]] = {"objects": {"namespace//kube-system": {}}, "scanned": False}
    found["provisioningState"] = "Creating"


def _finish_cluster(state: State, asked: Asked) -> Any:
    found = shown(CLUSTER)(state, asked)
    found["provisioningState"] = "Succeeded"
    return found


_FEATURES = ("oidc-issuer", "workload-identity", "secret-rotation")


def _credentials(state: State, asked: Asked) -> Any:
    found = shown(CLUSTER)(state, asked)
    Path(asked.one("--file")).write_text(found["id"])
    return "Merged."


VERBS: dict[str, Verb] = {
    "acr show": Verb(shown(REGISTRY), NAMES),
    "acr create": Verb(
        _create_registry,
        (*NEW, "--sku", "--admin-enabled", "--role-assignment-mode"),
        changes=True,
    ),
    "acr delete": Verb(deleted(REGISTRY), (*NAMES, "--yes"), changes=True),
    "acr repository show-tags": Verb(_tags_of, ("--name", "--repository")),
    "acr repository delete": Verb(
        _delete_images, ("--name", "--repository", "--yes"), changes=True
    ),
    "aks show": Verb(shown(CLUSTER), NAMES),
    "aks create": Verb(
        _finish_cluster,
        (
            *NEW,
            "--tier",
            "--node-count",
            "--node-vm-size",
            "--node-osdisk-size",
            "--os-sku",
            "--network-plugin",
            "--network-plugin-mode",
            "--network-dataplane",
            "--enable-managed-identity",
            "--enable-oidc-issuer",
            "--enable-workload-identity",
            "--enable-addons",
            "--enable-secret-rotation",
            "--rotation-poll-interval",
            "--disable-disk-driver",
            "--disable-file-driver",
            "--disable-snapshot-controller",
            "--no-ssh-key",
        ),
        changes=True,
        half=_begin_cluster,
    ),
    "aks delete": Verb(deleted(CLUSTER), (*NAMES, "--yes"), changes=True),
    "aks wait": Verb(_finish_cluster, (*NAMES, "--created", "--interval", "--timeout")),
    "aks get-credentials": Verb(
        _credentials, (*NAMES, "--file", "--overwrite-existing"), changes=True
    ),
}
