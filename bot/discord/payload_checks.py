"""Check that an event is complete before discord.py builds its cache of servers from it.

The library treats a missing field as empty: a channel without overwrites would be open to
everybody, and a server without roles closed to everybody, for as long as the session lasts.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import discord

if TYPE_CHECKING:
    from collections.abc import Callable

_OPTIONAL_IDS = ("guild_id", "parent_id", "last_message_id")  # those by which we look things up
_SNOWFLAKE_DIGITS, _SNOWFLAKE_END = 20, 1 << 63  # beyond it lie times that no date can have
_CLOCKS_DIFFER = timedelta(days=1)  # at most, between Discord's clock and this machine's


def check(event: str, data: Any) -> None:
    """Raise ValueError, TypeError or LookupError where the cache would be wrong after an event."""
    match event:
        case "GUILD_CREATE" if data.get("unavailable") is not True:
            _check_guild(data)
            _each(_check_channel, data["channels"])
            _each(_check_thread, data.get("threads", []))
        case "GUILD_UPDATE":
            _check_guild(data)
        case "CHANNEL_CREATE" | "CHANNEL_UPDATE" if data.get("guild_id") is not None:
            _check_channel(data)
        case "THREAD_CREATE" | "THREAD_UPDATE":
            _check_thread(data)
        case "THREAD_LIST_SYNC":
            _each(_check_thread, data["threads"])
        case "GUILD_ROLE_CREATE" | "GUILD_ROLE_UPDATE":
            _check_role(data["role"])
        case "MESSAGE_CREATE":
            _check_message(data)


def less(event: str, data: Any) -> dict[str, Any] | None:
    """Return an event without its malformed parts; None if nothing usable is left."""
    if not isinstance(data, dict):
        return None
    if event == "MESSAGE_CREATE" and "referenced_message" in data:
        return {key: value for key, value in data.items() if key != "referenced_message"}
    if event == "GUILD_CREATE" and isinstance(data.get("roles"), list):
        kept = {key: value for key, value in data.items() if not isinstance(value, list)}
        parts = {"channels": _check_channel, "roles": _check_role, "threads": _check_thread}
        for name, check_part in {**parts, "members": _check_member}.items():
            found = data.get(name)
            whole = found if isinstance(found, list) else []
            kept[name] = [each for each in whole if _passes(check_part, each)]
        return kept if _passes(_check_guild, kept) else None
    return None


def snowflake(data: Any, name: str) -> int | None:
    """Read an id out of a payload; None where there is none."""
    value = data.get(name) if isinstance(data, dict) else None
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value) if len(value) <= _SNOWFLAKE_DIGITS else None
    return value if type(value) is int and 0 <= value < _SNOWFLAKE_END else None


def _check_message(data: Any) -> None:
    _need(data, "id", "channel_id")
    _need(data["author"], "id")
    _check_age(data, "id")
    if data.get("guild_id") is None and "member" in data:
        raise KeyError("guild_id")  # it would look like a direct message


def _check_age(data: Any, name: str) -> None:
    """Refuse an id from the future: ids mark up to where the bot has received everything."""
    latest = discord.utils.utcnow() + _CLOCKS_DIFFER
    if (snowflake(data, name) or 0) > discord.utils.time_snowflake(latest):
        raise ValueError(name)


def _check_guild(data: Any) -> None:
    _need(data, "id", "owner_id")
    _need_text(data, "name")
    _each(_check_role, data["roles"])
    if all(snowflake(role, "id") != snowflake(data, "id") for role in data["roles"]):
        raise KeyError("@everyone")


def _check_role(data: Any) -> None:
    _need(data, "id", "permissions")
    _need_text(data, "name")


def _check_channel(data: Any) -> None:
    _need(data, "id")
    _need_text(data, "name")
    _check_age(data, "last_message_id")
    if type(data["type"]) is not int or type(data["position"]) is not int:
        raise TypeError("type, position")
    for overwrite in data["permission_overwrites"]:
        _need(overwrite, "id", "allow", "deny")
        if overwrite["type"] not in {0, 1}:
            raise ValueError("type")


def _check_thread(data: Any) -> None:
    _need(data, "id", "parent_id")
    _need_text(data, "name")
    _check_age(data, "last_message_id")
    if type(data["type"]) is not int:
        raise TypeError("type")


def _check_member(data: Any) -> None:
    _need(data["user"], "id")
    for role_id in data["roles"]:
        int(role_id)


def _need(data: Any, *names: str) -> None:
    for name in names:
        if snowflake(data, name) is None:
            raise KeyError(name)
    for name in _OPTIONAL_IDS:
        if data.get(name) is not None and snowflake(data, name) is None:
            raise TypeError(name)


def _need_text(data: Any, name: str) -> None:
    if not isinstance(data[name], str):
        raise TypeError(name)


def _each(check_part: Callable[[Any], None], parts: Any) -> None:
    if not isinstance(parts, list):
        raise TypeError
    for part in parts:
        check_part(part)


def _passes(check_part: Callable[[Any], None], part: Any) -> bool:
    with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError):
        check_part(part)
        return True
    return False
