"""Where something may have been said, and what the bot has answered there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.discord import values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import discord


def answers(messages: Iterable[discord.Message], me: int) -> dict[int, list[discord.Message]]:
    """Find the bot's own messages by what they reply to, the oldest part first."""
    found: dict[int, list[discord.Message]] = {}
    for message in sorted(messages, key=lambda each: each.id):
        question_id = values.answers(message, me)
        if question_id is not None:
            found.setdefault(question_id, []).append(message)
    return found


def channels(client: discord.Client) -> Iterator[tuple[tuple[int, int], int]]:
    """Every channel and thread that can be read, with its server and the id of its last message."""
    for guild in client.guilds:
        for channel in (*guild.channels, *guild.threads):
            last = getattr(channel, "last_message_id", None)
            if last and channel.permissions_for(guild.me).read_message_history:
                yield (channel.id, guild.id), last
