"""What was said while the bot could not hear: after a gap, each call without an answer is taken.

Discord sends again what a resumed session missed. A new session begins with nothing, so Discord's
REST API is asked, only in channels whose last message is newer than the last one that was heard.
Direct messages are looked for in those channels that this process has heard from: Discord lists
none to a bot.

Ids tell the time here, by Discord's own clock, which need not be this machine's.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING

import aiohttp
import discord

from bot import discord_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.desk import Desk
    from bot.metrics import Metrics
    from bot.pace import Gate

log = logging.getLogger(__name__)

_OVERLAP = 5_000 << 22  # milliseconds in an id: those of two channels are not strictly in order
_MOST = 200  # messages that are read in one channel
_AT_ONCE = 4  # channels that are read at once
_DIRECT_CHANNELS = 200  # remembered
_ATTEMPTS = 3
_CLOCKS_DIFFER = timedelta(seconds=60)
_TRANSIENT = (aiohttp.ClientError, OSError, TimeoutError, discord.HTTPException)


class CatchUp:
    """Knows up to where the bot has heard, and reads what it has not."""

    def __init__(self, desk: Desk, gate: Gate, metrics: Metrics) -> None:
        self._desk = desk
        self._gate = gate
        self._metrics = metrics
        self._heard: int | None = None
        self._began: int | None = None
        self._owed: int | None = None  # the mark from which on something may have been missed
        self._direct: OrderedDict[int, None] = OrderedDict()

    def heard(self, message_id: int, direct_channel: int | None) -> None:
        """Note a message that arrived; `direct_channel` is where, if it was a direct message."""
        self._heard = max(self._heard or 0, message_id)
        if direct_channel is not None:
            self._direct[direct_channel] = None
            self._direct.move_to_end(direct_channel)
            if len(self._direct) > _DIRECT_CHANNELS:
                self._direct.popitem(last=False)

    def gap(self) -> None:
        """Note that from now on messages may be missed."""
        if self._owed is None:
            self._owed = self._began if self._heard is None else self._heard

    def opened(self) -> None:
        """Note a new session. What was said before the first one is not for this process.

        Until the servers are known, the mark of the first one is this machine's clock, with room.
        """
        self.gap()
        self._began = discord.utils.time_snowflake(discord.utils.utcnow() - _CLOCKS_DIFFER)

    def resumed(self) -> None:
        """Note that Discord has sent again what was missed."""
        self._owed = None

    async def run(self, client: discord.Client) -> None:
        """Take what was missed since the gap began; `client` is READY and knows its servers."""
        newest = max((last for _, last in _channels(client)), default=0)
        since, self._heard = self._owed, max(self._heard or 0, newest)
        if since is None:
            return
        missed = [
            client.get_partial_messageable(channel_id, guild_id=guild_id)
            for (channel_id, guild_id), last in _channels(client)
            if last > since - _OVERLAP
        ]
        missed += [client.get_partial_messageable(channel_id) for channel_id in self._direct]
        places = asyncio.Semaphore(_AT_ONCE)

        async def read(channel: discord.PartialMessageable) -> bool:
            async with places:
                return await self._read(client, channel, since - _OVERLAP)

        whole = all(await asyncio.gather(*map(read, missed)))
        if whole:
            self._owed = None
        log.info("caught up", extra={"channels": len(missed), "complete": whole})

    async def _read(
        self, client: discord.Client, channel: discord.PartialMessageable, since: int
    ) -> bool:
        """Take the calls of one channel; False if it could not be read and may be later."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._gate()
                after = discord.Object(max(since, 0))
                found = [each async for each in channel.history(limit=_MOST, after=after)]
            except (discord.Forbidden, discord.NotFound):
                return True
            except RuntimeError:  # aiohttp's word for a session closed under a call
                if not client.is_closed():
                    raise
                return False
            except _TRANSIENT as error:
                what = {"channel_id": channel.id, "error": type(error).__name__}
                log.warning("catching up failed", extra=what)
                await asyncio.sleep(attempt)
            else:
                self._take(client, found)
                return True
        return False

    def _take(self, client: discord.Client, found: list[discord.Message]) -> None:
        me = client.user.id if client.user else 0
        answered = set(_answered(found, me))
        for message in found:
            if message.id not in answered and self._desk.missed(discord_values.read(message), me):
                self._metrics.caught_up.inc()


def _answered(messages: Iterable[discord.Message], me: int) -> Iterator[int]:
    for message in messages:
        if message.author.id == me and message.reference and message.reference.message_id:
            yield message.reference.message_id


def _channels(client: discord.Client) -> Iterator[tuple[tuple[int, int], int]]:
    """Every channel and thread that can be read, with its server and the id of its last message."""
    for guild in client.guilds:
        for channel in (*guild.channels, *guild.threads):
            last = getattr(channel, "last_message_id", None)
            if last and channel.permissions_for(guild.me).read_message_history:
                yield (channel.id, guild.id), last
