"""Who may speak when: with a shelf of our own making, whose every failure can be chosen."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from bot.leadership.elector import Acquisition, LeaderElector, LeaseTiming
from bot.leadership.lease_record import HolderStatus, LeaseChanged, LeaseRecord, LeaseUnreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMING = LeaseTiming.of(75)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@dataclass
class Paper:
    """The one Lease that all shelves of a test show."""

    record: LeaseRecord = field(default_factory=lambda: LeaseRecord(version="0"))
    fates: dict[str, HolderStatus] = field(default_factory=dict)


@dataclass
class PaperShelf:
    """One process's view of the paper; `away` is why it cannot be seen."""

    me: str
    paper: Paper
    away: str = ""
    late: bool = False  # a write arrives, its answer does not

    async def read(self, shard: int) -> LeaseRecord:
        """See LeaseStore."""
        del shard
        if self.away:
            raise LeaseUnreachable(self.away)
        return self.paper.record

    async def write(self, shard: int, record: LeaseRecord) -> LeaseRecord:
        """See LeaseStore."""
        if (await self.read(shard)).version != record.version:
            raise LeaseChanged
        self.paper.record = replace(record, version=str(int(record.version) + 1))
        if self.late:
            self.late = False
            raise LeaseUnreachable("the answer was lost")
        return self.paper.record

    async def holder_status(self, shard: int, record: LeaseRecord) -> HolderStatus:
        """See LeaseStore."""
        await self.read(shard)
        return self.paper.fates.get(record.holder, HolderStatus.ALIVE)

    async def presence(self, holder: str) -> HolderStatus:
        """See LeaseStore."""
        await self.read(0)
        return self.paper.fates.get(holder, HolderStatus.ALIVE)

    async def version(self) -> str:
        """See LeaseStore."""
        return ""

    async def close(self) -> None:
        """See LeaseStore."""


@dataclass
class Process:
    """A process that wants to speak, and what its Lease told it."""

    name: str
    paper: Paper
    clock: Clock
    is_able: bool = True
    told: list[Acquisition | str] = field(default_factory=list)
    got: list[Mapping[str, str]] = field(default_factory=list)
    unfinished: bool = False
    ended: bool = False  # the process is no more, whatever its object says

    @property
    def is_leader(self) -> bool:
        """Whether anybody hears it."""
        return self.lease.is_leader and not self.ended

    def __post_init__(self) -> None:
        self.store = PaperShelf(self.name, self.paper)
        self.lease = LeaderElector(0, self.store, TIMING, self, self.clock)

    def annotations(self, shard: int) -> Mapping[str, str]:
        """See LeadershipListener."""
        return {"taken": f"{self.name} {shard}"}

    def can_lead(self, shard: int) -> bool:
        """See LeadershipListener."""
        return self.is_able and shard == 0

    def restore(self, shard: int, annotations: Mapping[str, str]) -> None:
        """See LeadershipListener."""

    def begin(self, shard: int, how: Acquisition, annotations: Mapping[str, str]) -> None:
        """See LeadershipListener."""
        del shard
        self.told.append(how)
        self.got.append(annotations)

    def end(self, shard: int, why: str) -> None:
        """See LeadershipListener."""
        del shard
        self.told.append(why)

    def pause(self, shard: int) -> None:
        """See LeadershipListener."""

    def parting(self, shard: int) -> Mapping[str, str]:
        """See LeadershipListener."""
        return self.annotations(shard)

    def parted(self, shard: int) -> None:
        """See LeadershipListener."""
        del shard
        self.told.append("parted")

    def resumed(self, shard: int) -> None:
        """See LeadershipListener."""
        del shard
        self.told.append("resumed")

    def idle(self, shard: int) -> bool:
        """See LeadershipListener."""
        del shard
        return not self.unfinished

    def gave(self, shard: int) -> None:
        """See LeadershipListener."""
        del shard
        self.told.append("gave")


@dataclass
class Two:
    """Two processes of one bot."""

    clock: Clock = field(default_factory=Clock)
    paper: Paper = field(default_factory=Paper)

    def __post_init__(self) -> None:
        self.old = Process("old", self.paper, self.clock)
        self.new = Process("new", self.paper, self.clock)

    async def pass_by(self, seconds: float, *processes: Process, step: float = 0.5) -> None:
        """Let time pass, with these processes doing what they do."""
        until = self.clock.now + seconds
        due = dict.fromkeys(map(id, processes), self.clock.now)
        while self.clock.now < until:
            for each in processes:
                if due[id(each)] <= self.clock.now:
                    due[id(each)] = self.clock.now + max(step, await each.lease.step())
                each.lease.fence()
            assert not (self.old.is_leader and self.new.is_leader)
            self.clock.now += step


