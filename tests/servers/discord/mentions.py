"""Whom a message pings, given its content and its allowed mentions; pure.

https://discord.com/developers/docs/resources/message#allowed-mentions-object
"""

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Final

from tests.servers.discord.errors import Json, invalid_form

_USER: Final = re.compile(r"<@!?(\d{15,20})>")
_ROLE: Final = re.compile(r"<@&(\d{15,20})>")
_EVERYONE: Final = re.compile(r"@(?:everyone|here)\b")
_TYPES: Final = ("users", "roles", "everyone")


@dataclass(frozen=True, slots=True)
class Pings:
    """The users and roles that are pinged, and whether everyone is."""

    users: tuple[int, ...] = ()
    everyone: bool = False
    roles: tuple[int, ...] = ()


def resolve(
    content: str,
    known: Container[int],
    allowed: Json | None,
    replied_to: int | None,
    roles: Container[int] = (),
) -> Pings:
    """Return the pings of a message; `replied_to` is the author of the message it replies to.

    `known` are the users, `roles` the roles that its author may ping.
    """
    named_roles = [int(each) for each in _ROLE.findall(content)]
    named = [int(each) for each in _USER.findall(content)]
    everyone = bool(_EVERYONE.search(content))
    if allowed is None:
        ping_replied = True
    else:
        parse = allowed.get("parse", [])
        only = {int(each) for each in allowed.get("users") or ()}
        only_roles = {int(each) for each in allowed.get("roles") or ()}
        _check(parse, users=only, roles=only_roles)
        if "roles" not in parse:
            named_roles = [each for each in named_roles if each in only_roles]
        if "users" not in parse:
            named = [each for each in named if each in only]
        everyone = everyone and "everyone" in parse
        ping_replied = bool(allowed.get("replied_user", False))
    if replied_to is not None and ping_replied:
        named.append(replied_to)
    return Pings(
        tuple(dict.fromkeys(each for each in named if each in known)),
        everyone,
        tuple(dict.fromkeys(each for each in named_roles if each in roles)),
    )


def _check(parse: list[str], **only: set[int]) -> None:
    if not set(parse) <= set(_TYPES):
        raise invalid_form(
            "allowed_mentions", "BASE_TYPE_CHOICES", f"Value must be one of {_TYPES}."
        )
    for name, ids in only.items():
        if ids and name in parse:
            message = f'parse:["{name}"] and {name}: [ids...] are mutually exclusive.'
            code = "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE"
            raise invalid_form("allowed_mentions", code, message)
