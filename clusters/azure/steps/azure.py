"""Azure without the cluster: resource group, identities, vault, registry, roles."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from clusters.azure.runner import Stop, az
from clusters.azure.steps.model import ABSENT, OWNER_TAG, Step, StepState, azure_resource, get_path

if TYPE_CHECKING:
    from clusters.azure.runner import Runner


def registry_problems(seen: Any) -> tuple[str, ...]:
    """Return what keeps the workflow from pushing or the nodes from pulling."""
    name, problems = seen["name"], []
    if get_path(seen, "roleAssignmentMode") == "AbacRepositoryPermissions":
        problems.append(
            f"The registry {name} is in ABAC mode, which ignores AcrPull and AcrPush: "
            f"az acr update --name {name} --role-assignment-mode rbac"
        )
    if seen["loginServer"].partition(".")[0].lower() != name.lower():
        problems.append(
            f"The registry {name} has a domain name label: its login server is "
            f"{seen['loginServer']}. The image workflow cannot log in to such a registry, and the "
            "label cannot be removed from it. Choose another with --registry, or leave the option "
            "out and set-up creates one."
        )
    return tuple(problems)


def vault_problems(seen: Any) -> tuple[str, ...]:
    """Return what keeps Azure RBAC from deciding who may read the secrets."""
    if get_path(seen, "properties.enableRbacAuthorization"):
        return ()
    why = f"The vault {seen['name']} uses access policies instead of roles"
    return (f"{why}: az keyvault update --name {seen['name']} --enable-rbac-authorization true",)


_PROVIDERS = (
    "Microsoft.Compute",
    "Microsoft.ContainerRegistry",
    "Microsoft.ContainerService",
    "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
)


def _check_providers(runner: Runner) -> StepState:
    return StepState(exists=not _unregistered(runner))


def _unregistered(runner: Runner) -> list[str]:
    listed = runner.query(
        az("provider list --query '[].{name:namespace, state:registrationState}'")
    )
    known = {one["name"] for one in listed or () if one["state"] == "Registered"}
    return [name for name in _PROVIDERS if name not in known]


def _register(runner: Runner) -> None:
    for namespace in _unregistered(runner):
        runner.run(az("provider register --namespace $PROVIDER --wait"), PROVIDER=namespace)


PROVIDERS = Step(
    name="providers",
    description="the subscription may use registries, clusters, vaults and identities",
    check=_check_providers,
    create=_register,  # costs nothing and stays: others may need it by now
)


def _remove_group(runner: Runner) -> None:
    inside = runner.query(az("resource list --resource-group $RESOURCE_GROUP"))
    if inside:
        names = ", ".join(sorted(one["name"] for one in inside))
        runner.say(f"  kept: others have put something into the group: {names}")
        return
    runner.run(az("group delete --name $RESOURCE_GROUP --yes"))


GROUP = Step(
    name="group",
    description="the resource group",
    check=azure_resource(az("group show --name $RESOURCE_GROUP")),
    create=(
        az(
            "group create --name $RESOURCE_GROUP --location $AZURE_LOCATION "
            f"--tags {OWNER_TAG}=$NAME"
        ),
    ),
    delete=_remove_group,
)


_AUDIENCE = "api://AzureADTokenExchange"


def role(
    about: str, title: str, principal: str, scope: str, *, kind: str = "ServicePrincipal"
) -> Step:
    """Return the step that assigns PRINCIPAL the role TITLE on SCOPE; both are names of values.

    An assignment has no tags. Its name, a GUID, derives from its content, so a set-up recognises
    its own on any machine.
    """

    def assignment(runner: Runner) -> Any:
        listed = runner.query(
            az(f"role assignment list --scope ${scope} --fill-principal-name false")
        )
        return next(
            (
                one
                for one in listed or ()
                if one["principalId"] == runner.values.get(principal)
                and one["roleDefinitionName"] == title
            ),
            None,
        )

    def look(runner: Runner) -> StepState:
        if not runner.dry_run and not (runner.values.get(principal) and runner.values.get(scope)):
            return ABSENT  # teardown: one of the two is gone, and the assignment with it
        one = assignment(runner)
        return StepState(
            exists=one is not None, owned=one is not None and one["name"] == name(runner)
        )

    def name(runner: Runner) -> str:
        words = f"{runner.values[scope]}|{runner.values[principal]}|{title}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, words))

    def make(runner: Runner) -> None:
        named = {} if runner.dry_run else {"ROLE_ASSIGNMENT_NAME": name(runner)}
        runner.run(
            az(
                f'role assignment create --name $ROLE_ASSIGNMENT_NAME --role "{title}" '
                f"--assignee-object-id ${principal} --assignee-principal-type {kind} "
                f"--scope ${scope}"
            ),
            **named,
        )

    def undo(runner: Runner) -> None:
        one = assignment(runner)
        found = {"ROLE_ASSIGNMENT_ID": one["id"]} if one else {}
        runner.run(az("role assignment delete --ids $ROLE_ASSIGNMENT_ID"), **found)

    return Step(f"role: {about}", f"the role {title}", look, make, undo)


def federated(name: str, issuer: str, subject: str) -> Step:
    """Return the step that makes the identity NAME accept tokens of ISSUER for SUBJECT."""
    names = f"--name setup --identity-name $NAME-{name} --resource-group $RESOURCE_GROUP"

    def look(runner: Runner) -> StepState:
        seen = runner.query(az(f"identity federated-credential show {names}"))
        if seen is None:
            return ABSENT
        wanted = [runner.fill(issuer), runner.fill(subject), [_AUDIENCE]]
        # One that names another cluster or repository is replaced.
        return StepState(exists=[seen["issuer"], seen["subject"], seen["audiences"]] == wanted)

    return Step(
        name=f"trust: {name}",
        description=f"the {name} identity accepts tokens of {subject}",
        check=look,
        create=(
            az(
                f"identity federated-credential create {names} --issuer {issuer} "
                f"--subject {subject} --audiences {_AUDIENCE}"
            ),
        ),
        delete=(),  # it goes with its identity
    )


_TAG = f"--tags {OWNER_TAG}=$NAME"
# The first identity also keeps what was chosen, so that another machine can tear down.
_CHOICES = (
    "location=$AZURE_LOCATION cluster=$AKS_NAME cluster-group=$AKS_RESOURCE_GROUP "
    "registry=$ACR_NAME registry-group=$ACR_RESOURCE_GROUP vault=$KEYVAULT_NAME "
    "repository=$GITHUB_REPOSITORY node-size=$NODE_SIZE"
)


def _identity(name: str, about: str, value: str, more_tags: str = "") -> Step:
    names = f"--name $NAME-{name} --resource-group $RESOURCE_GROUP"
    return Step(
        name=f"{name} identity",
        description=about,
        check=azure_resource(
            az(f"identity show {names}"),
            {f"{value}_CLIENT_ID": "clientId", f"{value}_PRINCIPAL_ID": "principalId"},
        ),
        create=(az(f"identity create {names} --location $AZURE_LOCATION {_TAG} {more_tags}"),),
        delete=(az(f"identity delete {names}"),),
        flag="--name",
    )


BOT = _identity("bot", "the bot's identity, which may read this vault's secrets", "BOT", _CHOICES)
IMAGE_REFLECTOR = _identity(
    "image-reflector", "the identity of Flux's image scan, which may pull", "IMAGE_REFLECTOR"
)
CI = _identity("ci", "the image workflow's identity, which may push, from main only", "CI")

_VAULT_NAMES = "--name $KEYVAULT_NAME --resource-group $RESOURCE_GROUP"


def _create_vault(runner: Runner) -> None:
    """Create the vault, or recover it: purge protection keeps a deleted one for 90 days."""
    deleted = runner.query(az("keyvault list-deleted --resource-type vault")) or []
    for one in deleted:
        if one["name"] != runner.values["KEYVAULT_NAME"]:
            continue
        if (one["properties"].get("tags") or {}).get(OWNER_TAG) != runner.values["NAME"]:
            raise Stop(
                f"A deleted vault that is not this set-up's holds the name {one['name']} until "
                f"{one['properties'].get('scheduledPurgeDate')}: choose another with --vault."
            )
        runner.say(
            "  It was deleted and is kept by purge protection: recovering it, secrets included."
        )
        runner.run(
            az(f"keyvault recover {_VAULT_NAMES} --location $LOCATION"),
            LOCATION=one["properties"]["location"],
        )
        return
    runner.run(
        az(
            f"keyvault create {_VAULT_NAMES} --location $AZURE_LOCATION "
            # Azure's own default closes new vaults. Roles protect this one: its readers are nodes
            # and people whose addresses change.
            "--enable-rbac-authorization true --public-network-access Enabled "
            "--default-action Allow --bypass AzureServices "
            f"--enable-purge-protection true --retention-days 90 {_TAG}"
        )
    )


def _remove_vault(runner: Runner) -> None:
    runner.run(az(f"keyvault delete {_VAULT_NAMES}"))
    runner.say(
        "  Purge protection keeps the deleted vault, and so its name, for 90 days. It costs "
        "nothing, and the next set-up recovers it, secrets included."
    )


VAULT = Step(
    name="vault",
    description="the Key Vault, with Azure RBAC and purge protection",
    check=azure_resource(
        az(f"keyvault show {_VAULT_NAMES}"), {"KEYVAULT_ID": "id"}, vault_problems
    ),
    create=_create_vault,
    delete=_remove_vault,
    flag="--vault",
    left_behind="Azure keeps the deleted vault for 90 days",
)

_REGISTRY_NAMES = "--name $ACR_NAME --resource-group $ACR_RESOURCE_GROUP"
REGISTRY = Step(
    name="registry",
    description="the container registry: Basic, no admin user, with Azure RBAC",
    check=azure_resource(
        az(f"acr show {_REGISTRY_NAMES}"),
        {"ACR_ID": "id", "ACR_LOGIN_SERVER": "loginServer"},
        registry_problems,
    ),
    create=(
        az(
            f"acr create {_REGISTRY_NAMES} --location $AZURE_LOCATION --sku Basic "
            f"--admin-enabled false --role-assignment-mode rbac {_TAG}"
        ),
    ),
    delete=(az(f"acr delete {_REGISTRY_NAMES} --yes"),),
)

ROLES = (
    role("bot reads secrets", "Key Vault Secrets User", "BOT_PRINCIPAL_ID", "KEYVAULT_ID"),
    role("image-reflector pulls", "AcrPull", "IMAGE_REFLECTOR_PRINCIPAL_ID", "ACR_ID"),
    role("ci pushes", "AcrPush", "CI_PRINCIPAL_ID", "ACR_ID"),
    # What `az aks create --attach-acr` does, under a name that teardown knows.
    role("nodes pull", "AcrPull", "KUBELET_PRINCIPAL_ID", "ACR_ID"),
)
# The caller sets the first secrets, and rotates them later.
SECRETS_OFFICER = role(
    "you set secrets",
    "Key Vault Secrets Officer",
    "CALLER_PRINCIPAL_ID",
    "KEYVAULT_ID",
    kind="$CALLER_KIND",
)
FEDERATED_CREDENTIALS = (
    federated("bot", "$AKS_OIDC_ISSUER", "system:serviceaccount:discord-sky:discord-sky-bot"),
    federated(
        "image-reflector",
        "$AKS_OIDC_ISSUER",
        "system:serviceaccount:flux-system:image-reflector-controller",
    ),
    federated("ci", "https://token.actions.githubusercontent.com", "$CI_SUBJECT"),
)
