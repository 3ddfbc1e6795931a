"""All Leases of this process: which shards it leads, and how shards are balanced between processes.

A process that holds fewer shards waits less for a free one, and asks for one of those that hold at
least two more. So an empty pod takes over first, and after a while nobody holds two more than
another.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from bot.domain.messages import shard_of
from bot.leadership.elector import LeaderElector, LeaseTiming
from bot.leadership.file_lease import FileLeaseStore
from bot.leadership.kubernetes_lease import KubernetesLeaseStore
from bot.observability import tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.leadership.elector import LeadershipListener
    from bot.leadership.lease_record import LeaseStore
    from bot.leadership.trial import Trial
    from bot.observability.metrics import Metrics
    from bot.settings.schema import Settings

log = logging.getLogger(__name__)


class Leadership(Protocol):
    """Which process leads which shard, as the dispatcher asks it."""

    def shard_of(self, guild_id: int | None) -> int:
        """Name the shard that a server belongs to; direct messages belong to the first."""

    def is_leader(self, shard: int) -> bool:
        """Say whether this process leads that shard now."""


class SingleProcess:
    """The leadership of a bot that has only one process."""

    def shard_of(self, guild_id: int | None) -> int:
        """See Leadership."""
        del guild_id
        return 0

    def is_leader(self, shard: int) -> bool:
        """See Leadership."""
        return not shard


_STEP_SECONDS = 2.0


def patience(held: int) -> float:
    """Return the seconds to leave a free shard to others, for a process that holds `held`."""
    return held * _STEP_SECONDS


def wanted(me: str, holders: Mapping[int, str], most: int) -> int | None:
    """Name the shard that `me` should ask for; None if it has its share, or as many as it may."""
    held = Counter(holder for holder in holders.values() if holder)
    mine = held[me]
    if mine >= most or not held or any(not holder for holder in holders.values()):
        return None
    richest, its = max(held.items(), key=lambda each: (each[1], each[0]))
    if its < mine + 2:
        return None
    return max(shard for shard, holder in holders.items() if holder == richest)


def gives(me: str, asker: str, holders: Mapping[int, str]) -> bool:
    """Say whether `me` should release a shard to `asker`."""
    held = Counter(holders.values())
    return bool(asker) and asker != me and held[me] >= held[asker] + 2


_ASK_SECONDS = 15.0  # between two requests for a shard
_SHARE_SECONDS = 0.25  # between two looks at what to give or to ask for
_FOR_ANOTHER_SECONDS = 3.0  # for which a Lease is left to the process that it was yielded to
_LAST_RESORT_SECONDS = 20.0  # for which a pod that failed its trial leaves a free Lease to others


def lease_store(settings: Settings, environ: Mapping[str, str]) -> LeaseStore:
    """Choose where Leases are kept: in the cluster if this is a pod, otherwise in files."""
    lease, shards = settings.lease, settings.discord.shards
    in_pod = lease.where == "auto" and "KUBERNETES_SERVICE_HOST" in environ
    if lease.where == "cluster" or in_pod:
        holder = lease.holder or socket.gethostname()
        return KubernetesLeaseStore(lease.name, shards, holder, lease.account, lease.seconds)
    return FileLeaseStore(lease.path(settings.discord.token_file), lease.holder)


class Coordinator:
    """All Leases of the bot, from this process's side."""

    def __init__(
        self,
        store: LeaseStore,
        settings: Settings,
        metrics: Metrics,
        trial: Trial,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hold no Lease yet; `run` acquires them."""
        self._store = store
        self._trial = trial
        self._clock = clock
        self.may_ask: Callable[[], bool] = lambda: True  # whether this process could answer now
        self._shards = settings.discord.shards
        self._most = settings.lease.shards_per_pod
        self._metrics = metrics
        self._timing = LeaseTiming.of(settings.lease.seconds, self._shards)
        self._leases: dict[int, LeaderElector] = {}
        self._running: list[asyncio.Task[None]] = []
        self._asked = -_ASK_SECONDS
        self._leaving = False

    def shard_of(self, guild_id: int | None) -> int:
        """See Leadership: Discord's own rule."""
        return shard_of(guild_id, self._shards)

    def is_leader(self, shard: int) -> bool:
        """See Leadership."""
        lease = self._leases.get(shard)
        return lease is not None and lease.is_leader

    def may_take(self, shard: int) -> bool:
        """Say whether it is this process's turn to acquire a free Lease."""
        lease = self._leases[shard]
        if self._shards == 1:
            if lease.kept_for not in {"", self._store.me} and lease.age < _FOR_ANOTHER_SECONDS:
                return False
            trial = self._trial
            return not trial.failure or trial.abandoned or lease.free_for >= _LAST_RESORT_SECONDS
        held = sum(each.held for each in self._leases.values())
        if held >= self._most or lease.kept_for not in {"", self._store.me}:
            return False
        return lease.kept_for == self._store.me or lease.free_for >= patience(held)

    def not_ready(self) -> str | None:
        """Explain why this process could not lead even if nobody else did; None if it could."""
        if not self._leases:
            return "the leader is not known yet"
        for lease in self._leases.values():
            silent = time.monotonic() - lease.reached
            long = silent > self._timing.lasts - self._timing.margin
            if lease.trouble and (long or not lease.known):
                return f"the leader is not known: {lease.trouble}"
        return None

    async def run(self, listener: LeadershipListener) -> None:
        """Hold or wait, for every shard, until cancelled."""
        attentive = self._trial.enabled
        self.adopt(
            {
                shard: LeaderElector(
                    shard, self._store, self._timing, listener, attentive=attentive
                )
                for shard in range(self._shards)
            }
        )
        self._running = [
            tasks.start(tasks.keep_running(each.run, "lease"), "lease")
            for each in self._leases.values()
        ]
        try:
            while True:
                self._measure()
                try:
                    await (self._decline() if self._leaving else self._share())
                except Exception as error:  # noqa: BLE001  # the next time may go well
                    tasks.report("share_shards", error)
                await asyncio.sleep(_SHARE_SECONDS if self._trial.enabled else 1)
        finally:
            await self._rest()

    def adopt(self, leases: dict[int, LeaderElector]) -> None:
        """Take these as the Leases of all shards."""
        self._leases = leases
        self._trial.on_failure = self._hand_back
        self._trial.on_given_back = self._renew_soon

    async def leave(self, seconds: float) -> None:
        """Stop leading at once and release every Lease; tries for `seconds`.

        From now on no shard is asked for, and one that was asked for is not acquired.
        """
        self._leaving = True
        await self._rest()
        released = (lease.release(seconds) for lease in self._leases.values())
        for result in await asyncio.gather(*released, return_exceptions=True):
            if isinstance(result, BaseException):
                tasks.report("release_leases", result)
        await self._decline()
        self._measure()

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()

    async def _share(self) -> None:
        """Release a shard to a process that has fewer, or ask for one."""
        if self._shards == 1:
            await self.consider_trial()
            return
        holders = {shard: lease.holder for shard, lease in self._leases.items()}
        for lease in self._leases.values():
            asker, lease.asked_by = lease.asked_by, ""
            if gives(self._store.me, asker, holders):
                lease.give(asker)
                return
        shard = wanted(self._store.me, holders, self._most)
        if shard is None or time.monotonic() - self._asked < _ASK_SECONDS:
            return
        if await self._leases[shard].ask():
            self._asked = time.monotonic()

    async def consider_trial(self) -> None:
        """Yield the Lease to a process of another revision, or ask for it as one."""
        lease = self._leases[0]
        asker, lease.asked_by = lease.asked_by, ""
        if lease.is_leader:
            if self._trial.may_yield(asker):
                self._trial.yield_to(asker)
                lease.part(asker)
        elif not lease.held and self._trial.wants(lease.holder) and self.may_ask():
            waited = self._clock() - self._asked
            if waited >= _ASK_SECONDS and await lease.ask():
                self._asked = self._clock()

    def _hand_back(self) -> None:
        self._leases[0].part(self._trial.predecessor, must=True)

    def _renew_soon(self) -> None:
        self._leases[0].renew_soon()

    async def _decline(self) -> None:
        for lease in self._leases.values():
            await lease.decline()

    async def _rest(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running = []

    def _measure(self) -> None:
        for lease in self._leases.values():
            shard = str(lease.shard)
            self._metrics.is_leader.labels(shard).set(lease.is_leader)
            self._metrics.lease_age.labels(shard).set(lease.age)
            unreachable = time.monotonic() - lease.reached if lease.trouble else 0.0
            self._metrics.lease_unreachable.labels(shard).set(unreachable)
