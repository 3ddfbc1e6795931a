"""Trials of a version: the real Lease, hand-over and trial, with every interleaving chosen."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.errors import BannedWord, ModelMissing, RequestRefused, Unchecked, Unexpected
from bot.domain.messages import Author, Message
from bot.leadership.coordinator import Coordinator
from bot.leadership.elector import Acquisition, LeaderElector, LeaseTiming
from bot.leadership.handover import Handover
from bot.leadership.handover_state import ProcessedMessages, StandbyBuffer
from bot.leadership.lease_record import HolderStatus, LeaseChanged, LeaseRecord, LeaseUnreachable
from bot.leadership.trial import Trial, TrialNote, predecessor_in
from bot.observability.metrics import Metrics
from bot.settings.schema import LeaseSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bot.leadership.handover_state import HandoverState
    from bot.leadership.trial import Calls

TIMING = LeaseTiming.of(75)
ENDING = 35.0


@dataclass
class World:
    """The Lease, Discord and the clock, which both pods see."""

    now: float = 1000.0
    record: LeaseRecord = field(default_factory=lambda: LeaseRecord(version="0"))
    fates: dict[str, HolderStatus] = field(default_factory=dict)
    shown: dict[int, str] = field(default_factory=dict)  # what people see: half, whole, error
    asked: list[Message] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)

    def clock(self) -> float:
        """Tell the time."""
        return self.now


@dataclass
class Store:
    """One pod's view of the Lease."""

    me: str
    world: World
    away: bool = False
    may_read_pods: bool = True
    late: bool = False  # a write arrives, its answer does not

    async def read(self, shard: int) -> LeaseRecord:
        """See LeaseStore."""
        del shard
        if self.away:
            raise LeaseUnreachable("away")
        return self.world.record

    async def write(self, shard: int, record: LeaseRecord) -> LeaseRecord:
        """See LeaseStore. Annotations are merged, as the API server does."""
        if (before := await self.read(shard)).version != record.version:
            raise LeaseChanged
        annotations = {**before.annotations, **record.annotations}
        version = str(int(record.version) + 1)
        self.world.record = replace(record, version=version, annotations=annotations)
        if self.late:
            self.late = False
            raise LeaseUnreachable("the answer was lost")
        return self.world.record

    async def holder_status(self, shard: int, record: LeaseRecord) -> HolderStatus:
        """See LeaseStore."""
        await self.read(shard)
        return self.world.fates.get(record.holder, HolderStatus.ALIVE)

    async def presence(self, holder: str) -> HolderStatus:
        """See LeaseStore."""
        await self.read(0)
        if not self.may_read_pods:
            raise LeaseUnreachable("may not")
        return self.world.fates.get(holder, HolderStatus.ALIVE)

    async def version(self) -> str:
        """See LeaseStore."""
        return f"main-{self.me}"

    async def close(self) -> None:
        """See LeaseStore."""


