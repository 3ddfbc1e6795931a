"""The fake `az`: which command lines it knows, and what each of them has to say as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.azure.fake.world import (
    SUBSCRIPTION,
    TENANT,
    Asked,
    Refused,
    State,
    Unknown,
    Verb,
    guid,
    read,
)

# What most commands name a thing by, and what most new things are given.
NAMES = ("--name", "--resource-group")
NEW = (*NAMES, "--location", "--tags")


def resource(kind: str, group: str, name: str) -> str:
    """Write the id of a resource."""
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/{kind}/{name}"


def tags(asked: Asked) -> dict[str, str]:
    """Read `--tags a=b c=d`."""
    return dict(tag.split("=", 1) for tag in asked.options.get("--tags", ()))


def missing(what: str) -> Refused:
    """Say it as `az … show` does."""
    return Refused(3, f"(ResourceNotFound) {what} was not found.")


def forget(state: State, one: Any) -> None:
    """A resource goes, and with it the roles on it; a vault is kept among the deleted ones."""
    del state["azure"]["resources"][one["id"]]
    roles = state["azure"]["roles"]
    for name in [name for name, role in roles.items() if role["scope"] == one["id"]]:
        del roles[name]
    state["clusters"].pop(one["id"], None)
    state["azure"]["images"].pop(one["name"], None)
    if one["type"] == "Microsoft.KeyVault/vaults":
        state["azure"]["deleted"][one["name"]] = one


def _list_resources(state: State, asked: Asked) -> Any:
    others = [name for name in _FIELDS if name in asked.options]
    if "--tag" in asked.options and others:
        raise Refused(1, f"ERROR: you cannot use '--tag' with '{others[0]}'")
    every = list(state["azure"]["resources"].values())
    for name in others:
        every = [one for one in every if one[_FIELDS[name]] == asked.one(name)]
    if "--tag" in asked.options:
        tag, value = asked.one("--tag").split("=", 1)
        every = [one for one in every if one["tags"].get(tag) == value]
    return every


_FIELDS = {"--resource-group": "resourceGroup", "--name": "name", "--resource-type": "type"}


def shown(kind: str) -> Callable[[State, Asked], Any]:
    """Make the answer of `show`."""

    def answer(state: State, asked: Asked) -> Any:
        name, group = asked.one("--name"), asked.one("--resource-group")
        found = state["azure"]["resources"].get(resource(kind, group, name))
        if found is None:
            raise missing(f"{kind}/{name}")
        return found

    return answer


def deleted(kind: str) -> Callable[[State, Asked], Any]:
    """Make the answer of `delete`."""

    def answer(state: State, asked: Asked) -> Any:
        forget(state, shown(kind)(state, asked))

    return answer


def made(state: State, asked: Asked, kind: str, more: dict[str, Any]) -> Any:
    """Make a resource of the command line, with what its kind has more."""
    name, group = asked.one("--name"), asked.one("--resource-group")
    if group not in state["azure"]["groups"]:
        raise Refused(1, f"(ResourceGroupNotFound) Resource group '{group}' could not be found.")
    found = {
        "id": resource(kind, group, name),
        "name": name,
        "type": kind,
        "resourceGroup": group,
        "location": asked.one("--location"),
        "tags": tags(asked),
        **more,
    }
    state["azure"]["resources"][found["id"]] = found
    return found


def _show_group(state: State, asked: Asked) -> Any:
    group = state["azure"]["groups"].get(asked.one("--name"))
    if group is None:
        raise missing("ResourceGroupNotFound")
    return group


def _create_group(state: State, asked: Asked) -> Any:
    name = asked.one("--name")
    state["azure"]["groups"][name] = {
        "name": name,
        "location": asked.one("--location"),
        "tags": tags(asked),
    }
    return state["azure"]["groups"][name]


def _delete_group(state: State, asked: Asked) -> Any:
    name = asked.one("--name")
    for one in list(state["azure"]["resources"].values()):
        if one["resourceGroup"] == name:
            forget(state, one)
    del state["azure"]["groups"][name]
    return None


_RESOURCE_VERBS: dict[str, Verb] = {
    "resource list": Verb(
        _list_resources, ("--tag?", "--name?", "--resource-type?", "--resource-group?")
    ),
    "group show": Verb(_show_group, ("--name",)),
    "group create": Verb(_create_group, ("--name", "--location", "--tags"), changes=True),
    "group delete": Verb(_delete_group, ("--name", "--yes"), changes=True),
}


_STATES = "[].{name:namespace, state:registrationState}"
CALLER = guid("caller")


def _version(_state: State, _asked: Asked) -> Any:
    return {"azure-cli": "2.91.0", "azure-cli-core": "2.91.0"}


def _account(state: State, asked: Asked) -> Any:
    if asked.options.get("--subscription", [SUBSCRIPTION]) != [SUBSCRIPTION]:
        raise Refused(1, "Subscription not found. Check the spelling and casing: az login.")
    user = state["azure"].get("user", {"name": "person@example.org", "type": "user"})
    return {"id": SUBSCRIPTION, "tenantId": TENANT, "name": "Example", "user": user}


def _permissions(state: State, asked: Asked) -> Any:
    if "Microsoft.Authorization/permissions" not in asked.one("--url"):
        raise Unknown(asked.argv)
    parts = asked.one("--url").split("/")
    group = parts[parts.index("resourceGroups") + 1] if "resourceGroups" in parts else ""
    granted = state["azure"].get("grants", {}).get(group, state["azure"]["grant"])
    return {"value": [{"actions": granted, "notActions": state["azure"]["deny"]}]}


def _providers(state: State, asked: Asked) -> Any:
    if asked.one("--query") != _STATES:
        raise Unknown(asked.argv)
    registered = state["azure"]["providers"]
    known = {*registered, "Microsoft.KeyVault", "Microsoft.Maps"}
    return [
        {"name": name, "state": "Registered" if name in registered else "NotRegistered"}
        for name in sorted(known)
    ]


def _register(state: State, asked: Asked) -> Any:
    state["azure"]["providers"].append(asked.one("--namespace"))
    return None


def _skus(_state: State, asked: Asked) -> Any:
    size = asked.one("--size")
    cores = "4" if "D4" in size else "2"
    return [
        {
            "name": size,
            "family": "standardDSv5Family",
            "restrictions": [],
            "capabilities": [{"name": "vCPUs", "value": cores}],
        }
    ]


def _usage(state: State, _asked: Asked) -> Any:
    limit = state["azure"].get("cores", 10)
    names = {"value": "standardDSv5Family", "localizedValue": "Standard DSv5 Family vCPUs"}
    return [{"name": names, "currentValue": 0, "limit": limit}]


_ACCOUNT_VERBS: dict[str, Verb] = {
    "version": Verb(_version),
    "account show": Verb(_account, ("--subscription?",)),
    "ad signed-in-user show": Verb(lambda _state, _asked: {"id": CALLER}),
    "ad sp show": Verb(lambda _state, _asked: {"id": CALLER}, ("--id",)),
    "rest": Verb(_permissions, ("--method", "--url")),
    "provider list": Verb(_providers, ("--query",)),
    "provider register": Verb(_register, ("--namespace", "--wait"), changes=True),
    "vm list-skus": Verb(_skus, ("--location", "--size", "--resource-type", "--all")),
    "vm list-usage": Verb(_usage, ("--location",)),
}


IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"


def _create_identity(state: State, asked: Asked) -> Any:
    name = asked.one("--name")
    ids = {"clientId": guid(f"client {name}"), "principalId": guid(f"principal {name}")}
    return made(state, asked, IDENTITY, {**ids, "trust": {}})


def _identity(state: State, asked: Asked) -> Any:
    group, name = asked.one("--resource-group"), asked.one("--identity-name")
    found = state["azure"]["resources"].get(resource(IDENTITY, group, name))
    if found is None:
        raise missing(name)
    return found


def _show_trust(state: State, asked: Asked) -> Any:
    found = _identity(state, asked)["trust"].get(asked.one("--name"))
    if found is None:
        raise missing(asked.one("--name"))
    return found


def _create_trust(state: State, asked: Asked) -> Any:
    trust = {
        "issuer": asked.one("--issuer"),
        "subject": asked.one("--subject"),
        "audiences": asked.options["--audiences"],
    }
    _identity(state, asked)["trust"][asked.one("--name")] = trust
    return trust


VAULT = "Microsoft.KeyVault/vaults"


def _create_vault(state: State, asked: Asked) -> Any:
    name = asked.one("--name")
    taken = [one["name"] for one in state["azure"]["resources"].values() if one["type"] == VAULT]
    if name in state["azure"]["deleted"] or name in taken:
        raise Refused(1, f"(VaultAlreadyExists) The vault name '{name}' is already in use.")
    properties = {
        "enableRbacAuthorization": asked.one("--enable-rbac-authorization") == "true",
        "enablePurgeProtection": asked.one("--enable-purge-protection") == "true",
        "softDeleteRetentionInDays": int(asked.one("--retention-days")),
    }
    state["azure"]["secrets"].setdefault(name, [])
    return made(state, asked, VAULT, {"properties": properties})


def _list_deleted(state: State, _asked: Asked) -> Any:
    return [
        {
            "name": one["name"],
            "properties": {
                "tags": one["tags"],
                "location": one["location"],
                "scheduledPurgeDate": "2027-02-22T00:00:00+00:00",
            },
        }
        for one in state["azure"]["deleted"].values()
    ]


def _recover(state: State, asked: Asked) -> Any:
    found = state["azure"]["deleted"][asked.one("--name")]
    if [found["resourceGroup"], found["location"]] != [
        asked.one("--resource-group"),
        asked.one("--location"),
    ]:
        raise Refused(1, "(VaultNotFound) not deleted from there")
    del state["azure"]["deleted"][found["name"]]
    state["azure"]["resources"][found["id"]] = found


def _list_secrets(state: State, asked: Asked) -> Any:
    name = asked.one("--vault-name")
    (vault,) = [
        one
        for one in state["azure"]["resources"].values()
        if one["type"] == VAULT and one["name"] == name
    ]
    if not has_role(state, CALLER, "Key Vault Secrets Officer", vault["id"]):
        raise Refused(1, "(Forbidden) Caller is not authorized. ForbiddenByRbac")
    if state["azure"]["role_delay"] > 0:
        state["azure"]["role_delay"] -= 1
        raise Refused(1, "(Forbidden) Caller is not authorized. ForbiddenByRbac")
    return [{"name": secret} for secret in state["azure"]["secrets"][name]]


def has_role(state: State, principal: str, title: str, scope: str) -> bool:
    """Tell whether somebody has a role on one thing."""
    return any(
        [role["principalId"], role["roleDefinitionName"], role["scope"]]
        == [principal, title, scope]
        for role in state["azure"]["roles"].values()
    )


def _list_roles(state: State, asked: Asked) -> Any:
    scope = asked.one("--scope")
    return [role for role in state["azure"]["roles"].values() if role["scope"] == scope]


def _give_role(state: State, asked: Asked) -> Any:
    scope, title = asked.one("--scope"), asked.one("--role")
    principal = asked.one("--assignee-object-id")
    if scope not in state["azure"]["resources"]:
        raise Refused(1, "(ResourceNotFound) the scope")
    if has_role(state, principal, title, scope):
        raise Refused(1, "(RoleAssignmentExists) The role assignment already exists.")
    name = asked.one("--name")
    state["azure"]["roles"][name] = {
        "id": f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}",
        "name": name,
        "principalId": principal,
        "principalType": asked.one("--assignee-principal-type"),
        "roleDefinitionName": title,
        "scope": scope,
    }


def _take_role(state: State, asked: Asked) -> Any:
    del state["azure"]["roles"][asked.one("--ids").rsplit("/", 1)[1]]


_TRUST = (*NAMES, "--identity-name")
_ACCESS_VERBS: dict[str, Verb] = {
    "identity show": Verb(shown(IDENTITY), NAMES),
    "identity create": Verb(_create_identity, NEW, changes=True),
    "identity delete": Verb(deleted(IDENTITY), NAMES, changes=True),
    "identity federated-credential show": Verb(_show_trust, _TRUST),
    "identity federated-credential create": Verb(
        _create_trust, (*_TRUST, "--issuer", "--subject", "--audiences"), changes=True
    ),
    "keyvault show": Verb(shown(VAULT), NAMES),
    "keyvault list-deleted": Verb(_list_deleted, ("--resource-type",)),
    "keyvault create": Verb(
        _create_vault,
        (
            *NEW,
            "--enable-rbac-authorization",
            "--enable-purge-protection",
            "--retention-days",
        ),
        changes=True,
    ),
    "keyvault recover": Verb(_recover, (*NAMES, "--location"), changes=True),
    "keyvault delete": Verb(deleted(VAULT), NAMES, changes=True),
    "keyvault secret list": Verb(_list_secrets, ("--vault-name",)),
    "role assignment list": Verb(_list_roles, ("--scope", "--fill-principal-name")),
    "role assignment create": Verb(
        _give_role,
        ("--name", "--role", "--scope", "--assignee-object-id", "--assignee-principal-type"),
        changes=True,
    ),
    "role assignment delete": Verb(_take_role, ("--ids",), changes=True),
}


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


def _get_credentials(state: State, asked: Asked) -> Any:
    found = shown(CLUSTER)(state, asked)
    Path(asked.one("--file")).write_text(found["id"])
    return "Merged."


_CLUSTER_VERBS: dict[str, Verb] = {
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
        _get_credentials, (*NAMES, "--file", "--overwrite-existing"), changes=True
    ),
}


# These are not about a subscription.
_GLOBAL = {"version", "account show", "ad signed-in-user show", "ad sp show", "rest"}


def az(argv: list[str], stdin: str | None, env: Mapping[str, str]) -> tuple[Asked, Verb]:
    """Read a command line of `az`. Each has to name the subscription, and to ask for JSON."""
    asked, verb = read(_VERBS, argv, stdin, env)
    if asked.one("--output") != "json":
        raise Unknown(argv)
    if asked.words not in _GLOBAL and asked.one("--subscription") != SUBSCRIPTION:
        raise Unknown(argv)
    return asked, verb


def _always(words: str, verb: Verb) -> Verb:
    subscription = () if words in _GLOBAL else ("--subscription",)
    return replace(verb, options=(*verb.options, "--output", "--only-show-errors", *subscription))


_VERBS = {
    words: _always(words, verb)
    for part in (_RESOURCE_VERBS, _ACCOUNT_VERBS, _ACCESS_VERBS, _CLUSTER_VERBS)
    for words, verb in part.items()
}
