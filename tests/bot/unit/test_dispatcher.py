"""Taking calls, many at once, and stopping."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bot.admission import budget
from bot.admission.admission_control import AdmissionControl
from bot.admission.hourly_limits import Caller
from bot.answers.dispatcher import Dispatcher
from bot.answers.pipeline import Services
from bot.context.attachments import AttachmentReader
from bot.context.message_cache import MessageCache
from bot.domain.errors import DiscordDown, Interrupted, ModelDown, TooBusy, Unexpected
from bot.domain.messages import Author, Location, Message, Post
from bot.leadership.coordinator import SingleProcess
from bot.leadership.file_lease import FileLeaseStore
from bot.leadership.trial import Trial
from bot.observability.metrics import Metrics
from bot.reply.edit_rates import EditRate
from bot.settings.schema import (
    AccessSettings,
    AmbientSettings,
    FilesSettings,
    LeaseSettings,
    ReplySettings,
    Settings,
    WorkSettings,
)
from bot.triggers.ambient import AmbientPolicy
from tests.bot.unit.fakes import Archive, FakeFileSource, FakeModel, FakeSink, open_guard

if TYPE_CHECKING:
    import pytest

    from bot.leadership.trial import Calls

ME = 7


@dataclass
class Standby(SingleProcess):
    """A coordinator where another process leads, until it does not."""

    leads: bool = False

    def is_leader(self, shard: int) -> bool:
        """See Leadership."""
        del shard
        return self.leads


@dataclass
class Bot:
    """A desk with fakes around it."""

    model: FakeModel = field(default_factory=FakeModel)
    work: WorkSettings = field(default_factory=WorkSettings)
    sink: FakeSink = field(default_factory=FakeSink)
    metrics: Metrics = field(default_factory=Metrics)
    coordinator: SingleProcess = field(default_factory=SingleProcess)
    predecessor: str = ""  # while the process is on trial

    def __post_init__(self) -> None:
        settings = Settings(work=self.work, reply=ReplySettings(first_words_seconds=0.01))
        edit_rate = EditRate(0.02)
        services = Services(
            settings,
            MessageCache(),
            Archive(),
            self.model,
            self.sink,
            edit_rate,
            self.metrics,
            AdmissionControl(settings, self.metrics),
            AttachmentReader(FakeFileSource(), FilesSettings()),
            open_guard(settings, self.metrics),
        )
        trial = None
        if self.predecessor:
            chosen = Settings(lease=LeaseSettings(revision="new", trial=True))
            trial = Trial(FileLeaseStore(Path("unused"), "new"), chosen, self.metrics)
            trial.predecessor = self.predecessor
            services = replace(services, withholds=trial.withholds)
        self.trial = trial
        self.services = services
        self.dispatcher = Dispatcher(services, self.coordinator, trial)

    def call(self, number: int, text: str = "hello", channel: int = 10) -> None:
        """Say something to the bot in a DM."""
        author = Author(1, "Ada")
        self.dispatcher.receive(
            Message(id=number, channel_id=channel, author=author, text=text), ME
        )

    def call_again(self, number: int, answer: int) -> None:
        """Press the button below an answer that a person has got before."""
        self.sink.posts[answer], self.sink.places[answer] = Post("An old answer."), 10
        assert self.dispatcher.book(number, Caller(1, 10, None)) is None
        question = Message(number, 10, Author(1, "Ada"), "hello")
        self.dispatcher.again(question, ME, nonce_base=number + 1, replaces=(answer,))

    def join_in(self, number: int) -> None:
        """Say something in a channel where the bot joins in."""
        ambient = AmbientSettings(channels={"10": 1})
        self.dispatcher._ambient_policy = AmbientPolicy(AccessSettings(), ambient, lambda: 0.0)
        place = Location(channels=("10",))
        author = Author(1, "Ada")
        message = Message(number, 10, author, "what a day", guild_id=99, place=place)
        self.dispatcher.receive(message, ME)

    def spent_more_than_used(self) -> bool:
        """Whether more counts as spent than the model has reported."""
        used = budget.cost(self.model.usage, self.services.settings.budget)
        return self.services.admission.ledger.spent("day") > used * 1.01

    async def given_back(self) -> Calls:
        """Return the answers to a predecessor, once they have ended."""
        async with asyncio.timeout(5):
            while (calls := self.dispatcher.give_back(0)) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return calls

    def count(self, series: str, **labels: str) -> float:
        """Read a metric."""
        return self.metrics.registry.get_sample_value(f"discord_sky_{series}", labels) or 0.0


async def test_a_call_is_answered_and_counted() -> None:
    bot = Bot()

    bot.call(1)
    await bot.dispatcher.drain()

    assert list(bot.sink.messages.values()) == ["An answer."]
    assert bot.count("answers_total", outcome="complete") == 1
    assert bot.count("messages_total", decision="direct") == 1
    assert bot.count("answers_in_flight") == 0


async def test_what_a_standby_overheard_is_answered_as_it_stands_when_it_speaks() -> None:
    bot = Bot(coordinator=(coordinator := Standby()))
    bot.call(1, "how deep is the harbor?")
    bot.call(2, "never mind", channel=11)

    bot.dispatcher.edit(Message(1, 10, Author(1, "Ada"), "how deep is the harbour?"), ME)
    bot.dispatcher.withdraw(2)
    coordinator.leads = True
    bot.dispatcher.begin(0)
    await bot.dispatcher.drain()

    (ask,) = bot.model.asked
    assert "how deep is the harbour?" in ask.turns[-1].text
    assert len(bot.sink.messages) == 1


async def test_a_message_that_discord_repeats_is_answered_once() -> None:
    bot = Bot()

    bot.call(1)
    bot.call(1)
    await bot.dispatcher.drain()
    assert len(bot.sink.messages) == 1
    assert bot.count("turned_away_total", reason="repeated") == 1


async def test_nobody_waits_for_another_in_the_same_channel_or_elsewhere() -> None:
    bot = Bot(FakeModel(released=asyncio.Event()))

    for number in range(10):
        bot.call(number, channel=number % 3)
    await bot.sink.said.wait()
    assert bot.model.released
    bot.model.released.set()
    await bot.dispatcher.drain()

    assert bot.model.most_at_once == 10
    assert len(bot.sink.messages) == 10


async def test_only_so_many_answers_are_written_at_once_and_the_rest_wait() -> None:
    bot = Bot(FakeModel(released=asyncio.Event()), WorkSettings(in_flight=2, waiting=10))

    for number in range(6):
        bot.call(number)
    await bot.sink.said.wait()
    waiting = bot.count("answers_waiting")
    assert bot.model.released
    bot.model.released.set()
    await bot.dispatcher.drain()

    assert (waiting, bot.model.most_at_once, len(bot.sink.messages)) == (4, 2, 6)


async def test_who_is_turned_away_is_told() -> None:
    bot = Bot(FakeModel(released=asyncio.Event()), WorkSettings(in_flight=1, waiting=0))

    bot.call(1)
    bot.call(2)
    await bot.sink.said.wait()
    assert bot.model.released
    bot.model.released.set()
    await bot.dispatcher.drain()

    assert sorted(bot.sink.messages.values()) == ["An answer.", TooBusy.sentence]
    assert bot.count("turned_away_total", reason="too_busy") == 1


async def test_a_flood_is_not_answered_by_a_flood() -> None:
    bot = Bot(FakeModel(released=asyncio.Event()), WorkSettings(in_flight=1, waiting=0))

    for number in range(200):
        bot.call(number)
    assert bot.model.released
    bot.model.released.set()
    await bot.dispatcher.drain()

    assert len(bot.sink.messages) <= 9


async def test_what_was_taken_is_finished_before_the_end_and_nothing_more_is_taken() -> None:
    bot = Bot(FakeModel(released=asyncio.Event()))

    bot.call(1)
    await bot.sink.said.wait()
    ending = asyncio.create_task(bot.dispatcher.drain())
    await asyncio.sleep(0)
    bot.call(2)
    assert bot.model.released
    bot.model.released.set()
    await ending

    assert list(bot.sink.messages.values()) == ["An answer."]
    assert bot.count("turned_away_total", reason="draining") == 1


async def test_an_answer_that_does_not_end_in_time_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.answers.dispatcher._LAST_WORDS_SECONDS", 0.9)
    bot = Bot(FakeModel(released=asyncio.Event()), WorkSettings(drain_seconds=1))

    bot.call(1)
    await bot.sink.said.wait()
    await bot.dispatcher.drain()

    assert list(bot.sink.messages.values()) == [f"An answer.\n-# {Interrupted.sentence}"]


async def test_a_defect_is_a_sentence_for_the_person_and_a_trace_for_the_operator(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bot = Bot(FakeModel(text="", failure=ZeroDivisionError()))

    bot.call(1)
    await bot.dispatcher.drain()

    assert list(bot.sink.messages.values()) == [Unexpected.sentence]
    assert any(record.exc_info for record in caplog.records)
    assert bot.count("answers_total", outcome="unexpected") == 1


async def test_the_model_reads_the_answer_that_a_person_replies_to() -> None:
    bot = Bot()

    bot.call(1, "first question")
    await asyncio.wait(bot.dispatcher._answer_tasks)
    (answer,) = bot.sink.messages
    second = Message(
        id=2, channel_id=10, author=Author(2, "Bram"), text="and then?", replies_to=answer
    )
    bot.dispatcher.receive(second, ME)
    await bot.dispatcher.drain()

    assert [(turn.role, turn.text) for turn in bot.model.asked[1].turns] == [
        ("user", "Ada (2015-01-01 00:00): first question"),
        ("assistant", "An answer."),
        ("user", "Bram (2015-01-01 00:00): and then?"),
    ]


async def test_no_content_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    bot = Bot(FakeModel(text="the answer's marmalade"))

    bot.call(1, "the question's marmalade")
    await bot.dispatcher.drain()

    assert caplog.records
    assert not any("marmalade" in str(vars(record)) for record in caplog.records)


async def test_a_call_whose_answer_discord_did_not_take_is_looked_at_again_once() -> None:
    bot = Bot()
    seen: list[int] = []
    bot.dispatcher.on_undelivered = lambda message: seen.append(message.id)
    bot.sink.failures = [DiscordDown("away")] * 2

    bot.call(1)
    await asyncio.wait(bot.dispatcher._answer_tasks)
    looked_at, taken = list(seen), 1 in bot.dispatcher.taken
    author = Author(1, "Ada")
    again = bot.dispatcher.missed(Message(id=1, channel_id=10, author=author, text="hello"), ME)
    await bot.dispatcher.drain()

    assert (looked_at, taken, again) == ([1], False, True)
    assert seen == [1]


class Elsewhere:
    """A coordinator where another process leads, until this one does."""

    def __init__(self) -> None:
        self.leads = False

    def shard_of(self, guild_id: int | None) -> int:
        """See Leadership."""
        del guild_id
        return 0

    def is_leader(self, shard: int) -> bool:
        """See Leadership."""
        return self.leads and not shard


async def test_a_standby_takes_what_it_heard_when_it_is_its_turn() -> None:
    bot = Bot()
    bot.dispatcher._coordinator = coordinator = Elsewhere()

    bot.call(2)
    bot.call(1)
    bot.dispatcher.taken.take(0, 2)  # as its predecessor wrote down
    before = dict(bot.sink.messages)
    coordinator.leads = True
    bot.dispatcher.begin(0)
    await bot.dispatcher.drain()

    assert before == {}
    assert len(bot.sink.messages) == 1
    assert 1 in bot.dispatcher.taken


async def test_who_may_not_speak_any_more_stops_in_the_middle_of_a_word() -> None:
    bot = Bot(FakeModel(released=asyncio.Event()))
    bot.call(1)
    await bot.sink.said.wait()

    bot.dispatcher.abandon(0)
    await asyncio.wait(bot.dispatcher._answer_tasks)

    assert list(bot.sink.messages.values()) == ["An answer."]
    assert bot.sink.labels == [["Stop"]]
    assert 1 not in bot.dispatcher.taken
    assert bot.count("answers_total", outcome="abandoned") == 1


async def test_an_answer_that_fails_on_trial_is_left_to_the_predecessor_with_its_money() -> None:
    """One that does not lead cannot report what it spends on the answer."""
    bot = Bot(FakeModel(text="", failure=ModelDown()), predecessor="old")

    bot.call(1)
    await bot.dispatcher.drain()

    assert bot.sink.messages == {}
    assert bot.trial is not None
    assert bot.trial._returned == {1: ()}
    assert bot.spent_more_than_used()


async def test_who_asks_for_an_answer_again_on_trial_is_told_of_a_failure() -> None:
    """The predecessor knows nothing of the press, and the question may be a year old."""
    bot = Bot(FakeModel(text="", failure=ModelDown()), predecessor="old")

    bot.call_again(1, answer=5)
    await bot.dispatcher.drain()

    assert bot.sink.messages == {5: ModelDown.sentence}
    assert bot.trial is not None
    assert bot.trial._returned == {}
    assert bot.trial._in_a_row == 1  # it counts all the same


async def test_a_failed_trial_returns_calls_that_can_be_answered_and_leaves_no_half_answer() -> (
    None
):
    bot = Bot(FakeModel(released=asyncio.Event()), predecessor="old")
    bot.call(1)
    await bot.sink.said.wait()
    (first,) = bot.sink.posts
    bot.call_again(2, answer=5)
    bot.join_in(3)
    async with asyncio.timeout(5):
        while bot.sink.posts[5].text != "An answer." or len(bot.sink.posts) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    returned = await bot.given_back()
    await bot.dispatcher.drain()

    assert returned == {1: (first,)}
    assert bot.sink.messages == {first: "An answer.", 5: f"An answer.\n-# {Interrupted.sentence}"}


async def test_what_an_aborted_answer_may_still_cost_counts_as_spent() -> None:
    bot = Bot(FakeModel(released=asyncio.Event()), predecessor="old")
    bot.call(1)
    await bot.sink.said.wait()

    await bot.given_back()

    assert bot.spent_more_than_used()


async def test_an_answer_that_nobody_called_for_and_that_fails_on_trial_is_ended() -> None:
    """The predecessor does not join in again, and half of it is read already."""
    bot = Bot(FakeModel(released=asyncio.Event(), failure=ModelDown()), predecessor="old")

    bot.join_in(1)
    await bot.sink.said.wait()
    assert bot.model.released
    bot.model.released.set()
    await bot.dispatcher.drain()

    assert list(bot.sink.messages.values()) == [f"An answer.\n-# {ModelDown.sentence}"]
