"""Leader election for one shard: acquire its Lease, renew it, and lead only while that is certain.

The holder renews the Lease, and stops leading before another process may acquire it. A process that
does not hold it polls it, and acquires it when it is free: released by its holder; held by an
earlier container of the same pod; its holder's process has ended; its holder's pod was deleted and
had time to end; or it was not renewed for as long as it lasts.

All times follow from how long a Lease lasts (`LeaseTiming`). A standby counts from when it saw a
renewal, the holder from before it sent it, so the holder's count ends first whatever their clocks
say, and `margin` earlier still. With 75 s: renewed every 3 s, silent after 73 s without a renewal.
A minute without the API server begins up to 3 s after a renewal and leaves 10 s to be noticed and
fixed.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bot.leadership.lease_record import (
    FOR,
    UNWANTED,
    WANTED,
    HolderStatus,
    LeaseChanged,
    LeaseRecord,
    LeaseUnreachable,
)
from bot.leadership.trial import predecessor_in
from bot.observability import tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.leadership.lease_record import LeaseStore

log = logging.getLogger(__name__)


class Acquisition(enum.Enum):
    """Why a Lease is free. Except after `LET_GO`, nobody knows what was left unfinished."""

    LET_GO = "let go"
    OURS = "ours from before"
    ENDED = "its holder ended"
    GONE = "its holder's pod is gone"
    EXPIRED = "it expired"


class LeadershipListener(Protocol):
    """Told when this process gains or loses leadership of a shard."""

    def annotations(self, shard: int) -> Mapping[str, str]:
        """Return what a successor has to know."""

    def can_lead(self, shard: int) -> bool:
        """Say whether this process could lead the shard now."""

    def restore(self, shard: int, annotations: Mapping[str, str]) -> None:
        """Load what another leader wrote."""

    def pause(self, shard: int) -> None:
        """Accept nothing more: the Lease goes to another process as soon as `idle`."""

    def idle(self, shard: int) -> bool:
        """Say whether everything that was accepted is finished."""

    def gave(self, shard: int) -> None:
        """Note that the Lease went to another process, after a pause."""

    def parting(self, shard: int) -> Mapping[str, str] | None:
        """Accept nothing more, and return what the process has to know that leads from now on.

        What was accepted is finished here, unless a failed trial returns it. None means that it is
        too early for that.
        """

    def parted(self, shard: int) -> None:
        """Note that the Lease went to another process; this one stays on standby."""

    def resumed(self, shard: int) -> None:
        """Note that the Lease stayed here after all: lead as before `parting`."""

    def begin(self, shard: int, how: Acquisition, annotations: Mapping[str, str]) -> None:
        """Begin to lead."""

    def end(self, shard: int, why: str) -> None:
        """Stop at once, even in the middle of a reply: another process may lead any moment."""


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """Durations in seconds, all derived from how long a Lease lasts."""

    lasts: float
    renew: float  # from one renewal to the next
    retry: float  # after a renewal that failed
    look: float  # between two polls of a standby
    patience: float  # timeout of one request to the API server, for a renewal
    hurry: float  # the same, while a successor waits for the Lease
    margin: float  # how much earlier than necessary the holder stops leading
    ending: float  # how long a deleted pod may run: terminationGracePeriodSeconds

    @classmethod
    def of(cls, lasts: float, shards: int = 1) -> LeaseTiming:
        """Derive the rest from how long a Lease lasts; with many shards, poll each less often."""
        return cls(
            lasts=lasts,
            renew=lasts / 25,
            retry=lasts / 75,
            look=min(0.5, lasts / 10) * max(1.0, shards / 4),
            patience=lasts / 15,
            hurry=lasts / 50,
            margin=lasts * 2 / 75,
            ending=lasts / 2,
        )


_FINISH_SECONDS = 15.0  # for finishing what was accepted of a shard that is handed over
_TELL_SECONDS = 15.0
_KEPT_SECONDS = 10.0  # for the process that a shard was released to


class LeaderElector:
    """One shard's Lease, as this process sees it."""

    def __init__(
        self,
        shard: int,
        store: LeaseStore,
        timing: LeaseTiming,
        listener: LeadershipListener,
        clock: Callable[[], float] = time.monotonic,
        *,
        attentive: bool = False,
    ) -> None:
        """`attentive`: as the holder, look for requests more often than the Lease is renewed."""
        self.shard = shard
        self._store = store
        self._timing = timing
        self._listener = listener
        self._clock = clock
        self._holding = False
        self._until = -1.0  # from then on another process may lead
        self._record: LeaseRecord | None = None
        self._changed = clock()  # when the record was first seen as it is
        self._giving: tuple[str, float] | None = None  # to whom, and until when it may wait
        self._parting: tuple[str, bool] | None = None  # to whom; and whether it must go there
        self._certain = True  # of being the holder: no write that gives the Lease away is open
        self._peek = min(timing.look * 2, timing.renew) if attentive else timing.renew
        self._renew_at = 0.0
        self._wake = asyncio.Event()
        self.asked_by = ""  # the process that asks for it
        self._asking = False  # whether this process asks for it
        # How it was acquired by a write that is under way, or was cut off.
        self._taking: Acquisition | None = None
        self._holder_status = HolderStatus.ALIVE  # of the holder, at the last check
        self._free_since: float | None = None
        self._told = -float("inf")  # when it was last logged that it cannot be reached
        self._asked = -float("inf")  # when the holder's status was last checked
        self.reached = clock()  # when the store answered last; initially the time of creation
        self.trouble = "the Lease was not read yet"  # why it cannot be reached; empty if it can

    @property
    def is_leader(self) -> bool:
        """Whether this process leads the shard now."""
        stays = self._giving is None and self._parting is None and self._certain
        return self._holding and stays and self._clock() < self._until

    @property
    def held(self) -> bool:
        """Whether this process holds the Lease, even while it is handing it over."""
        return self._holding

    @property
    def kept_for(self) -> str:
        """Name the process that the Lease was released to; for a while others leave it alone."""
        to = self._record.annotations.get(FOR, "") if self._record else ""
        return to if self.age < _KEPT_SECONDS else ""

    @property
    def known(self) -> bool:
        """Whether the Lease was ever read."""
        return self._record is not None

    @property
    def holder(self) -> str:
        """Name the holder when the Lease was last read."""
        return self._record.holder if self._record else ""

    @property
    def free_for(self) -> float:
        """Seconds since this process saw that the Lease is free."""
        return 0.0 if self._free_since is None else self._clock() - self._free_since

    @property
    def age(self) -> float:
        """Seconds since the last renewal was seen."""
        return self._clock() - self._changed

    async def run(self) -> None:
        """Renew or poll the Lease until cancelled."""
        fence = tasks.start(tasks.keep_running(self._fence, "fence"), "fence")
        try:
            while True:
                pause = await self.step()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                self._wake.clear()
        finally:
            fence.cancel()

    async def step(self) -> float:
        """Renew or poll once; returns the seconds until the next step.

        A Lease that was just acquired is renewed at once, so that it carries what its new holder
        knows.
        """
        held = self._holding
        hurry = not held or self._parting is not None
        try:
            async with asyncio.timeout(self._timing.hurry if hurry else self._timing.patience):
                await (self._keep() if held else self._look())
        except LeaseChanged:
            self._reached()  # another process was quicker: poll again
        except (LeaseUnreachable, TimeoutError) as error:
            self._away(str(error) or "the API server does not answer")
            return self._timing.look if hurry else self._timing.retry
        except Exception as error:  # noqa: BLE001  # whatever it is, the next time may go well
            tasks.report("lease", error)
            self._away(f"it cannot be understood ({type(error).__name__})")
            return self._timing.retry if held else self._timing.look
        else:
            self._reached()
        if not self._holding or self._giving is not None:
            return self._timing.look
        if self._parting is not None:
            return self._timing.look / 20
        return self._peek if held else 0.0

    async def ask(self) -> bool:
        """Ask the holder for the Lease; False if the request could not be written now."""
        try:
            async with asyncio.timeout(self._timing.patience):
                record = await self._store.read(self.shard)
                if not self._holding and record.holder:
                    await self._store.write(self.shard, record.asked(self._store.me))
                    self._asking = True
        except (LeaseChanged, LeaseUnreachable, TimeoutError):
            return False
        return True

    async def decline(self) -> None:
        """Withdraw the request: a process that is leaving would keep the others waiting."""
        if not self._asking:
            return
        me = self._store.me
        try:
            async with asyncio.timeout(self._timing.patience):
                record = await self._store.read(self.shard)
                if record.holder not in {"", me} or record.annotations.get(FOR) == me:
                    await self._store.write(self.shard, record.declined(me))
        except (LeaseChanged, LeaseUnreachable, TimeoutError):
            return  # it is tried again
        self._asking = bool(record.holder)  # its holder may be about to release it all the same

    def give(self, to: str) -> None:
        """Release the Lease to another process as soon as everything accepted is finished."""
        if self._holding and self._giving is None:
            log.info("lease will be handed over", extra={"shard": self.shard, "to": to})
            self._giving = (to, self._clock() + _FINISH_SECONDS)
            self._listener.pause(self.shard)

    def part(self, to: str, *, must: bool = False) -> None:
        """Stop leading at once and release the Lease to another process; this one stays.

        If it cannot be released now, this process goes on leading, unless it `must` go.
        """
        if self._holding and self._parting is None:
            log.info("lease will be yielded", extra={"shard": self.shard, "to": to})
            self._parting = to, must
            self._wake.set()

    def renew_soon(self) -> None:
        """Renew the Lease now: what others should know has changed."""
        self._renew_at = 0.0
        self._wake.set()

    def fence(self) -> None:
        """Stop leading if another process may lead from now on."""
        if self._holding and self._clock() >= self._until:
            self._stop("it could not be renewed in time")

    async def release(self, seconds: float) -> bool:
        """Stop leading at once and release the Lease, with what the successor has to know.

        Tries for `seconds`. `run` must have been cancelled before.
        """
        if self._taking and not self._holding:
            await self._let_go_of_what_was_just_taken()
        record = self._record
        if not self._holding or record is None:
            return True
        self._holding = False
        annotations = self._listener.annotations(self.shard)
        deadline, patience = self._clock() + seconds, self._timing.hurry
        while (left := min(deadline, self._until) - self._clock()) > 0:
            try:
                async with asyncio.timeout(min(left, patience)):
                    await self._store.write(self.shard, record.let_go(annotations))
            except LeaseChanged:
                record = await self._read_again() or record
                if record.holder != self._store.me:
                    return False
            except (LeaseUnreachable, TimeoutError) as error:
                self._away(str(error) or "the API server does not answer")
                patience = min(2 * patience, self._timing.patience)
                await asyncio.sleep(self._timing.look)
            else:
                log.info("lease released", extra={"shard": self.shard})
                return True
        return False

    async def _let_go_of_what_was_just_taken(self) -> None:
        """Undo a write that was cut off and may have arrived: nobody would lead for a term."""
        record = await self._read_again()
        if record is not None and record.holder == self._store.me:
            with contextlib.suppress(LeaseChanged, LeaseUnreachable, TimeoutError):
                async with asyncio.timeout(self._timing.patience):
                    await self._store.write(self.shard, record.let_go(record.annotations))

    async def _read_again(self) -> LeaseRecord | None:
        try:
            async with asyncio.timeout(self._timing.patience):
                return await self._store.read(self.shard)
        except (LeaseUnreachable, TimeoutError):
            return None

    async def _look(self) -> None:
        record = await self._store.read(self.shard)
        if self._see(record) and record.holder not in {"", self._store.me}:
            self._listener.restore(self.shard, record.annotations)
        how = await self._vacancy(record)
        self._free_since = (self._free_since or self._clock()) if how else None
        if how is None or not self._listener.can_lead(self.shard):
            return
        began = self._clock()
        self._taking = how
        written = await self._store.write(self.shard, record.taken(self._store.me))
        self._see(written)
        self._holding, self._taking, self._asking = True, None, False
        self._until = began + self._timing.lasts - self._timing.margin
        extra = {"shard": self.shard, "holder": self._store.me, "before": record.holder}
        log.info("lease acquired", extra={**extra, "how": how.value})
        self._listener.begin(self.shard, how, record.annotations)

    async def _vacancy(self, record: LeaseRecord) -> Acquisition | None:
        if not record.holder:
            return Acquisition.LET_GO
        if record.holder == self._store.me and (self._taking or await self._is_ours(record)):
            return self._taking or Acquisition.OURS
        if self.age > self._timing.lasts:
            return Acquisition.EXPIRED
        if record.holder == self._store.me:
            return None
        if self._clock() - self._asked >= self._timing.retry:
            self._asked = self._clock()
            self._holder_status = await self._store.holder_status(self.shard, record)
        if self._holder_status is HolderStatus.GONE:
            return Acquisition.GONE if self.age > self._timing.ending else None
        return Acquisition.ENDED if self._holder_status is HolderStatus.ENDED else None

    async def _is_ours(self, record: LeaseRecord) -> bool:
        """Whether an earlier container of this pod held it, and nobody should take over instead."""
        predecessor = predecessor_in(record)
        if not predecessor or predecessor == self._store.me:
            return True
        try:
            return await self._store.presence(predecessor) is not HolderStatus.ALIVE
        except LeaseUnreachable:  # it may be alive: the Lease is free when it expires
            return False

    async def _keep(self) -> None:
        if self._certain and self._parting is not None:
            await self._part(self._parting[0])
            return
        early = self._clock() < self._renew_at and self._giving is None
        if early and self._certain and self._peek < self._timing.renew:
            await self._look_for_requests()
            return
        await self._renew()
        if self._giving is None or not self._holding or self._record is None:
            return
        to, until = self._giving
        if self._listener.idle(self.shard) or self._clock() > until:
            annotations = {**self._listener.annotations(self.shard), FOR: to}
            self._see(await self._store.write(self.shard, self._record.let_go(annotations)))
            self._holding, self._giving = False, None
            log.info("lease handed over", extra={"shard": self.shard, "to": to})
            self._listener.gave(self.shard)

    async def _part(self, to: str) -> None:
        assert self._record is not None
        left = self._listener.parting(self.shard)
        if left is None:
            return
        annotations = {**left, FOR: to}
        self._certain = False  # until the answer is there: it may arrive and its answer not
        try:
            written = await self._store.write(self.shard, self._record.let_go(annotations))
        except LeaseChanged:  # by another request for it, say
            current = await self._store.read(self.shard)
            if current.holder == self._store.me:
                current = await self._store.write(self.shard, current.let_go(annotations))
            written = current
        self._see(written)
        self._parted()

    def _parted(self) -> None:
        self._holding, self._parting, self._certain = False, None, True
        log.info("lease yielded", extra={"shard": self.shard})
        self._listener.parted(self.shard)

    async def _look_for_requests(self) -> None:
        record = await self._store.read(self.shard)
        if record.holder == self._store.me:
            self._see(record)
            self.asked_by = record.annotations.get(WANTED, "")
        else:
            self._see(record)
            self._stop(f"taken over by {record.holder or 'nobody'}")

    async def _renew(self) -> None:
        assert self._record is not None
        annotations = self._listener.annotations(self.shard)
        if self._record.annotations.get(WANTED):  # seen before it was written
            annotations = {**annotations, WANTED: ""}
        began = self._clock()
        try:
            written = await self._store.write(self.shard, self._record.kept(annotations))
        except LeaseChanged:
            current = await self._store.read(self.shard)
            if current.holder != self._store.me:
                self._see(current)
                if self._certain:
                    self._stop(f"taken over by {current.holder or 'nobody'}")
                else:
                    self._parted()
                return
            self.asked_by = current.annotations.get(WANTED, "")
            if self._giving and self._giving[0] == current.annotations.get(UNWANTED):
                self._giving = ("", self._giving[1])
            began = self._clock()
            annotations = {**annotations, WANTED: "", UNWANTED: ""}
            written = await self._store.write(self.shard, current.kept(annotations))
        self._see(written)
        if self._holding:  # it may have been too late for that
            self._until = began + self._timing.lasts - self._timing.margin
            self._renew_at = began + self._timing.renew
            self._sure()

    def _sure(self) -> None:
        """Note that this process is the holder: a write that gave the Lease away had no effect."""
        if self._certain:
            return
        self._certain = True
        if self._parting is not None and not self._parting[1]:
            self._parting = None
            self._listener.resumed(self.shard)

    async def _fence(self) -> None:
        """Check the fence whenever it is due; a standby cannot be late within a term."""
        while True:
            term = self._timing.lasts - self._timing.margin
            left = self._until - self._clock() if self._holding else term
            await asyncio.sleep(max(left, self._timing.margin / 10))
            self.fence()

    def _stop(self, why: str) -> None:
        self._holding, self._giving, self._parting, self._certain = False, None, None, True
        log.error("lease lost", extra={"shard": self.shard, "reason": why})
        self._listener.end(self.shard, why)

    def _see(self, record: LeaseRecord) -> bool:
        """Note the current state of the Lease; return whether it changed."""
        new = self._record is None or record.version != self._record.version
        if new:
            self._changed = self._clock()
            if self._record is not None and record.holder != self._record.holder:
                extra = {"shard": self.shard, "holder": record.holder}
                log.info("lease holder changed", extra=extra)
        self._record = record
        return new

    def _reached(self) -> None:
        self.reached = self._clock()
        if self.trouble:
            log.info("lease reachable again", extra={"shard": self.shard, "holder": self.holder})
            self.trouble = ""
            self._told = -float("inf")

    def _away(self, why: str) -> None:
        """Note that the Lease cannot be reached; log that at first, then occasionally."""
        now = self._clock()
        if now - self._told > _TELL_SECONDS:
            self._told = now
            out_for = round(now - self.reached, 1)
            extra = {"shard": self.shard, "reason": why, "seconds": out_for}
            log.warning("lease unreachable", extra=extra)
        self.trouble = why
