"""Identities, vault, registry and cluster, each as the command line that makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusters.azure.checks import cluster_problems, registry_problems, vault_problems
from clusters.azure.cluster_state import look_at_cluster
from clusters.azure.command import az
from clusters.azure.errors import Stop
from clusters.azure.roles import federated, role
from clusters.azure.step import MARK, Step, resource

if TYPE_CHECKING:
    from clusters.azure.desk import Desk

_TAG = f"--tags {MARK}=$NAME"
# The first identity also remembers what was chosen, so that another machine can tear down.
_CHOICES = (
    "location=$AZURE_LOCATION cluster=$AKS_NAME cluster-group=$AKS_RESOURCE_GROUP "
    "registry=$ACR_NAME registry-group=$ACR_RESOURCE_GROUP vault=$KEYVAULT_NAME "
    "repository=$GITHUB_REPOSITORY node-size=$NODE_SIZE"
)


def _identity(name: str, about: str, value: str, more_tags: str = "") -> Step:
    names = f"--name $NAME-{name} --resource-group $RESOURCE_GROUP"
    return Step(
        name=f"{name} identity",
        about=about,
        look=resource(
            az(f"identity show {names}"),
            {f"{value}_CLIENT_ID": "clientId", f"{value}_PRINCIPAL_ID": "principalId"},
        ),
        make=(az(f"identity create {names} --location $AZURE_LOCATION {_TAG} {more_tags}"),),
        undo=(az(f"identity delete {names}"),),
        flag="--name",
    )


BOT = _identity("bot", "who the bot is: it may read this vault's secrets", "BOT", _CHOICES)
IMAGE_REFLECTOR = _identity(
    "image-reflector", "who Flux's image scan is: it may pull", "IMAGE_REFLECTOR"
)
CI = _identity("ci", "who the image workflow is: it may push, from main only", "CI")

_VAULT = "--name $KEYVAULT_NAME --resource-group $RESOURCE_GROUP"


def _make_vault(desk: Desk) -> None:
    """Create the vault, or take it back: purge protection keeps a deleted one for 90 days."""
    deleted = desk.ask(az("keyvault list-deleted --resource-type vault")) or []
    for one in deleted:
        if one["name"] != desk.values["KEYVAULT_NAME"]:
            continue
        if (one["properties"].get("tags") or {}).get(MARK) != desk.values["NAME"]:
            raise Stop(
                f"A deleted vault that is not this set-up's holds the name {one['name']} until "
                f"{one['properties'].get('scheduledPurgeDate')}: choose another with --vault."
            )
        desk.say("  It was deleted and is kept by purge protection: taken back, secrets included.")
        desk.run(
            az(f"keyvault recover {_VAULT} --location $LOCATION"),
            LOCATION=one["properties"]["location"],
        )
        return
    desk.run(
        az(
            f"keyvault create {_VAULT} --location $AZURE_LOCATION --enable-rbac-authorization true "
            f"--enable-purge-protection true --retention-days 90 {_TAG}"
        )
    )


def _remove_vault(desk: Desk) -> None:
    desk.run(az(f"keyvault delete {_VAULT}"))
    desk.say(
        "  Purge protection keeps the deleted vault, and so its name, for 90 days. It costs "
        "nothing, and the next set-up takes it back, secrets included."
    )


VAULT = Step(
    name="vault",
    about="the Key Vault: roles by Azure RBAC, purge protection on",
    look=resource(az(f"keyvault show {_VAULT}"), {"KEYVAULT_ID": "id"}, vault_problems),
    make=_make_vault,
    undo=_remove_vault,
    flag="--vault",
    remains="Azure keeps what was deleted for 90 days, and then it is gone",
)

_REGISTRY = "--name $ACR_NAME --resource-group $ACR_RESOURCE_GROUP"
REGISTRY = Step(
    name="registry",
    about="the container registry: Basic, no admin user, roles by Azure RBAC",
    look=resource(
        az(f"acr show {_REGISTRY}"),
        {"ACR_ID": "id", "ACR_LOGIN_SERVER": "loginServer"},
        registry_problems,
    ),
    make=(
        az(
            f"acr create {_REGISTRY} --location $AZURE_LOCATION --sku Basic --admin-enabled false "
            f"--role-assignment-mode rbac {_TAG}"
        ),
    ),
    undo=(az(f"acr delete {_REGISTRY} --yes"),),
)

_CLUSTER = "--name $AKS_NAME --resource-group $AKS_RESOURCE_GROUP"
CLUSTER = Step(
    name="cluster",
    about="the AKS cluster: free tier, one node",
    look=look_at_cluster(cluster_problems),
    make=(
        az(
            f"aks create {_CLUSTER} --location $AZURE_LOCATION --tier free "
            "--node-count 1 --node-vm-size $NODE_SIZE --node-osdisk-size 64 --os-sku AzureLinux "
            # NetworkPolicy is enforced by Cilium.
            "--network-plugin azure --network-plugin-mode overlay --network-dataplane cilium "
            "--enable-managed-identity --enable-oidc-issuer --enable-workload-identity "
            "--enable-addons azure-keyvault-secrets-provider "
            "--enable-secret-rotation --rotation-poll-interval 2m "
            # The bot has no volume: without these drivers it fits on the small node.
            "--disable-disk-driver --disable-file-driver --disable-snapshot-controller "
            f"--no-ssh-key {_TAG}"
        ),
    ),
    undo=(az(f"aks delete {_CLUSTER} --yes"),),
    usually="5 to 10 min",
)

ROLES = (
    role("bot reads secrets", "Key Vault Secrets User", "BOT_PRINCIPAL_ID", "KEYVAULT_ID"),
    role("image-reflector pulls", "AcrPull", "IMAGE_REFLECTOR_PRINCIPAL_ID", "ACR_ID"),
    role("ci pushes", "AcrPush", "CI_PRINCIPAL_ID", "ACR_ID"),
    # The same that `az aks create --attach-acr` does, under a name that teardown knows.
    role("nodes pull", "AcrPull", "KUBELET_PRINCIPAL_ID", "ACR_ID"),
)
# Whoever runs this sets the first secrets, and rotates them later.
OFFICER = role(
    "you set secrets",
    "Key Vault Secrets Officer",
    "CALLER_PRINCIPAL_ID",
    "KEYVAULT_ID",
    kind="$CALLER_KIND",
)
TRUST = (
    federated("bot", "$AKS_OIDC_ISSUER", "system:serviceaccount:discord-sky:discord-sky-bot"),
    federated(
        "image-reflector",
        "$AKS_OIDC_ISSUER",
        "system:serviceaccount:flux-system:image-reflector-controller",
    ),
    federated("ci", "https://token.actions.githubusercontent.com", "$CI_SUBJECT"),
)
