"""Compute what a person can read from what Discord sends with a message, without a member cache.

This is Discord's own algorithm over roles and a channel's overwrites:
https://discord.com/developers/docs/topics/permissions#permission-overwrites
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord

if TYPE_CHECKING:
    from bot.domain.messages import Message


_VIEW = discord.Permissions(view_channel=True)
_READ = discord.Permissions(view_channel=True, read_message_history=True)
_SPOKEN_IN = (discord.ChannelType.voice, discord.ChannelType.stage_voice)  # and written, beside it


def may_read(guild: discord.Guild | None, message: Message, channel_id: int) -> bool:
    """Whether the writer of `message` can read in that channel of the same server.

    False where it cannot be known: the writer's roles, a private thread other than the one that it
    was written in, a channel that the bot does not see itself.
    """
    own, needed = message.channel_id, _READ
    place = guild.get_channel_or_thread(channel_id) if guild else None
    if getattr(place, "type", None) in _SPOKEN_IN:
        needed |= discord.Permissions(connect=True)  # nobody else can open its chat
    return _may(guild, channel_id, message.author.id, message.role_ids, needed=needed, own=own)


def may_view(
    guild: discord.Guild | None, channel_id: int, person: int, role_ids: tuple[int, ...] | None
) -> bool:
    """Whether a person sees that channel of a server. False where it cannot be known."""
    return _may(guild, channel_id, person, role_ids, needed=_VIEW)


def _may(
    guild: discord.Guild | None,
    channel_id: int,
    person: int,
    role_ids: tuple[int, ...] | None,
    *,
    needed: discord.Permissions,
    own: int | None = None,
) -> bool:
    place = guild.get_channel_or_thread(channel_id) if guild else None
    if isinstance(place, discord.Thread):
        if place.is_private() and channel_id != own:
            return False
        place = place.parent
    if guild is None or place is None:
        return False
    if guild.owner_id == person:
        return True
    if role_ids is None:
        return False
    return _permissions(guild, place, {guild.id, *role_ids}, person) >= needed


def _permissions(
    guild: discord.Guild, place: discord.abc.GuildChannel, roles: set[int], person: int
) -> discord.Permissions:
    value = 0
    for role_id in roles:
        role = guild.get_role(role_id)
        value |= role.permissions.value if role else 0
    if discord.Permissions(value).administrator:
        return discord.Permissions.all()
    overwrites = {target.id: each.pair() for target, each in place.overwrites.items()}
    for those in ({guild.id}, roles - {guild.id}, {person}):
        found = [pair for target, pair in overwrites.items() if target in those]
        for _, deny in found:
            value &= ~deny.value
        for allow, _ in found:
            value |= allow.value
    return discord.Permissions(value)
