"""What the bot asks of Discord's REST API: say, edit, show that it is typing, look up a message.

discord.py waits out the rate limits and repeats after 500, 502, 504 and 524. Repeated here is what
it lets through: 503, a connection that broke, silence, and a client that is being replaced. No
message is doubled by that: Discord drops a second one with the same nonce.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol, TypeVar

import aiohttp
import discord

from bot import discord_values, sight
from bot.errors import DiscordDown, MayNotSpeak, PlaceGone, Unsaid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.messages import Message
    from bot.metrics import Metrics
    from bot.pace import Gate

T = TypeVar("T")

_ATTEMPT_SECONDS = 30.0  # longer than the longest wait for a place in a channel's limit
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
_LOGIN_SECONDS = 900.0  # a person sets a new token; after that the words are stale
_SILENT = discord.AllowedMentions.none()


class Outbox(Protocol):
    """Where answers go. All methods raise Unsaid if Discord does not take it."""

    async def send(self, to: Message, text: str, nonce: str) -> int:
        """Reply to `to`, mentioning nobody; returns the new message's id."""

    async def edit(self, channel_id: int, message_id: int, text: str, *, patient: bool) -> None:
        """Replace a message's text; `patient` repeats after failures that may pass."""

    async def typing(self, channel_id: int) -> None:
        """Show for ten seconds that an answer is being written."""


class Channels:
    """Discord's channels, through whichever client is logged in now."""

    def __init__(
        self,
        client: Callable[[], discord.Client | None],
        metrics: Metrics,
        gate: Gate,
        logged_in: Callable[[], Awaitable[object]],
    ) -> None:
        self._client = client
        self._metrics = metrics
        self._gate = gate
        self._logged_in = logged_in

    async def send(self, to: Message, text: str, nonce: str) -> int:
        """See Outbox."""

        async def call(client: discord.Client) -> int:
            place = client.get_partial_messageable(to.channel_id, guild_id=to.guild_id)
            reference = discord.MessageReference(
                message_id=to.id,
                channel_id=to.channel_id,
                guild_id=to.guild_id,
                fail_if_not_exists=False,  # a deleted question still gets its answer
            )
            sent = await place.send(
                text,
                reference=reference,
                nonce=nonce,
                allowed_mentions=_SILENT,
                mention_author=False,
            )
            return sent.id

        return await self._ask("send", call, _PAUSES)

    async def edit(self, channel_id: int, message_id: int, text: str, *, patient: bool) -> None:
        """See Outbox."""
        if self._gate.behind and not patient:
            self._metrics.calls.labels("edit", "left_out").inc()
            raise DiscordDown("left out: so much else is waiting")

        async def call(client: discord.Client) -> None:
            place = client.get_partial_messageable(channel_id)
            message = place.get_partial_message(message_id)
            await message.edit(content=text, allowed_mentions=_SILENT)

        await self._ask("edit", call, _PAUSES if patient else ())

    async def typing(self, channel_id: int) -> None:
        """See Outbox."""

        async def call(client: discord.Client) -> None:
            await client.get_partial_messageable(channel_id).typing()

        await self._ask("typing", call, ())

    async def fetch(self, channel_id: int, message_id: int) -> Message | None:
        """See chain.History."""

        async def call(client: discord.Client) -> Message:
            place = client.get_partial_messageable(channel_id)
            return discord_values.read(await place.fetch_message(message_id))

        with contextlib.suppress(PlaceGone, MayNotSpeak):
            return await self._ask("fetch", call, _PAUSES[:2])
        return None

    async def recent(self, channel_id: int, before: int, most: int) -> list[Message] | None:
        """See chain.History."""

        async def call(client: discord.Client) -> list[Message]:
            place = client.get_partial_messageable(channel_id)
            found = place.history(limit=most, before=discord.Object(before))
            return [discord_values.read(each) async for each in found][::-1]

        with contextlib.suppress(Unsaid):
            return await self._ask("history", call, _PAUSES[:1])
        return None

    def may_read(self, message: Message, channel_id: int) -> bool:
        """See chain.History."""
        client = self._client()
        guild = client.get_guild(message.guild_id) if client and message.guild_id else None
        return sight.may_read(guild, message, channel_id)

    async def _ask(
        self,
        name: str,
        call: Callable[[discord.Client], Awaitable[T]],
        pauses: tuple[float, ...],
    ) -> T:
        """Call with the present client, again after each of `pauses` while it may still succeed."""
        for pause in (*pauses, None):
            if pauses:
                await self._wait_for_login()
            await self._gate()
            try:
                result = await self._once(call)
            except Unsaid as error:
                self._metrics.calls.labels(name, error.label).inc()
                if pause is None or not isinstance(error, DiscordDown):
                    raise
                await asyncio.sleep(pause)
            else:
                self._metrics.calls.labels(name, "ok").inc()
                return result
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _wait_for_login(self) -> None:
        """Keep what is to be said while the token is exchanged: its answer is already paid."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOGIN_SECONDS):
                await self._logged_in()

    async def _once(self, call: Callable[[discord.Client], Awaitable[T]]) -> T:
        client = self._client()
        if client is None or client.is_closed():
            raise DiscordDown("no client is logged in")
        try:
            async with asyncio.timeout(_ATTEMPT_SECONDS):
                return await call(client)
        except discord.Forbidden as error:
            raise MayNotSpeak(f"code {error.code}") from error
        except discord.NotFound as error:
            raise PlaceGone(f"code {error.code}") from error
        except (discord.DiscordServerError, discord.RateLimited) as error:
            raise DiscordDown(type(error).__name__) from error
        except discord.HTTPException as error:
            if error.status in {401, 429}:  # the token was replaced; Discord's edge blocks us
                raise DiscordDown(f"status {error.status}") from error
            raise MayNotSpeak(f"status {error.status}, code {error.code}") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise DiscordDown(type(error).__name__) from error
        except RuntimeError as error:  # aiohttp's word for a session closed under a call
            if not client.is_closed():
                raise
            raise DiscordDown("the client was closed") from error