@pytest.fixture
async def two() -> Two:
    """The old one is the leader."""
    found = Two()
    await found.old.lease.step()
    await found.old.lease.step()
    await found.new.lease.step()
    assert found.old.lease.is_leader
    return found


async def test_the_first_to_come_speaks_and_the_next_waits(two: Two) -> None:
    await two.pass_by(300, two.old, two.new)

    assert two.old.told == [Acquisition.LET_GO]
    assert two.new.told == []


async def test_who_is_not_able_leaves_it_to_others() -> None:
    found = Two()
    found.old.is_able = False

    await found.pass_by(2, found.old, found.new)

    assert found.old.told == []
    assert found.new.told == [Acquisition.LET_GO]


async def test_who_lets_go_is_followed_at_once_by_one_who_knows_what_was_taken(two: Two) -> None:
    assert await two.old.lease.release(5)
    assert not two.old.lease.is_leader

    await two.new.lease.step()

    assert two.new.lease.is_leader
    assert two.new.told == [Acquisition.LET_GO]
    assert two.new.got[0]["taken"] == "old 0"


async def test_letting_go_is_tried_again_where_the_api_server_does_not_answer(two: Two) -> None:
    two.old.store.late = True

    released = asyncio.create_task(two.old.lease.release(5))
    await asyncio.sleep(0)
    assert not two.old.lease.is_leader
    await released
    await two.new.lease.step()

    assert two.new.told == [Acquisition.LET_GO]


async def test_one_that_cannot_renew_is_silent_before_another_speaks(two: Two) -> None:
    """The standby sees the API server all the time, and nothing of the old one's renewals."""
    two.old.store.away = "cut off"
    began = two.clock.now

    await two.pass_by(200, two.old, two.new)

    assert two.old.told == [Acquisition.LET_GO, "it could not be renewed in time"]
    assert two.new.told == [Acquisition.EXPIRED]
    assert two.clock.now - began > TIMING.lasts


@pytest.mark.parametrize("renewing", [0.0, 0.5], ids=["at once", "after renewals"])
async def test_its_end_is_told_when_it_comes(renewing: float) -> None:
    """By the real clock: nothing looks at the Lease until then."""
    timing = LeaseTiming.of(1.5)
    process = Process("one", Paper(), Clock())
    process.lease = LeaderElector(0, process.store, timing, process)
    running = asyncio.create_task(process.lease.run())
    while not process.told:  # noqa: ASYNC110 - a speaker is told, it does not tell
        await asyncio.sleep(0.01)
    await asyncio.sleep(renewing)

    process.store.away = "cut off"
    cut_off = time.monotonic()
    while len(process.told) == 1:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    passed = time.monotonic() - cut_off
    running.cancel()

    assert process.told[1] == "it could not be renewed in time"
    assert timing.lasts - timing.margin - timing.renew - 0.2 < passed < timing.lasts


async def test_a_minute_without_the_api_server_silences_nobody(two: Two) -> None:
    await two.pass_by(2.9, two.old, two.new)
    for each in (two.old, two.new):
        each.store.away = "away"
    await two.pass_by(60, two.old, two.new)
    assert two.old.lease.is_leader
    for each in (two.old, two.new):
        each.store.away = ""

    await two.pass_by(300, two.old, two.new)

    assert two.old.told == [Acquisition.LET_GO]
    assert two.new.told == []


async def test_after_a_longer_outage_the_same_one_speaks_again_and_knows_that_it_was_silent(
    two: Two,
) -> None:
    two.old.store.away = "away"
    await two.pass_by(120, two.old)
    assert not two.old.lease.is_leader
    two.old.store.away = ""

    await two.pass_by(5, two.old)

    assert two.old.told == [Acquisition.LET_GO, "it could not be renewed in time", Acquisition.OURS]


async def test_a_restarted_container_speaks_at_once_under_its_pods_name(two: Two) -> None:
    again = Process("old", two.paper, two.clock)

    await again.lease.step()

    assert again.told == [Acquisition.OURS]


async def test_a_holder_that_ended_is_succeeded_at_once(two: Two) -> None:
    two.paper.fates["old"], two.old.ended = HolderStatus.ENDED, True
    began = two.clock.now

    await two.pass_by(5, two.new)

    assert two.new.told == [Acquisition.ENDED]
    assert two.clock.now - began < 10


