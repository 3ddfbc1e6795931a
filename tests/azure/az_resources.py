"""Resources as `az` shows, makes and deletes them, whatever kind they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.azure.world import SUBSCRIPTION, Asked, Refused, State, Verb

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


def _list(state: State, asked: Asked) -> Any:
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


VERBS: dict[str, Verb] = {
    "resource list": Verb(_list, ("--tag?", "--name?", "--resource-type?", "--resource-group?")),
    "group show": Verb(_show_group, ("--name",)),
    "group create": Verb(_create_group, ("--name", "--location", "--tags"), changes=True),
    "group delete": Verb(_delete_group, ("--name", "--yes"), changes=True),
}
