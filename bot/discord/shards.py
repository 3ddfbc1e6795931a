"""The gateway sessions: one for each shard that this process serves.

With one shard, its session is always open, so that a standby receives everything. With more, a
shard's session begins when this process takes its Lease and ends when it releases it; the backfill
finds messages that were posted in between.

Discord allows only a few shards to identify within five seconds: shards whose numbers differ by a
multiple of its `max_concurrency` wait for each other. Other pods are not coordinated: an identify
that comes too soon after one of theirs is refused and repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.discord.session import sample_every_second
from bot.domain.messages import shard_of
from bot.observability import tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.discord.backfill import Backfill
    from bot.discord.client import GatewayClient
    from bot.discord.session import Connection, HeartbeatMonitor
    from bot.observability.metrics import Metrics

log = logging.getLogger(__name__)


_SECONDS = 5.1


class IdentifyLimiter:
    """Lets the shards of this process through, one after the other where they have to wait."""

    def __init__(self, shards: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._shards = shards
        self._clock = clock
        self._concurrency = 0  # 0: not known yet
        self._next: dict[int, float] = {}

    async def __call__(self, shard: int, ask: Callable[[], Awaitable[tuple[int, int]]]) -> None:
        """Wait for the shard's turn.

        `ask` gives how many shards Discord recommends, and its `max_concurrency`.
        """
        if self._shards == 1:
            return
        if not self._concurrency:
            recommended, self._concurrency = await ask()
            if recommended > self._shards:
                numbers = {"recommended": recommended, "shards": self._shards}
                log.warning("Discord recommends more shards: set discord.shards", extra=numbers)
        key, now = shard % max(1, self._concurrency), self._clock()
        at = max(now, self._next.get(key, now))
        self._next[key] = at + _SECONDS
        await asyncio.sleep(at - now)


@dataclass(frozen=True, slots=True)
class ShardSession:
    """One shard's session."""

    heartbeat: HeartbeatMonitor
    connection: Connection
    backfill: Backfill

    async def run(self, metrics: Metrics, is_leader: Callable[[], bool]) -> None:
        """Stay connected until cancelled."""
        heartbeat, latency = self.heartbeat, self.connection.latency
        works: dict[str, Callable[[], Awaitable[None]]] = {
            "heartbeat_monitor": lambda: sample_every_second(heartbeat, latency, metrics),
            "backfill": lambda: self.backfill.keep(is_leader),
            "gateway_session": self.connection.run,
        }
        async with tasks.Group() as group:
            for name, work in works.items():
                group.start(tasks.keep_running(work, name), name)


class ShardManager:
    """All sessions of this process; their HandoverState is that of the Backfill."""

    name = "heard"

    def __init__(
        self,
        shards: int,
        make: Callable[[int], ShardSession],
        is_leader: Callable[[int], bool],
        metrics: Metrics,
    ) -> None:
        """Create sessions on demand; `is_leader` says which shards this process leads."""
        self._shards, self._alone = shards, shards == 1
        self._make = make
        self._leading = is_leader
        self._metrics = metrics
        self._lines: dict[int, ShardSession] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._group: tasks.Group | None = None
        self._changed = asyncio.Event()

    def line(self, shard: int) -> ShardSession:
        """Return a shard's session, whether it is open or not."""
        if shard not in self._lines:
            self._lines[shard] = self._make(shard)
        return self._lines[shard]

    async def run(self) -> None:
        """Run the opened sessions, until cancelled."""
        async with tasks.Group() as group:
            self._group = group
            if self._alone:
                self.open(0)
            await asyncio.Event().wait()

    def open(self, shard: int) -> None:
        """Connect for a shard, unless it is already connected."""
        if shard in self._tasks or self._group is None:
            return
        running = self.line(shard).run(self._metrics, lambda: self._leading(shard))
        self._tasks[shard] = self._group.start(running, "shard")
        self._changed.set()

    def close(self, shard: int) -> None:
        """End a shard's session; with a single shard, the session continues."""
        if self._alone:
            return
        task = self._tasks.pop(shard, None)
        if task is not None:
            task.cancel()
        line = self._lines.pop(shard, None)
        if line is not None:
            line.heartbeat.leave()

    def not_ready(self, heartbeat_seconds: float) -> str | None:
        """Return why a session that should be open is not; None if all are."""
        open_ones = [self._lines[shard] for shard in sorted(self._tasks)]
        if self._alone and not open_ones:
            open_ones = [self.line(0)]
        reasons = (line.heartbeat.not_ready(heartbeat_seconds) for line in open_ones)
        return next((reason for reason in reasons if reason is not None), None)

    def latency(self) -> float:
        """Return the longest latency of the sessions."""
        return max((self._lines[each].connection.latency() for each in self._tasks), default=0.0)

    def client(self, guild_id: int | None = None) -> GatewayClient | None:
        """Return the client that knows a server, or any: REST is the same for all."""
        if guild_id is not None:
            line = self._lines.get(shard_of(guild_id, self._shards))
            return line.connection.client if line else None
        clients = [self._lines[each].connection.client for each in sorted(self._tasks)]
        usable = [each for each in clients if each is not None and not each.is_closed()]
        return next(iter(usable), None)

    async def logged_in(self) -> None:
        """Wait until one of them is logged in."""
        while True:
            events = [self._lines[each].connection.logged_in for each in self._tasks]
            if any(event.is_set() for event in events):
                return
            waits = {tasks.start(event.wait(), "login_waiter") for event in events}
            self._changed.clear()
            changed = tasks.start(self._changed.wait(), "login_waiter")
            try:
                done, _ = await asyncio.wait({*waits, changed}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in (*waits, changed):
                    each.cancel()
            if done - {changed}:
                return

    async def ever_open(self) -> None:
        """Wait until a session has begun."""
        while not self._tasks:
            self._changed.clear()
            await self._changed.wait()
        with contextlib.suppress(KeyError):
            await self._lines[min(self._tasks)].heartbeat.ever_open.wait()

    def dump(self, shard: int) -> str:
        """See HandoverState."""
        return self.line(shard).backfill.dump(shard)

    def load(self, shard: int, text: str) -> None:
        """See HandoverState. State of other processes matters only for a shard served here."""
        if shard in self._lines:
            self._lines[shard].backfill.load(shard, text)
