"""Describe in text what a message shows besides text: embeds, polls, stickers, voice, and names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import discord

from bot.domain.text import sanitize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MOST = 6000  # characters of all embeds of a message: what Discord takes of a bot
_PLACE = re.compile(r"<(?:#|@&)(\d{1,20})>")


def extras(message: discord.Message | discord.MessageSnapshot) -> tuple[str, ...]:
    """Describe what a message shows besides its text and files."""
    poll = getattr(message, "poll", None)
    found = [
        *(_sticker(each) for each in message.stickers),
        *([_poll(poll)] if poll is not None else []),
        *_embeds(message.embeds),
    ]
    return tuple(sanitize(each) for each in found)


def voice_seconds(file: discord.Attachment) -> float | None:
    """Return the length of a voice message; None for any other file."""
    return file.duration if file.is_voice_message() else None


def places(guild: discord.Guild | None, texts: Iterable[str]) -> dict[int, str]:
    """Name the roles and channels that texts mention: the channels that everybody there can see."""
    names: dict[int, str] = {}
    if guild is None:
        return names
    for found in {int(hit[1]) for text in texts for hit in _PLACE.finditer(text)}:
        role, channel = guild.get_role(found), guild.get_channel_or_thread(found)
        if role is not None:
            names[found] = sanitize(role.name)
        elif channel is not None and channel.permissions_for(guild.default_role).view_channel:
            names[found] = sanitize(channel.name)
    return names


def own_role(guild: discord.Guild | None, text: str) -> int | None:
    """Give the bot's own managed role in a server if `text` mentions it: it looks like the bot."""
    role = guild.self_role if guild is not None and "<@&" in text else None
    return role.id if role is not None and f"<@&{role.id}>" in text else None


def forum_title(channel: object) -> str | None:
    """Return the title of the forum post that a channel is; None if it is none."""
    if isinstance(channel, discord.Thread) and isinstance(channel.parent, discord.ForumChannel):
        return sanitize(channel.name)
    return None


def _sticker(sticker: discord.StickerItem) -> str:
    return f"(sticker: {sticker.name})"


def _poll(poll: discord.Poll) -> str:
    counted = any(answer.vote_count for answer in poll.answers)
    lines = [f"(poll{', ended' if poll.is_finalised() else ''}) {poll.question}"]
    for answer in poll.answers:
        emoji = f"{answer.emoji} " if answer.emoji is not None else ""
        votes = answer.vote_count
        count = f": {votes} vote{'' if votes == 1 else 's'}" if counted else ""
        lines.append(f"- {emoji}{answer.text or ''}{count}")
    return "\n".join(lines)


def _embeds(embeds: Sequence[discord.Embed]) -> list[str]:
    shown, room = [], _MOST
    for embed in embeds:
        parts = [
            embed.author.name,
            embed.title,
            embed.description,
            *(f"{field.name}: {field.value}" for field in embed.fields),
            embed.footer.text,
        ]
        text = "\n".join(str(part) for part in parts if part)[:room]
        if text:
            shown.append(f"(embed) {text}")
            room -= len(text)
    return shown