class Pod:
    """A bot whose answers take a few steps; a bad one raises in answers that `is_bad` names."""

    def __init__(self, world: World, name: str, is_bad: Callable[[int], bool]) -> None:
        self.world, self.name, self._is_bad = world, name, is_bad
        self.store = Store(name, world)
        revision = name.partition("-")[0]
        chosen = Settings(lease=LeaseSettings(revision=revision, trial=True))
        self.metrics = Metrics()
        self.trial = Trial(self.store, chosen, self.metrics, world.clock)
        self.coordinator = Coordinator(self.store, chosen, self.metrics, self.trial, world.clock)
        self.taken = ProcessedMessages(ENDING, world.clock)
        self.buffer = StandbyBuffer(world.clock)
        self.on_undelivered: Callable[[Message], None] = lambda _: None
        self.writing: set[int] = set()
        self.owed: int | None = None
        self.woken = 0
        self.oldest = 0  # id that is still answered
        self.alive = True
        self.leaving = False
        states: list[HandoverState] = [self.taken, self.trial.verdict, self.trial]
        handover = Handover(
            self, self, states, self.coordinator.may_take, self.metrics, trial=self.trial
        )
        self.handover = handover
        self.lease = LeaderElector(0, self.store, TIMING, handover, world.clock, attentive=True)
        self.coordinator.adopt({0: self.lease})
        world.pods.append(self)

    # What the dispatcher does.

    def hear(self, message: Message) -> None:
        """Receive a message that calls the bot."""
        if not self.lease.is_leader:
            self.buffer.put(0, message, 7)
        elif not self.leaving and self.taken.take(0, message.id):
            self._start(message.id)

    def _start(self, message_id: int) -> None:
        others = [each for each in self.world.pods if each is not self and each.alive]
        assert all(message_id not in each.writing for each in others), "written twice at once"
        assert self.world.shown.get(message_id) not in {"whole", "error"}, "answered twice"
        self.writing.add(message_id)

    def shard_of(self, guild_id: int | None) -> int:
        """See Requests."""
        del guild_id
        return 0

    def begin(self, shard: int) -> None:
        """See Requests."""
        for message, _ in self.buffer.pop(shard):
            self.hear(message)

    def buffered(self, shard: int) -> list[Message]:
        """See Requests."""
        return [message for message, _ in self.buffer.pop(shard)]

    def busy(self, shard: int) -> bool:
        """See Requests."""
        del shard
        return bool(self.writing)

    def abandon(self, shard: int) -> None:
        """See Requests."""
        for each in self.writing:
            self.taken.forget(shard, each)
        self.writing = set()

    def give_back(self, shard: int) -> Calls:
        """See Requests."""
        del shard
        calls: Calls = {each: (each,) for each in self.writing}
        self.writing = set()
        return calls

    def take_back(self, shard: int, calls: Calls) -> list[int]:
        """See Requests."""
        unheard = []
        for each in calls:
            if self.buffer.take(each) is None:
                unheard.append(each)
            elif each not in self.writing:
                self.taken.retake(shard, each)
                self._start(each)
        return unheard

    # The sessions and the backfill: Discord's history is `world.shown`.

    @property
    def backfill(self) -> Pod:
        """See Session."""
        return self

    def line(self, shard: int) -> Pod:
        """See Sessions."""
        del shard
        return self

    def open(self, shard: int) -> None:
        """See Sessions."""

    def close(self, shard: int) -> None:
        """See Sessions."""

    def follow(self) -> None:
        """See MissedMessages."""

    def succeed(self, unfinished: Sequence[int], buffered: Iterable[Message]) -> None:
        """See MissedMessages: whatever was asked may be unanswered."""
        del unfinished, buffered
        self.owed = 0

    def pause(self) -> None:
        """See MissedMessages."""

    def look_at(self, message: Message) -> None:
        """See MissedMessages."""
        self.check_from(message.id)

    def check_from(self, mark: int) -> None:
        """See MissedMessages."""
        self.owed = mark if self.owed is None else min(mark, self.owed)

    def check_again(self, message_ids: Iterable[int]) -> None:
        """See MissedMessages."""
        for each in message_ids:
            if each >= self.oldest:
                self.check_from(each)

    def wake(self) -> None:
        """See MissedMessages."""
        self.woken += 1

    def read_history(self) -> None:
        """Run the backfill, if one is due."""
        if self.owed is None or not self.lease.is_leader or self.leaving:
            return
        since, self.owed = self.owed, None
        for message in self.world.asked:
            open_ = self.world.shown.get(message.id) not in {"whole", "error"}
            if message.id >= since and open_ and message.id not in self.taken:
                self.hear(message)

    # What happens by and by.

    def answer(self) -> None:
        """Go on with the oldest answer: half of it is shown, and then the rest."""
        if not self.writing:
            return
        message_id = min(self.writing)
        if message_id not in self.world.shown:
            self.world.shown[message_id] = "half"
            return
        self.writing.discard(message_id)
        failed = Unexpected("TypeError") if self._is_bad(message_id) else None
        if failed is None:
            self.world.shown[message_id] = "whole"
            self.taken.finish(0, message_id)
        elif self.trial.withholds(failed):
            self.taken.pass_on(0, [message_id])
            self.trial.give_back({message_id: (message_id,)})
        else:
            self.world.shown[message_id] = "error"
            self.taken.finish(0, message_id)
        self.trial.answered(failed)

    async def step(self) -> None:
        """Do one round of what runs in the background."""
        if self.leaving:
            return
        await self.lease.step()
        if self.alive:
            await self.coordinator.consider_trial()
            await self.trial.look()
        for message_id in self.taken.overdue(0) if self.lease.is_leader else ():
            self.check_from(message_id)
        self.read_history()

    async def terminate(self) -> None:
        """SIGTERM: release, and finish what is being written."""
        self.world.fates[self.name] = HolderStatus.GONE
        self.leaving = True
        self.store.away = self.store.late = False  # its retries take real time
        await self.lease.release(5)

    def kill(self) -> None:
        """End at once."""
        self.alive, self.writing = False, set()
        self.world.fates[self.name] = HolderStatus.ENDED


ACTIONS = st.sampled_from(
    ["ask"] * 5
    + ["old steps", "new steps", "old answers", "new answers"] * 4
    + ["time passes"] * 4
    + ["old is late", "new is late", "old is cut off", "new is cut off", "all see the Lease"]
)
ENDS = st.sampled_from(["old killed", "new killed", "old stopped", "new stopped", "nothing"])


