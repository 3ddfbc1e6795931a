"""The bot's commands as Discord is told of them, and whether it has to be told again. Pure.

https://discord.com/developers/docs/interactions/application-commands#application-command-object
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ASK, PERSONA, STATUS, HELP, PRIVACY = "sky", "persona", "sky-status", "help", "privacy"
TOPIC = "topic"
MENU = "Ask Sky"
LONGEST_TOPIC = 4000

_CHAT_INPUT, _MESSAGE_MENU = 1, 3
_SUBCOMMAND, _STRING, _BOOLEAN = 1, 3, 5
_SERVERS, _DIRECT = 0, 1
_MANAGE_SERVER = str(1 << 5)
_EVERYWHERE: Final = {"integration_types": [0], "contexts": [_SERVERS, _DIRECT]}


def _command(name: str, description: str, *options: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": _CHAT_INPUT,
        "name": name,
        "description": description,
        "options": list(options),
        **_EVERYWHERE,
        **more,
    }


def _option(kind: int, name: str, description: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": name, "description": description, **more}


_WHO = _option(_STRING, "persona", "Who answers", autocomplete=True)

ALL: Final = (
    _command(
        ASK,
        "Ask something",
        _option(_STRING, TOPIC, "What to answer", required=True, max_length=LONGEST_TOPIC),
        _WHO,
        _option(_BOOLEAN, "image", "Answer with a picture"),
    ),
    _command(
        PERSONA,
        "Who I can be",
        _option(_SUBCOMMAND, "list", "Everybody that I can be, and who answers here"),
        _option(_SUBCOMMAND, "show", "One of them", options=[{**_WHO, "required": True}]),
    ),
    _command(
        STATUS,
        "How I am doing, for those who manage this server",
        default_member_permissions=_MANAGE_SERVER,
        contexts=[_SERVERS],
    ),
    _command(HELP, "How to call me"),
    _command(PRIVACY, "What I send where, and what is kept"),
    {"type": _MESSAGE_MENU, "name": MENU, **_EVERYWHERE},  # it may have no description
)

# What Discord fills in where nothing was said.
_DEFAULTS: Final[dict[str, Any]] = {
    "description": "",
    "options": [],
    "required": False,
    "autocomplete": False,
    "default_member_permissions": None,
    "nsfw": False,
}
_COMPARED: Final = (
    *("type", "name", "description", "options", "required", "autocomplete", "max_length"),
    *("default_member_permissions", "nsfw", "contexts", "integration_types"),
)


def differ(theirs: Iterable[Mapping[str, Any]]) -> bool:
    """Say whether Discord has other commands than ours."""
    return sorted(map(_essence, theirs), key=repr) != sorted(map(_essence, ALL), key=repr)


def _essence(command: Mapping[str, Any]) -> dict[str, Any]:
    """What matters of a command or an option; Discord adds ids, versions and translations."""
    essence = {}
    for key in _COMPARED:
        value = command.get(key)
        value = _DEFAULTS.get(key) if value is None else value
        if key == "options":
            value = [_essence(option) for option in value or ()]
        if key in {"contexts", "integration_types"} and value is not None:
            value = sorted(value)
        essence[key] = value
    return essence
