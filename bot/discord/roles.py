"""The roles of who wrote a message that was read from the REST API, which leaves them out.

They are asked for only where something depends on them, and once for each person.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
import discord

from bot.discord import compat, values

if TYPE_CHECKING:
    from bot.discord.gateway import Gateway
    from bot.messages import Author, Message

_SECONDS = 10.0
_FAILURES = (
    aiohttp.ClientError,
    OSError,
    TimeoutError,
    RuntimeError,
    discord.HTTPException,
    compat.UnreadableResponse,
    ValueError,
)


class Roles:
    """Looks members up through one client. The roles of who cannot be found stay unknown."""

    def __init__(self, client: Gateway) -> None:
        self._client = client
        self._found: dict[tuple[int | None, int], tuple[Author, tuple[int, ...] | None]] = {}

    async def fill(self, message: Message) -> Message:
        """Return `message` with its writer's roles."""
        key = message.guild_id, message.author.id
        if key not in self._found:
            self._found[key] = await self._look_up(message)
        author, role_ids = self._found[key]
        return replace(message, author=author, role_ids=role_ids)

    async def _look_up(self, message: Message) -> tuple[Author, tuple[int, ...] | None]:
        guild = self._client.get_guild(message.guild_id or 0)
        if guild is None:
            return message.author, message.role_ids
        try:
            async with asyncio.timeout(_SECONDS):
                fetch = guild.fetch_member(message.author.id)
                member = await compat.request(self._client, self._client.rest, fetch)
        except _FAILURES:
            return message.author, message.role_ids
        return values.author(member), values.role_ids(member)