async def play(
    actions: list[str], end: str, after: list[str], is_bad: Callable[[int], bool]
) -> tuple[World, Pod, Pod]:
    """Let the pods do `actions`, one of them end, more actions, and then all settle."""
    world = World()
    old = Pod(world, "old", lambda _: False)
    for _ in range(3):
        await old.step()
    new = Pod(world, "new", is_bad)
    for each in actions:
        await act(world, old, new, each)
    pod = old if end.startswith("old") else new
    if end.endswith("killed"):
        pod.kill()
    elif end.endswith("stopped"):
        await pod.terminate()
    for each in after:
        await act(world, old, new, each)
    for pod in (old, new):
        pod.store.away = pod.store.late = False
    for _ in range(260):
        world.now += 0.5
        await act(world, old, new, "time passes")
        for pod in (old, new):
            await steps(pod)
            for _ in range(4 if pod.alive else 0):  # a pod that is stopped has 25 s for them
                pod.answer()
    return world, old, new


async def steps(pod: Pod) -> None:
    """Do a round, if the pod runs."""
    if pod.alive:
        await pod.step()


async def act(world: World, old: Pod, new: Pod, what: str) -> None:  # noqa: C901
    """Do one thing, and check that no two pods lead."""
    who, _, does = what.partition(" ")
    pod = old if who == "old" else new
    match does or what:
        case "ask":
            message = Message(len(world.asked) + 1, 10, Author(1, "Ada"), "hello")
            world.asked.append(message)
            for each in world.pods:
                if each.alive and not each.leaving:
                    each.hear(message)
        case "steps":
            await steps(pod)
        case "answers" if pod.alive:
            pod.answer()
        case "is late":
            pod.store.late = True
        case "is cut off":
            pod.store.away = True
        case "see the Lease":
            for each in world.pods:
                each.store.away = each.store.late = False
        case "passes":
            world.now += 0.5
            for each in world.pods:
                each.lease.fence()
    leaders = [each.name for each in world.pods if each.alive and each.lease.is_leader]
    assert len(leaders) <= 1, leaders


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(ACTIONS, min_size=20, max_size=120),
    ENDS,
    st.lists(ACTIONS, max_size=30),
    st.sampled_from([0, 1, 3, 1000]),
)
def test_however_trials_go_every_call_is_answered_once(
    actions: list[str], end: str, after: list[str], bad_each: int
) -> None:
    """By one pod at a time; a failure is told only where no predecessor could answer instead."""

    def is_bad(message_id: int) -> bool:
        return bad_each > 0 and message_id % bad_each == 0

    world, old, new = asyncio.run(play(actions, end, after, is_bad))

    answers = {message.id: world.shown.get(message.id) for message in world.asked}
    assert set(answers.values()) <= {"whole", "error"}, answers
    if end in {"nothing", "new killed", "new stopped"}:
        assert set(answers.values()) <= {"whole"}, answers
        if new.trial.failure:
            assert old.lease.is_leader


async def beside_each_other(is_bad: Callable[[int], bool]) -> tuple[World, Pod, Pod]:
    """A new version that answers on trial, and its predecessor."""
    world = World()
    old = Pod(world, "old", lambda _: False)
    for _ in range(3):
        await old.step()
    new = Pod(world, "new", is_bad)
    for _ in range(6):
        world.now += 0.5
        await old.step()
        await new.step()
    assert new.lease.is_leader
    assert new.trial.predecessor == "old"
    return world, old, new


async def test_a_trial_ends_when_the_predecessor_is_deleted() -> None:
    world, old, new = await beside_each_other(lambda _: False)
    assert predecessor_in(world.record) == "old"

    await old.terminate()
    await new.step()

    assert new.trial.predecessor == ""
    assert (
        new.metrics.registry.get_sample_value("discord_sky_trials_total", {"outcome": "passed"})
        == 1
    )


async def test_a_version_that_failed_waits_and_says_why() -> None:
    world, old, new = await beside_each_other(lambda _: True)
    await act(world, old, new, "ask")
    await act(world, old, new, "new answers")
    await act(world, old, new, "new answers")

    for _ in range(20):
        await new.step()
        await old.step()
        world.now += 0.5
        old.answer()

    assert world.shown == {1: "whole"}
    assert old.lease.is_leader
    assert new.trial.failure == "main-new failed its trial: 1 of 1 answer raised TypeError"
    verdict = json.loads(world.record.annotations["trial-failed"])
    assert (verdict["pod"], verdict["revision"]) == ("new", "new")
    again = Pod(world, "new", lambda _: False)  # its container was restarted
    await again.step()
    assert again.trial.failure == new.trial.failure


async def test_one_whose_container_ended_does_not_take_the_lease_back() -> None:
    """Its predecessor does, and writes down why."""
    world, old, new = await beside_each_other(lambda _: False)
    new.alive = False

    again = Pod(world, "new", lambda _: False)
    await again.step()
    assert not again.lease.is_leader
    world.fates["new"] = HolderStatus.ENDED
    world.now += 2
    await old.step()
    await old.step()
    await again.step()

    assert old.lease.is_leader
    assert "its container ended" in again.trial.failure


