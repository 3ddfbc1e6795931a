"""Who speaks for a shard: the one that holds its Lease, and only while that is certain.

Whoever holds it renews it, and falls silent before another may take it. Whoever does not hold it
looks, and takes it when it is free: let go by its holder; held by this pod's own earlier life; its
holder's process has ended; its holder's pod is deleted and was given time to end; or it was not
renewed for as long as it lasts.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from typing import TYPE_CHECKING, Protocol

from bot.lease_record import Fate, LeaseAway, LeaseChanged, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.lease_record import Shelf
    from bot.lease_timing import Timing

log = logging.getLogger(__name__)


class How(enum.Enum):
    """How a Lease came free. After all but the first, nobody knows what was left undone."""

    LET_GO = "let go"
    OURS = "ours from before"
    ENDED = "its holder ended"
    GONE = "its holder's pod is gone"
    EXPIRED = "it expired"


class Speaker(Protocol):
    """Who is told when this process begins and ends to speak for a shard."""

    def notes(self, shard: int) -> Mapping[str, str]:
        """Write down what a successor has to know."""

    def able(self, shard: int) -> bool:
        """Whether it could speak now."""

    def begin(self, shard: int, how: How, notes: Mapping[str, str]) -> None:
        """Begin to speak."""

    def end(self, shard: int, why: str) -> None:
        """Stop at once, what is half said included: another may speak any moment."""


class Lease:
    """One shard's Lease, as this process sees it."""

    def __init__(
        self,
        shard: int,
        shelf: Shelf,
        timing: Timing,
        speaker: Speaker,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.shard = shard
        self._shelf = shelf
        self._timing = timing
        self._speaker = speaker
        self._clock = clock
        self._holding = False
        self._until = -1.0  # from then on another may speak
        self._record: Record | None = None
        self._changed = clock()  # when the record was first seen as it is
        self._asked = -float("inf")  # when the holder's fate was asked for last
        self.reached = clock()  # when the shelf answered last; at first, when it was made
        self.trouble = "the Lease was not read yet"  # why it cannot be, empty when it can

    @property
    def speaking(self) -> bool:
        """Whether this process may speak now."""
        return self._holding and self._clock() < self._until

    @property
    def known(self) -> bool:
        """Whether it was ever looked at."""
        return self._record is not None

    @property
    def holder(self) -> str:
        """Who held it when it was last looked at."""
        return self._record.holder if self._record else ""

    @property
    def age(self) -> float:
        """Seconds since it was last seen renewed."""
        return self._clock() - self._changed

    async def run(self) -> None:
        """Renew or look, again and again, until cancelled."""
        fence = asyncio.create_task(self._fence())
        try:
            while True:
                pause = await self.step()
                await asyncio.sleep(pause)
        finally:
            fence.cancel()

    async def step(self) -> float:
        """Renew or look once; returns the seconds until the next time.

        A Lease that was just taken is renewed at once, so that it says what its new holder knows.
        """
        held = self._holding
        try:
            async with asyncio.timeout(self._timing.patience):
                await (self._renew() if held else self._look())
        except LeaseChanged:
            self._reached()  # somebody was quicker: look again
        except (LeaseAway, TimeoutError) as error:
            self._away(str(error) or "the API server does not answer")
            return self._timing.retry
        else:
            self._reached()
        if not self._holding:
            return self._timing.look
        return self._timing.renew if held else 0.0

    async def release(self, seconds: float) -> bool:
        """Stop speaking at once and let the Lease go, with what the successor has to know.

        Tries for `seconds`. `run` must have been cancelled before.
        """
        record = self._record
        if not self._holding or record is None:
            return True
        self._holding = False
        notes = self._speaker.notes(self.shard)
        deadline = self._clock() + seconds
        while self._clock() < min(deadline, self._until):
            try:
                async with asyncio.timeout(self._timing.patience):
                    await self._shelf.write(self.shard, record.let_go(notes))
            except LeaseChanged:
                record = await self._read_again() or record
                if record.holder != self._shelf.me:
                    return False
            except (LeaseAway, TimeoutError) as error:
                self._away(str(error))
                await asyncio.sleep(self._timing.retry)
            else:
                log.info("lease let go", extra={"shard": self.shard})
                return True
        return False

    async def _read_again(self) -> Record | None:
        try:
            async with asyncio.timeout(self._timing.patience):
                return await self._shelf.read(self.shard)
        except (LeaseAway, TimeoutError):
            return None

    async def _look(self) -> None:
        record = await self._shelf.read(self.shard)
        self._see(record)
        how = await self._vacancy(record)
        if how is None or not self._speaker.able(self.shard):
            return
        began = self._clock()
        written = await self._shelf.write(self.shard, record.taken(self._shelf.me))
        self._see(written)
        self._holding = True
        self._until = began + self._timing.lasts - self._timing.margin
        extra = {"shard": self.shard, "holder": self._shelf.me, "before": record.holder}
        log.info("lease taken", extra={**extra, "how": how.value})
        self._speaker.begin(self.shard, how, record.notes)

    async def _vacancy(self, record: Record) -> How | None:
        if not record.holder:
            return How.LET_GO
        if record.holder == self._shelf.me:
            return How.OURS
        if self.age > self._timing.lasts:
            return How.EXPIRED
        if self._clock() - self._asked < self._timing.retry:
            return None
        self._asked = self._clock()
        fate = await self._shelf.fate(self.shard, record)
        if fate is Fate.GONE:
            return How.GONE if self.age > self._timing.ending else None
        return How.ENDED if fate is Fate.ENDED else None

    async def _renew(self) -> None:
        assert self._record is not None
        notes = self._speaker.notes(self.shard)
        began = self._clock()
        try:
            written = await self._shelf.write(self.shard, self._record.kept(notes))
        except LeaseChanged:
            current = await self._shelf.read(self.shard)
            if current.holder != self._shelf.me:
                self._see(current)
                self._stop(f"taken over by {current.holder or 'nobody'}")
                return
            began = self._clock()
            written = await self._shelf.write(self.shard, current.kept(notes))
        self._see(written)
        if self._holding:  # it may have been too late for that
            self._until = began + self._timing.lasts - self._timing.margin

    async def _fence(self) -> None:
        while True:
            await asyncio.sleep(self._timing.margin / 20)
            if self._holding and self._clock() >= self._until:
                self._stop("it could not be renewed in time")

    def _stop(self, why: str) -> None:
        self._holding = False
        log.error("lease lost", extra={"shard": self.shard, "reason": why})
        self._speaker.end(self.shard, why)

    def _see(self, record: Record) -> None:
        if self._record is None or record.version != self._record.version:
            self._changed = self._clock()
            if self._record is not None and record.holder != self._record.holder:
                extra = {"shard": self.shard, "holder": record.holder}
                log.info("lease holder changed", extra=extra)
        self._record = record

    def _reached(self) -> None:
        self.reached = self._clock()
        if self.trouble:
            log.info("lease within reach", extra={"shard": self.shard, "holder": self.holder})
            self.trouble = ""

    def _away(self, why: str) -> None:
        if self.trouble != why:
            log.warning("lease out of reach", extra={"shard": self.shard, "reason": why})
            self.trouble = why
