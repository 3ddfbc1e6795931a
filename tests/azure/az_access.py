"""Identities and whom they trust, the vault, and who has which role on what."""

from __future__ import annotations

from typing import Any

from tests.azure.az_account import CALLER
from tests.azure.az_resources import NAMES, NEW, deleted, made, missing, resource, shown
from tests.azure.world import Asked, Refused, State, Verb, guid

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
VERBS: dict[str, Verb] = {
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