async def test_without_its_predecessor_a_restarted_container_takes_the_lease_back() -> None:
    world, _, _ = await beside_each_other(lambda _: False)
    world.fates["old"] = HolderStatus.GONE

    again = Pod(world, "new", lambda _: False)
    await again.step()

    assert again.lease.is_leader


async def test_what_fails_three_times_in_a_row_is_the_versions_fault() -> None:
    _, _, new = await beside_each_other(lambda _: False)
    for _ in range(2):
        new.trial.answered(RequestRefused("no such parameter"))
    new.trial.answered(None)
    for _ in range(2):
        new.trial.answered(RequestRefused("no such parameter"))
    assert new.trial.failure == ""

    new.trial.answered(ModelMissing("no such parameter"))

    assert "3 answers in a row failed" in new.trial.failure


async def test_a_failure_that_the_predecessor_had_as_well_is_not_the_versions_fault() -> None:
    world = World()
    old = Pod(world, "old", lambda _: False)
    for _ in range(3):
        await old.step()
    old.trial.answered(RequestRefused())
    new = Pod(world, "new", lambda _: False)
    for _ in range(6):
        world.now += 0.5
        await old.step()
        await new.step()
    assert new.trial.predecessor == "old"

    for _ in range(5):
        new.trial.answered(RequestRefused())
    new.trial.answered(BannedWord())

    assert new.trial.failure == ""
    assert new.trial.withholds(RequestRefused())
    assert not new.trial.withholds(BannedWord())


async def test_three_questions_that_could_not_be_checked_are_the_versions_fault() -> None:
    """Such as one that asks the wrong model for moderation, where answers need a check."""
    _, _, new = await beside_each_other(lambda _: False)

    assert new.trial.withholds(Unchecked())
    for _ in range(3):
        new.trial.answered(Unchecked())

    assert "3 answers in a row failed: unchecked" in new.trial.failure


async def test_a_trial_ends_with_its_time_where_no_pod_may_be_read() -> None:
    world, _, new = await beside_each_other(lambda _: False)
    new.store.may_read_pods = False

    world.now += 590
    await new.trial.look()
    during = new.trial.predecessor
    world.now += 20
    await new.trial.look()

    assert (during, new.trial.predecessor) == ("old", "")


async def test_where_no_pod_may_be_read_a_restarted_container_waits_until_the_lease_expires() -> (
    None
):
    world, _, new = await beside_each_other(lambda _: False)
    new.alive = False
    again = Pod(world, "new", lambda _: False)
    again.store.may_read_pods = False

    await again.step()
    before = again.lease.is_leader
    world.now += TIMING.lasts + 1
    await again.step()

    assert (before, again.lease.is_leader) == (False, True)


async def test_of_what_was_given_back_and_not_heard_only_the_newer_is_looked_for() -> None:
    """By the next leader: all that was said since the oldest would be read."""
    world = World()
    old = Pod(world, "old", lambda _: False)
    old.oldest = 50
    old.handover.received(0, {7: (), 60: (), 70: ()})

    old.handover.begin(0, Acquisition.LET_GO, {})

    assert old.owed == 60


async def test_who_goes_on_leading_checks_what_became_due_meanwhile() -> None:
    """A backfill that is due while nobody knows who leads is not run."""
    world = World()
    old = Pod(world, "old", lambda _: False)
    for _ in range(3):
        await old.step()
    old.lease.part("new")
    old.store.away = True
    await old.lease.step()
    led, woken = old.lease.is_leader, old.woken

    old.store.away = False
    for _ in range(3):
        world.now += 0.5
        await old.lease.step()

    assert (led, woken) == (False, 0)
    assert (old.lease.is_leader, old.woken) == (True, 1)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"returned": 5}', '{"had": 1}'])
def test_a_note_that_cannot_be_read_is_empty(text: str) -> None:
    assert TrialNote.read(text) == TrialNote()


def test_a_note_is_read_as_it_was_written() -> None:
    note = TrialNote("a", "1", "main-1", "b", "b", "", ("unexpected",), {7: (8, 9)})

    assert TrialNote.read(str(note)) == note


async def test_a_blocked_event_loop_fails_the_trial() -> None:
    _, _, new = await beside_each_other(lambda _: False)
    trial = new.trial
    trial._clock = time.monotonic  # the lag is one of real time
    watching = asyncio.create_task(trial.watch_lag())
    await asyncio.sleep(0.05)

    time.sleep(1.5)  # noqa: ASYNC251  # as a bad version does
    await asyncio.sleep(0.3)
    watching.cancel()

    assert "its event loop was blocked for 1." in trial.failure
