"""The fake `az`: the command lines it knows, what they change and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from tests.azure.fake.cloud import (
    SUBSCRIPTION,
    TENANT,
    FakeCommand,
    Invocation,
    ProgramError,
    State,
    UnsupportedCommand,
    guid,
    read,
)

# What most commands name a thing by, and what most new things are given.
NAMES = ("--name", "--resource-group")
NEW = (*NAMES, "--location", "--tags")


def resource(kind: str, group: str, name: str) -> str:
    """Write the id of a resource."""
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/{kind}/{name}"


def tags(invocation: Invocation) -> dict[str, str]:
    """Read `--tags a=b c=d`."""
    return dict(tag.split("=", 1) for tag in invocation.options.get("--tags", ()))


def missing(what: str) -> ProgramError:
    """Say it as `az … show` does."""
    return ProgramError(3, f"(ResourceNotFound) {what} was not found.")


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


def _list_resources(state: State, invocation: Invocation) -> Any:
    others = [name for name in _FIELDS if name in invocation.options]
    if "--tag" in invocation.options and others:
        raise ProgramError(1, f"ERROR: you cannot use '--tag' with '{others[0]}'")
    every = list(state["azure"]["resources"].values())
    for name in others:
        every = [one for one in every if one[_FIELDS[name]] == invocation.one(name)]
    if "--tag" in invocation.options:
        tag, value = invocation.one("--tag").split("=", 1)
        every = [one for one in every if one["tags"].get(tag) == value]
    return every


_FIELDS = {"--resource-group": "resourceGroup", "--name": "name", "--resource-type": "type"}


def shown(kind: str) -> Callable[[State, Invocation], Any]:
    """Make the answer of `show`."""

    def answer(state: State, invocation: Invocation) -> Any:
        name, group = invocation.one("--name"), invocation.one("--resource-group")
        found = state["azure"]["resources"].get(resource(kind, group, name))
        if found is None:
            raise missing(f"{kind}/{name}")
        return found

    return answer


def deleted(kind: str) -> Callable[[State, Invocation], Any]:
    """Make the answer of `delete`."""

    def answer(state: State, invocation: Invocation) -> Any:
        forget(state, shown(kind)(state, invocation))

    return answer


def made(state: State, invocation: Invocation, kind: str, more: dict[str, Any]) -> Any:
    """Make a resource of the command line, with what its kind has more."""
    name, group = invocation.one("--name"), invocation.one("--resource-group")
    if group not in state["azure"]["groups"]:
        raise ProgramError(
            1, f"(ResourceGroupNotFound) Resource group '{group}' could not be found."
        )
    found = {
        "id": resource(kind, group, name),
        "name": name,
        "type": kind,
        "resourceGroup": group,
        "location": invocation.one("--location"),
        "tags": tags(invocation),
        **more,
    }
    state["azure"]["resources"][found["id"]] = found
    return found


def _show_group(state: State, invocation: Invocation) -> Any:
    group = state["azure"]["groups"].get(invocation.one("--name"))
    if group is None:
        raise missing("ResourceGroupNotFound")
    return group


def _create_group(state: State, invocation: Invocation) -> Any:
    name = invocation.one("--name")
    state["azure"]["groups"][name] = {
        "name": name,
        "location": invocation.one("--location"),
        "tags": tags(invocation),
    }
    return state["azure"]["groups"][name]


def _delete_group(state: State, invocation: Invocation) -> Any:
    name = invocation.one("--name")
    for one in list(state["azure"]["resources"].values()):
        if one["resourceGroup"] == name:
            forget(state, one)
    del state["azure"]["groups"][name]
    return None


_RESOURCE_COMMANDS: dict[str, FakeCommand] = {
    "resource list": FakeCommand(
        _list_resources, ("--tag?", "--name?", "--resource-type?", "--resource-group?")
    ),
    "group show": FakeCommand(_show_group, ("--name",)),
    "group create": FakeCommand(_create_group, ("--name", "--location", "--tags"), changes=True),
    "group delete": FakeCommand(_delete_group, ("--name", "--yes"), changes=True),
}


_STATES = "[].{name:namespace, state:registrationState}"
CALLER = guid("caller")


def _version(_state: State, _asked: Invocation) -> Any:
    return {"azure-cli": "2.91.0", "azure-cli-core": "2.91.0"}


def _account(state: State, invocation: Invocation) -> Any:
    if invocation.options.get("--subscription", [SUBSCRIPTION]) != [SUBSCRIPTION]:
        raise ProgramError(1, "Subscription not found. Check the spelling and casing: az login.")
    user = state["azure"].get("user", {"name": "person@example.org", "type": "user"})
    return {"id": SUBSCRIPTION, "tenantId": TENANT, "name": "Example", "user": user}


def _permissions(state: State, invocation: Invocation) -> Any:
    if "Microsoft.Authorization/permissions" not in invocation.one("--url"):
        raise UnsupportedCommand(invocation.argv)
    parts = invocation.one("--url").split("/")
    group = parts[parts.index("resourceGroups") + 1] if "resourceGroups" in parts else ""
    granted = state["azure"].get("grants", {}).get(group, state["azure"]["grant"])
    return {"value": [{"actions": granted, "notActions": state["azure"]["deny"]}]}


def _providers(state: State, invocation: Invocation) -> Any:
    if invocation.one("--query") != _STATES:
        raise UnsupportedCommand(invocation.argv)
    registered = state["azure"]["providers"]
    known = {*registered, "Microsoft.KeyVault", "Microsoft.Maps"}
    return [
        {"name": name, "state": "Registered" if name in registered else "NotRegistered"}
        for name in sorted(known)
    ]


def _register(state: State, invocation: Invocation) -> Any:
    state["azure"]["providers"].append(invocation.one("--namespace"))
    return None


def _skus(_state: State, invocation: Invocation) -> Any:
    size = invocation.one("--size")
    cores = "4" if "D4" in size else "2"
    return [
        {
            "name": size,
            "family": "standardDSv5Family",
            "restrictions": [],
            "capabilities": [{"name": "vCPUs", "value": cores}],
        }
    ]


def _usage(state: State, _asked: Invocation) -> Any:
    limit = state["azure"].get("cores", 10)
    names = {"value": "standardDSv5Family", "localizedValue": "Standard DSv5 Family vCPUs"}
    return [{"name": names, "currentValue": 0, "limit": limit}]


_ACCOUNT_COMMANDS: dict[str, FakeCommand] = {
    "version": FakeCommand(_version),
    "account show": FakeCommand(_account, ("--subscription?",)),
    "ad signed-in-user show": FakeCommand(lambda _state, _asked: {"id": CALLER}),
    "ad sp show": FakeCommand(lambda _state, _asked: {"id": CALLER}, ("--id",)),
    "rest": FakeCommand(_permissions, ("--method", "--url")),
    "provider list": FakeCommand(_providers, ("--query",)),
    "provider register": FakeCommand(_register, ("--namespace", "--wait"), changes=True),
    "vm list-skus": FakeCommand(_skus, ("--location", "--size", "--resource-type", "--all")),
    "vm list-usage": FakeCommand(_usage, ("--location",)),
}


IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"


def _create_identity(state: State, invocation: Invocation) -> Any:
    name = invocation.one("--name")
    ids = {"clientId": guid(f"client {name}"), "principalId": guid(f"principal {name}")}
    return made(state, invocation, IDENTITY, {**ids, "trust": {}})


def _identity(state: State, invocation: Invocation) -> Any:
    group, name = invocation.one("--resource-group"), invocation.one("--identity-name")
    found = state["azure"]["resources"].get(resource(IDENTITY, group, name))
    if found is None:
        raise missing(name)
    return found


def _show_trust(state: State, invocation: Invocation) -> Any:
    found = _identity(state, invocation)["trust"].get(invocation.one("--name"))
    if found is None:
        raise missing(invocation.one("--name"))
    return found


def _create_trust(state: State, invocation: Invocation) -> Any:
    trust = {
        "issuer": invocation.one("--issuer"),
        "subject": invocation.one("--subject"),
        "audiences": invocation.options["--audiences"],
    }
    _identity(state, invocation)["trust"][invocation.one("--name")] = trust
    return trust


VAULT = "Microsoft.KeyVault/vaults"


def _create_vault(state: State, invocation: Invocation) -> Any:
    name = invocation.one("--name")
    taken = [one["name"] for one in state["azure"]["resources"].values() if one["type"] == VAULT]
    if name in state["azure"]["deleted"] or name in taken:
        raise ProgramError(1, f"(VaultAlreadyExists) The vault name '{name}' is already in use.")
    properties = {
        "enableRbacAuthorization": invocation.one("--enable-rbac-authorization") == "true",
        "enablePurgeProtection": invocation.one("--enable-purge-protection") == "true",
        "softDeleteRetentionInDays": int(invocation.one("--retention-days")),
        # A vault that is created without saying so is closed.
        "publicNetworkAccess": invocation.options.get("--public-network-access", ["Enabled"])[0],
        "networkAcls": {
            "defaultAction": invocation.options.get("--default-action", ["Deny"])[0],
            "bypass": invocation.options.get("--bypass", ["AzureServices"])[0],
        },
    }
    state["azure"]["secrets"].setdefault(name, [])
    return made(state, invocation, VAULT, {"properties": properties})


def _list_deleted(state: State, _asked: Invocation) -> Any:
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


def _recover(state: State, invocation: Invocation) -> Any:
    found = state["azure"]["deleted"][invocation.one("--name")]
    if [found["resourceGroup"], found["location"]] != [
        invocation.one("--resource-group"),
        invocation.one("--location"),
    ]:
        raise ProgramError(1, "(VaultNotFound) not deleted from there")
    del state["azure"]["deleted"][found["name"]]
    state["azure"]["resources"][found["id"]] = found


# What the vault says to whom its network lets in, and to whom it does not.
_CLOSED = {
    "ForbiddenByFirewall": (
        "Client address is not authorized and caller is not a trusted service.\n"
        "Client address: 192.0.2.1"
    ),
    "ForbiddenByConnection": (
        "Public network access is disabled and request is not from a trusted service nor via an "
        "approved private link."
    ),
    "ForbiddenByPolicy": "The user does not have secrets list permission on key vault.",
}


def _list_secrets(state: State, invocation: Invocation) -> Any:
    name = invocation.one("--vault-name")
    (vault,) = [
        one
        for one in state["azure"]["resources"].values()
        if one["type"] == VAULT and one["name"] == name
    ]
    network = vault["properties"]
    closed = network.get("closed") or (
        "ForbiddenByConnection"
        if network["publicNetworkAccess"] == "Disabled"
        else "ForbiddenByFirewall"
        if network["networkAcls"]["defaultAction"] == "Deny"
        else ""
    )
    if closed:
        inner = f'Inner error: {{\n    "code": "{closed}"\n}}'
        raise ProgramError(1, f"ERROR: (Forbidden) {_CLOSED[closed]}\nCode: Forbidden\n{inner}")
    if not has_role(state, CALLER, "Key Vault Secrets Officer", vault["id"]):
        raise ProgramError(1, "(Forbidden) Caller is not authorized. ForbiddenByRbac")
    if state["azure"]["role_delay"] > 0:
        state["azure"]["role_delay"] -= 1
        raise ProgramError(1, "(Forbidden) Caller is not authorized. ForbiddenByRbac")
    return [{"name": secret} for secret in state["azure"]["secrets"][name]]


def has_role(state: State, principal: str, title: str, scope: str) -> bool:
    """Return whether a principal has a role on a scope."""
    return any(
        [role["principalId"], role["roleDefinitionName"], role["scope"]]
        == [principal, title, scope]
        for role in state["azure"]["roles"].values()
    )


def _list_roles(state: State, invocation: Invocation) -> Any:
    scope = invocation.one("--scope")
    return [role for role in state["azure"]["roles"].values() if role["scope"] == scope]


def _give_role(state: State, invocation: Invocation) -> Any:
    scope, title = invocation.one("--scope"), invocation.one("--role")
    principal = invocation.one("--assignee-object-id")
    if scope not in state["azure"]["resources"]:
        raise ProgramError(1, "(ResourceNotFound) the scope")
    if has_role(state, principal, title, scope):
        raise ProgramError(1, "(RoleAssignmentExists) The role assignment already exists.")
    name = invocation.one("--name")
    state["azure"]["roles"][name] = {
        "id": f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}",
        "name": name,
        "principalId": principal,
        "principalType": invocation.one("--assignee-principal-type"),
        "roleDefinitionName": title,
        "scope": scope,
    }


def _take_role(state: State, invocation: Invocation) -> Any:
    del state["azure"]["roles"][invocation.one("--ids").rsplit("/", 1)[1]]


_TRUST = (*NAMES, "--identity-name")
_ACCESS_COMMANDS: dict[str, FakeCommand] = {
    "identity show": FakeCommand(shown(IDENTITY), NAMES),
    "identity create": FakeCommand(_create_identity, NEW, changes=True),
    "identity delete": FakeCommand(deleted(IDENTITY), NAMES, changes=True),
    "identity federated-credential show": FakeCommand(_show_trust, _TRUST),
    "identity federated-credential create": FakeCommand(
        _create_trust, (*_TRUST, "--issuer", "--subject", "--audiences"), changes=True
    ),
    "keyvault show": FakeCommand(shown(VAULT), NAMES),
    "keyvault list-deleted": FakeCommand(_list_deleted, ("--resource-type",)),
    "keyvault create": FakeCommand(
        _create_vault,
        (
            *NEW,
            "--enable-rbac-authorization",
            "--enable-purge-protection",
            "--retention-days",
            "--public-network-access?",
            "--default-action?",
            "--bypass?",
        ),
        changes=True,
    ),
    "keyvault recover": FakeCommand(_recover, (*NAMES, "--location"), changes=True),
    "keyvault delete": FakeCommand(deleted(VAULT), NAMES, changes=True),
    "keyvault secret list": FakeCommand(_list_secrets, ("--vault-name",)),
    "role assignment list": FakeCommand(_list_roles, ("--scope", "--fill-principal-name")),
    "role assignment create": FakeCommand(
        _give_role,
        ("--name", "--role", "--scope", "--assignee-object-id", "--assignee-principal-type"),
        changes=True,
    ),
    "role assignment delete": FakeCommand(_take_role, ("--ids",), changes=True),
}


REGISTRY = "Microsoft.ContainerRegistry/registries"


def _create_registry(state: State, invocation: Invocation) -> Any:
    modes = {"rbac": "LegacyRegistryPermissions", "rbac-abac": "AbacRepositoryPermissions"}
    more = {
        "loginServer": f"{invocation.one('--name')}.azurecr.io",
        "sku": {"name": invocation.one("--sku")},
        "adminUserEnabled": invocation.one("--admin-enabled") == "true",
        "roleAssignmentMode": modes[invocation.one("--role-assignment-mode")],
    }
    state["azure"]["images"][invocation.one("--name")] = []
    return made(state, invocation, REGISTRY, more)


def _tags_of(state: State, invocation: Invocation) -> Any:
    images = state["azure"]["images"].get(invocation.one("--name"))
    if not images:
        raise ProgramError(1, "repository discordskybot is not found. Correlation ID: none.")
    return images


def _delete_images(state: State, invocation: Invocation) -> Any:
    _tags_of(state, invocation)
    state["azure"]["images"][invocation.one("--name")] = []


CLUSTER = "Microsoft.ContainerService/managedClusters"


def _begin_cluster(state: State, invocation: Invocation) -> Any:
    enabled = {name: f"--enable-{name}" in invocation.options for name in _FEATURES}
    name = invocation.one("--name")
    found = made(
        state,
        invocation,
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
                if "azure-keyvault-secrets-provider"
                in invocation.options.get("--enable-addons", [])
            },
            "networkProfile": {
                "networkPolicy": invocation.options.get("--network-dataplane", [""])[0]
            },
            "autoUpgradeProfile": {
                "upgradeChannel": invocation.options.get("--auto-upgrade-channel", [None])[0],
                "nodeOsUpgradeChannel": "NodeImage",
            },
            "apiServerAccessProfile": _ranges(invocation),
            "identityProfile": {"kubeletidentity": {"objectId": guid(f"kubelet {name}")}},
        },
    )
    state["clusters"][found["id"]] = {"objects": {"namespace//kube-system": {}}, "scanned": False}
    found["provisioningState"] = "Creating"


def _ranges(invocation: Invocation) -> Any:
    given = invocation.options.get("--api-server-authorized-ip-ranges")
    ranges = given[0].split(",") if given else []
    if not all(ip_network(one).is_global for one in ranges):
        said = "must be global non-reserved addresses or CIDRs"
        raise ProgramError(1, f"ERROR: --api-server-authorized-ip-ranges {said}")
    return {"authorizedIpRanges": [str(ip_network(one)) for one in ranges]} if ranges else None


def _update_cluster(state: State, invocation: Invocation) -> Any:
    found = shown(CLUSTER)(state, invocation)
    if "--auto-upgrade-channel" in invocation.options:
        channel = invocation.one("--auto-upgrade-channel")
        found["autoUpgradeProfile"]["upgradeChannel"] = channel
    if "--api-server-authorized-ip-ranges" in invocation.options:
        found["apiServerAccessProfile"] = _ranges(invocation)
    return found


def _windows_of(state: State, invocation: Invocation) -> Any:
    name, group = invocation.one("--cluster-name"), invocation.one("--resource-group")
    cluster = state["azure"]["resources"].get(resource(CLUSTER, group, name))
    if cluster is None:
        raise missing(name)
    return cluster.setdefault("windows", {})


def _list_windows(state: State, invocation: Invocation) -> Any:
    return list(_windows_of(state, invocation).values())


def _set_window(*, new: bool) -> Callable[[State, Invocation], Any]:
    def answer(state: State, invocation: Invocation) -> Any:
        windows, name = _windows_of(state, invocation), invocation.one("--name")
        if new and name in windows:
            raise ProgramError(1, f"ERROR: Maintenance configuration '{name}' already exists")
        if not new and name not in windows:
            raise ProgramError(3, f"ERROR: Maintenance configuration '{name}' doesn't exist.")
        windows[name] = {
            "name": name,
            "maintenanceWindow": {
                "schedule": {"weekly": {"dayOfWeek": invocation.one("--day-of-week")}},
                "startTime": invocation.one("--start-time"),
                "utcOffset": invocation.one("--utc-offset"),
                "durationHours": int(invocation.one("--duration")),
            },
        }

    return answer


def _finish_cluster(state: State, invocation: Invocation) -> Any:
    found = shown(CLUSTER)(state, invocation)
    found["provisioningState"] = "Succeeded"
    return found


_FEATURES = ("oidc-issuer", "workload-identity", "secret-rotation")


def _get_credentials(state: State, invocation: Invocation) -> Any:
    found = shown(CLUSTER)(state, invocation)
    Path(invocation.one("--file")).write_text(found["id"])
    return "Merged."


_WINDOW = (
    "--cluster-name",
    "--resource-group",
    "--name",
    "--schedule-type",
    "--interval-weeks",
    "--day-of-week",
    "--start-time",
    "--utc-offset",
    "--duration",
)
_CLUSTER_COMMANDS: dict[str, FakeCommand] = {
    "acr show": FakeCommand(shown(REGISTRY), NAMES),
    "acr create": FakeCommand(
        _create_registry,
        (*NEW, "--sku", "--admin-enabled", "--role-assignment-mode"),
        changes=True,
    ),
    "acr delete": FakeCommand(deleted(REGISTRY), (*NAMES, "--yes"), changes=True),
    "acr repository show-tags": FakeCommand(_tags_of, ("--name", "--repository")),
    "acr repository delete": FakeCommand(
        _delete_images, ("--name", "--repository", "--yes"), changes=True
    ),
    "aks show": FakeCommand(shown(CLUSTER), NAMES),
    "aks create": FakeCommand(
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
            "--auto-upgrade-channel?",
            "--node-os-upgrade-channel?",
            "--api-server-authorized-ip-ranges?",
        ),
        changes=True,
        half=_begin_cluster,
    ),
    "aks update": FakeCommand(
        _update_cluster,
        (
            *NAMES,
            "--auto-upgrade-channel?",
            "--node-os-upgrade-channel?",
            "--api-server-authorized-ip-ranges?",
        ),
        changes=True,
    ),
    "aks maintenanceconfiguration list": FakeCommand(
        _list_windows, ("--cluster-name", "--resource-group")
    ),
    **{
        f"aks maintenanceconfiguration {action}": FakeCommand(
            _set_window(new=action == "add"), _WINDOW, changes=True
        )
        for action in ("add", "update")
    },
    "aks delete": FakeCommand(deleted(CLUSTER), (*NAMES, "--yes"), changes=True),
    "aks wait": FakeCommand(_finish_cluster, (*NAMES, "--created", "--interval", "--timeout")),
    "aks get-credentials": FakeCommand(
        _get_credentials, (*NAMES, "--file", "--overwrite-existing"), changes=True
    ),
}


# These are not about a subscription.
_GLOBAL = {"version", "account show", "ad signed-in-user show", "ad sp show", "rest"}


def az(
    argv: list[str], stdin: str | None, env: Mapping[str, str]
) -> tuple[Invocation, FakeCommand]:
    """Read a command line of `az`. Each has to name the subscription, and to ask for JSON."""
    invocation, command = read(_COMMANDS, argv, stdin, env)
    if invocation.one("--output") != "json":
        raise UnsupportedCommand(argv)
    if invocation.words not in _GLOBAL and invocation.one("--subscription") != SUBSCRIPTION:
        raise UnsupportedCommand(argv)
    return invocation, command


def _always(words: str, command: FakeCommand) -> FakeCommand:
    subscription = () if words in _GLOBAL else ("--subscription",)
    return replace(
        command, options=(*command.options, "--output", "--only-show-errors", *subscription)
    )


_COMMANDS = {
    words: _always(words, command)
    for part in (_RESOURCE_COMMANDS, _ACCOUNT_COMMANDS, _ACCESS_COMMANDS, _CLUSTER_COMMANDS)
    for words, command in part.items()
}
