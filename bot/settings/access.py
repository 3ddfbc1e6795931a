"""Settings of who may call the bot, and where; of personas; of ambient replies.

A list is written as a list in the file, and with commas in an environment variable.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from bot.settings.base import Section


def _split(value: Any) -> Any:
    """Split "a, b" into a list; an id may be written as a number."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        return parts
    return [_entry(part) for part in parts if part != ""]


def _entry(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _split_pairs(value: Any) -> Any:
    """Split "a = 1, b = 2" into a dict."""
    if isinstance(value, str):
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        return {_name(name): given.strip() for name, _, given in pairs}
    if isinstance(value, dict):
        return {_name(key): given for key, given in value.items()}
    return value


def _name(entry: str) -> str:
    """Normalize a name for comparison: no upper case, leading # or @, or surrounding spaces."""
    return entry.strip().removeprefix("#").removeprefix("@").casefold()


def _names(entries: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_name, entries))


def _only_ids(entries: tuple[str, ...]) -> tuple[str, ...]:
    for entry in entries:
        if not entry.isdecimal():
            raise ValueError(
                "must be ids, because anybody can take a name: in Discord, turn on "
                f"Developer Mode and copy the id of {entry!r}"
            )
    return entries


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_names)]
Ids = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(_split),
    AfterValidator(_names),
    AfterValidator(_only_ids),
]
Chances = Annotated[
    dict[str, Annotated[float, Field(ge=0, le=1)]], NoDecode, BeforeValidator(_split_pairs)
]
Choices = Annotated[dict[str, str], NoDecode, BeforeValidator(_split_pairs)]


class AccessSettings(Section):
    """Who may call the bot, and where. Threads count as their channel; a block wins."""

    allow_servers: Names = Field(default=(), description="Only these servers, by id or name")
    block_servers: Names = Field(default=(), description="Not these servers")
    allow_categories: Names = Field(
        default=(), description="Only channels in these categories, and `allow_channels`"
    )
    block_categories: Names = Field(default=(), description="No channels in these categories")
    allow_channels: Names = Field(
        default=(), description="Only these channels, by id or name, and threads, by id"
    )
    block_channels: Names = Field(default=(), description="Not these channels and threads")
    allow_roles: Names = Field(
        default=(), description="Only people with one of these roles, and `allow_users`"
    )
    block_roles: Names = Field(default=(), description="Nobody with one of these roles")
    allow_users: Ids = Field(default=(), description="Only these people, by id")
    block_users: Ids = Field(default=(), description="Not these people")
    allow_bots: Ids = Field(default=(), description="Bots and webhooks that are answered, by id")
    bots_in_a_row: int = Field(
        default=3,
        ge=1,
        le=20,
        description="The most consecutive answers to bots in a channel until a person speaks",
    )
    direct_messages: bool = Field(default=True, description="Whether direct messages are answered")


class PersonasSettings(Section):
    """Which persona answers. The most specific choice wins: thread, channel, server, default."""

    directory: Path | None = Field(
        default=None,
        description="The folder of the persona files; default: `personas` next to the settings "
        "file",
    )
    default: str = Field(default="sky", min_length=1, description="The persona everywhere else")
    servers: Choices = Field(
        default={}, description="The persona of a server, by the server's id or name"
    )
    channels: Choices = Field(
        default={},
        description="The persona of a channel, by its id or name, or of a thread, by its id",
    )


class AmbientSettings(Section):
    """Joining in unprompted, by chance. Off unless channels are named."""

    channels: Chances = Field(
        default={},
        description="The chance (0 to 1) of joining in after a message, by channel id or name",
    )
    quiet_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=900, description="How long the bot waits after it spoke before it joins in again"
    )
