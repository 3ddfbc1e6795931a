"""Who is logged in, what they may do, and what the subscription has."""

from __future__ import annotations

from typing import Any

from tests.azure.world import SUBSCRIPTION, TENANT, Asked, Refused, State, Unknown, Verb, guid

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


VERBS: dict[str, Verb] = {
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