async def test_a_deleted_pod_is_given_time_to_end(two: Two) -> None:
    """Its process still renews, and then it still finishes what it took."""
    two.paper.fates["old"] = HolderStatus.GONE
    await two.pass_by(60, two.old, two.new)
    assert two.new.told == []

    two.old.ended = True
    await two.pass_by(TIMING.ending - TIMING.renew - 1, two.new)
    assert two.new.told == []
    await two.pass_by(5, two.new)

    assert two.new.told == [Acquisition.GONE]


async def test_one_whose_lease_was_taken_stops_when_it_sees_that(two: Two) -> None:
    two.paper.record = replace(two.paper.record.taken("new"), version="99")

    await two.old.lease.step()

    assert not two.old.lease.is_leader
    assert two.old.told == [Acquisition.LET_GO, "taken over by new"]


async def test_a_write_of_somebody_else_is_no_reason_to_stop(two: Two) -> None:
    """An annotation by hand, say."""
    two.paper.record = replace(two.paper.record, version="99")

    await two.pass_by(10, two.old, two.new)

    assert two.old.told == [Acquisition.LET_GO]


async def test_a_lease_is_given_to_who_asks_when_everything_taken_is_finished(two: Two) -> None:
    two.old.unfinished = True
    assert await two.new.lease.ask()
    await two.pass_by(4, two.old)
    assert two.old.lease.asked_by == "new"

    two.old.lease.give("new")
    assert not two.old.lease.is_leader
    await two.pass_by(5, two.old, two.new)
    assert two.new.told == []
    two.old.unfinished = False
    await two.pass_by(5, two.old, two.new)

    assert two.old.told == [Acquisition.LET_GO, "gave"]
    assert two.new.told == [Acquisition.LET_GO]
    assert two.new.lease.kept_for == ""


async def test_who_leaves_is_given_nothing_that_it_asked_for(two: Two) -> None:
    assert await two.new.lease.ask()
    await two.pass_by(4, two.old)
    assert two.old.lease.asked_by == "new"
    two.old.unfinished = True
    two.old.lease.give("new")

    await two.new.lease.decline()
    await two.pass_by(4, two.old)
    two.old.unfinished = False
    await _given(two)

    third = Process("third", two.paper, two.clock)
    await third.lease.step()
    assert third.lease.kept_for == ""
    assert third.told == [Acquisition.LET_GO]


async def test_a_wish_that_is_taken_back_is_no_wish(two: Two) -> None:
    assert await two.new.lease.ask()
    await two.new.lease.decline()

    await two.pass_by(8, two.old)

    assert two.old.lease.asked_by == ""
    assert two.old.is_leader


async def test_a_lease_that_was_kept_for_who_leaves_is_free_for_all(two: Two) -> None:
    assert await two.new.lease.ask()
    await two.pass_by(4, two.old)
    two.old.lease.give("new")
    await _given(two)
    assert two.paper.record.annotations["for"] == "new"

    await two.new.lease.decline()

    assert two.paper.record.holder == ""
    assert two.paper.record.annotations["for"] == ""


async def test_a_lease_whose_taking_was_cut_off_is_let_go(two: Two) -> None:
    assert await two.old.lease.release(1)
    two.new.store.late = True
    with pytest.raises(asyncio.CancelledError):
        await _cut_off(two.new)
    assert two.paper.record.holder == "new"

    await two.new.lease.release(1)

    assert two.paper.record.holder == ""


async def _given(two: Two) -> None:
    while "gave" not in two.old.told:
        await two.old.lease.step()
        two.clock.now += 1


async def _cut_off(process: Process) -> None:
    """Take the Lease, and be cancelled before the answer to that comes."""
    step = asyncio.current_task()
    assert step is not None
    write = process.store.write

    async def cut(shard: int, record: LeaseRecord) -> LeaseRecord:
        process.store.late = False
        await write(shard, record)
        step.cancel()
        await asyncio.sleep(1)
        raise AssertionError

    process.store.write = cut  # type: ignore[method-assign]
    try:
        await process.lease.step()
    finally:
        process.store.write = write  # type: ignore[method-assign]
        step.uncancel()


async def test_an_answer_that_nobody_understands_is_an_outage_and_not_the_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightkube raises a ValueError where the API server answers with a page of HTML."""
    paper, clock = Paper(), Clock()
    holder = Process("a", paper, clock)
    await holder.lease.step()
    assert holder.is_leader

    async def odd(*_: object) -> LeaseRecord:
        raise ValueError("Expecting value")

    with monkeypatch.context() as patched:
        patched.setattr(holder.store, "write", odd)
        await holder.lease.step()
    assert "ValueError" in holder.lease.trouble
    assert next(each.getMessage() for each in caplog.records) == "task failed"

    await holder.lease.step()

    assert holder.lease.trouble == ""
    assert holder.is_leader
