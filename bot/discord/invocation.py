"""A command that somebody used, as a plain value: the only place that reads Discord's object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import discord

from bot.discord import values
from bot.well_formed import well_formed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bot.messages import Author, Place

_SUBCOMMAND = 1


@dataclass(frozen=True, slots=True)
class Invocation:
    """What was asked for, by whom, where, and what the bot and they may do there.

    `name` is the command with its subcommand. `lacking` are the permissions without which the bot
    cannot answer in that channel, by their names in Discord. `target` is a menu's message.
    """

    id: int
    name: str
    author: Author
    place: Place
    channel_id: int
    guild_id: int | None
    options: Mapping[str, Any] = field(default_factory=dict)
    typed: str = ""  # what is in the option that is being completed
    lacking: tuple[str, ...] = ()
    manages: bool = False
    target: int | None = None
    role_ids: tuple[int, ...] | None = None

    @property
    def direct(self) -> bool:
        """Whether it was used in a direct message."""
        return self.guild_id is None

    def text(self, option: str) -> str:
        """Return an option's text; empty where it was not given."""
        return well_formed(str(self.options.get(option) or "")).strip()


def read(interaction: discord.Interaction) -> Invocation:
    """Take from an interaction what the bot needs of it."""
    data: Mapping[str, Any] = interaction.data or {}
    name, options = str(data.get("name", "")), list(data.get("options") or ())
    if options and options[0].get("type") == _SUBCOMMAND:
        name, options = f"{name} {options[0]['name']}", list(options[0].get("options") or ())
    return Invocation(
        id=interaction.id,
        name=name,
        author=values.author(interaction.user),
        place=values.place(interaction.channel, interaction.guild),
        channel_id=interaction.channel_id or 0,
        guild_id=interaction.guild_id,
        options={option["name"]: option.get("value") for option in options},
        typed=next((str(option["value"]) for option in options if option.get("focused")), ""),
        lacking=tuple(_lacking(interaction)),
        manages=interaction.permissions.manage_guild or interaction.permissions.administrator,
        target=_target(data, interaction.channel_id),
        role_ids=values.role_ids(interaction.user),
    )


def _lacking(interaction: discord.Interaction) -> Iterable[str]:
    mine = interaction.app_permissions
    if mine.administrator or interaction.guild_id is None:
        return
    in_thread = isinstance(interaction.channel, discord.Thread)
    needed = {
        "View Channel": mine.view_channel,
        "Send Messages": mine.send_messages or in_thread,
        "Send Messages in Threads": mine.send_messages_in_threads or not in_thread,
        "Read Message History": mine.read_message_history,
    }
    yield from (name for name, granted in needed.items() if not granted)


def _target(data: Mapping[str, Any], channel_id: int | None) -> int | None:
    """Return the message that a menu was opened on, if it is in the channel where that was."""
    found = (data.get("resolved") or {}).get("messages") or {}
    message = found.get(str(data.get("target_id")))
    if message is None or str(message.get("channel_id")) != str(channel_id):
        return None
    return int(message["id"])
