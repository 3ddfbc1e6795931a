"""Discord's objects into ours: the only place that reads them."""

from __future__ import annotations

import discord

from bot.messages import Author, Message

_ORDINARY = frozenset({discord.MessageType.default, discord.MessageType.reply})


def read(message: discord.Message) -> Message:
    """Take from a message what the bot needs of it."""
    reference = message.reference
    replied = reference.resolved if reference else None
    # A forwarded message has a reference too, and is no reply.
    is_reply = reference is not None and message.type is discord.MessageType.reply
    return Message(
        id=message.id,
        channel_id=message.channel.id,
        guild_id=getattr(message.guild, "id", None) or getattr(message.channel, "guild_id", None),
        author=_author(message.author),
        text=message.content,
        ordinary=message.type in _ORDINARY,
        replies_to=reference.message_id if reference and is_reply else None,
        replies_in=reference.channel_id if reference and is_reply else None,
        replied_author_id=replied.author.id if isinstance(replied, discord.Message) else None,
        names={user.id: user.display_name for user in message.mentions},
    )


def replied(message: discord.Message) -> Message | None:
    """Read the message that this one replies to, which Discord sends along."""
    resolved = message.reference.resolved if message.reference else None
    if not isinstance(resolved, discord.Message):
        return None
    if resolved.type is discord.MessageType.reply and resolved.reference is None:
        return None  # sent without what it replies to in turn: the chain would end there
    return read(resolved)


def _author(user: discord.User | discord.Member) -> Author:
    return Author(user.id, user.display_name, user.bot)
