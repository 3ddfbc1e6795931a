"""Whom a message pings, from its content and what its author allowed; pure.

https://discord.com/developers/docs/resources/message#allowed-mentions-object
"""

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Final

from tests.servers.discord.errors import Json, invalid_form

_USER: Final = re.compile(r"<@!?(\d{15,20})>")
_EVERYONE: Final = re.compile(r"@(?:everyone|here)\b")
_TYPES: Final = ("users", "roles", "everyone")


@dataclass(frozen=True, slots=True)
class Pings:
    """The users that are pinged, and whether everyone is."""

    users: tuple[int, ...] = ()
    everyone: bool = False


def resolve(
    content: str, known: Container[int], allowed: Json | None, replied_to: int | None
) -> Pings:
    """The pings of a message; `replied_to` is the author of the message it replies to."""
    named = [int(each) for each in _USER.findall(content)]
    everyone = bool(_EVERYONE.search(content))
    if allowed is None:
        ping_replied = True
    else:
        parse = allowed.get("parse", [])
        only = {int(each) for each in allowed.get("users") or ()}
        _check(parse, only)
        if "users" not in parse:
            named = [each for each in named if each in only]
        everyone = everyone and "everyone" in parse
        ping_replied = bool(allowed.get("replied_user", False))
    if replied_to is not None and ping_replied:
        named.append(replied_to)
    return Pings(tuple(dict.fromkeys(each for each in named if each in known)), everyone)


def _check(parse: list[str], only: set[int]) -> None:
    if not set(parse) <= set(_TYPES):
        raise invalid_form(
            "allowed_mentions", "BASE_TYPE_CHOICES", f"Value must be one of {_TYPES}."
        )
    if only and "users" in parse:
        message = 'parse:["users"] and users: [ids...] are mutually exclusive.'
        raise invalid_form("allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", message)
