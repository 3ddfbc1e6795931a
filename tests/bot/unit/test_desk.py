"""Taking calls, many at once, and stopping."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.answering import Kit
from bot.conversation.files import Reader
from bot.conversation.recall import Recall
from bot.desk import Desk
from bot.errors import DiscordDown, Interrupted, TooBusy, Unexpected
from bot.lease.alone import Alone
from bot.limits.allowance import Allowance
from bot.messages import Author, Message
from bot.metrics import Metrics
from bot.reply.pace import Pace
from bot.settings.schema import Files, Reply, Settings, Work
from tests.bot.unit.fakes import Archive, FakeModel, FakeOutbox, Shelf, open_guard

if TYPE_CHECKING:
    import pytest

ME = 7


@dataclass
class Standby(Alone):
    """A floor where another process speaks, until it does not."""

    speaks: bool = False

    def speaking(self, shard: int) -> bool:
        """See Floor."""
        del shard
        return self.speaks


@dataclass
class Bot:
    """A desk with fakes around it."""

    model: FakeModel = field(default_factory=FakeModel)
    work: Work = field(default_factory=Work)
    outbox: FakeOutbox = field(default_factory=FakeOutbox)
    metrics: Metrics = field(default_factory=Metrics)
    floor: Alone = field(default_factory=Alone)

    def __post_init__(self) -> None:
        settings = Settings(work=self.work, reply=Reply(first_words_seconds=0.01))
        pace = Pace(0.02)
        kit = Kit(
            settings,
            Recall(),
            Archive(),
            self.model,
            self.outbox,
            pace,
            self.metrics,
            Allowance(settings, self.metrics),
            Reader(Shelf(), Files()),
            open_guard(settings, self.metrics),
        )
        self.desk = Desk(kit, self.floor)

    def call(self, number: int, text: str = "hello", channel: int = 10) -> None:
        """Say something to the bot in a DM."""
        author = Author(1, "Ada")
        self.desk.receive(Message(id=number, channel_id=channel, author=author, text=text), ME)

    def count(self, series: str, **labels: str) -> float:
        """Read a metric."""
        return self.metrics.registry.get_sample_value(f"discord_sky_{series}", labels) or 0.0


async def test_a_call_is_answered_and_counted() -> None:
    bot = Bot()

    bot.call(1)
    await bot.desk.drain()

    assert list(bot.outbox.messages.values()) == ["An answer."]
    assert bot.count("answers_total", outcome="complete") == 1
    assert bot.count("messages_total", decision="direct") == 1
    assert bot.count("answers_in_flight") == 0


async def test_what_a_standby_overheard_is_answered_as_it_stands_when_it_speaks() -> None:
    bot = Bot(floor=(floor := Standby()))
    bot.call(1, "how deep is the harbor?")
    bot.call(2, "never mind", channel=11)

    bot.desk.edit(Message(1, 10, Author(1, "Ada"), "how deep is the harbour?"))
    bot.desk.withdraw(2)
    floor.speaks = True
    bot.desk.begin(0)
    await bot.desk.drain()

    (ask,) = bot.model.asked
    assert "how deep is the harbour?" in ask.turns[-1].text
    assert len(bot.outbox.messages) == 1


async def test_a_message_that_discord_repeats_is_answered_once() -> None:
    bot = Bot()

    bot.call(1)
    bot.call(1)
    await bot.desk.drain()
    assert len(bot.outbox.messages) == 1
    assert bot.count("turned_away_total", reason="repeated") == 1


async def test_nobody_waits_for_another_in_the_same_channel_or_elsewhere() -> None:
    bot = Bot(FakeModel(released=asyncio.Event()))

    for number in range(10):
        bot.call(number, channel=number % 3)
    await bot.outbox.said.wait()
    assert bot.model.released
    bot.model.released.set()
    await bot.desk.drain()

    assert bot.model.most_at_once == 10
    assert len(bot.outbox.messages) == 10


async def test_only_so_many_answers_are_written_at_once_and_the_rest_wait() -> None:
    bot = Bot(FakeModel(released=asyncio.Event()), Work(in_flight=2, waiting=10))

    for number in range(6):
        bot.call(number)
    await bot.outbox.said.wait()
    waiting = bot.count("answers_waiting")
    assert bot.model.released
    bot.model.released.set()
    await bot.desk.drain()

    assert (waiting, bot.model.most_at_once, len(bot.outbox.messages)) == (4, 2, 6)


async def test_who_is_turned_away_is_told() -> None:
    bot = Bot(FakeModel(released=asyncio.Event()), Work(in_flight=1, waiting=0))

    bot.call(1)
    bot.call(2)
    await bot.outbox.said.wait()
    assert bot.model.released
    bot.model.released.set()
    await bot.desk.drain()

    assert sorted(bot.outbox.messages.values()) == ["An answer.", TooBusy.sentence]
    assert bot.count("turned_away_total", reason="too_busy") == 1


async def test_a_flood_is_not_answered_by_a_flood() -> None:
    bot = Bot(FakeModel(released=asyncio.Event()), Work(in_flight=1, waiting=0))

    for number in range(200):
        bot.call(number)
    assert bot.model.released
    bot.model.released.set()
    await bot.desk.drain()

    assert len(bot.outbox.messages) <= 9


async def test_what_was_taken_is_finished_before_the_end_and_nothing_more_is_taken() -> None:
    bot = Bot(FakeModel(released=asyncio.Event()))

    bot.call(1)
    await bot.outbox.said.wait()
    ending = asyncio.create_task(bot.desk.drain())
    await asyncio.sleep(0)
    bot.call(2)
    assert bot.model.released
    bot.model.released.set()
    await ending

    assert list(bot.outbox.messages.values()) == ["An answer."]
    assert bot.count("turned_away_total", reason="draining") == 1


async def test_an_answer_that_does_not_end_in_time_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.desk._LAST_WORDS_SECONDS", 0.9)
    bot = Bot(FakeModel(released=asyncio.Event()), Work(drain_seconds=1))

    bot.call(1)
    await bot.outbox.said.wait()
    await bot.desk.drain()

    assert list(bot.outbox.messages.values()) == [f"An answer.\n-# {Interrupted.sentence}"]


async def test_a_defect_is_a_sentence_for_the_person_and_a_trace_for_the_operator(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bot = Bot(FakeModel(text="", failure=ZeroDivisionError()))

    bot.call(1)
    await bot.desk.drain()

    assert list(bot.outbox.messages.values()) == [Unexpected.sentence]
    assert any(record.exc_info for record in caplog.records)
    assert bot.count("answers_total", outcome="unexpected") == 1


async def test_the_model_reads_the_answer_that_a_person_replies_to() -> None:
    bot = Bot()

    bot.call(1, "first question")
    await asyncio.wait(bot.desk._answering)
    (answer,) = bot.outbox.messages
    second = Message(
        id=2, channel_id=10, author=Author(2, "Bram"), text="and then?", replies_to=answer
    )
    bot.desk.receive(second, ME)
    await bot.desk.drain()

    assert [(turn.role, turn.text) for turn in bot.model.asked[1].turns] == [
        ("user", "Ada (2015-01-01 00:00): first question"),
        ("assistant", "An answer."),
        ("user", "Bram (2015-01-01 00:00): and then?"),
    ]


async def test_no_content_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    bot = Bot(FakeModel(text="the answer's marmalade"))

    bot.call(1, "the question's marmalade")
    await bot.desk.drain()

    assert caplog.records
    assert not any("marmalade" in str(vars(record)) for record in caplog.records)


async def test_a_call_whose_answer_discord_did_not_take_is_looked_at_again_once() -> None:
    bot = Bot()
    seen: list[int] = []
    bot.desk.on_unsaid = lambda message: seen.append(message.id)
    bot.outbox.failures = [DiscordDown("away")] * 2

    bot.call(1)
    await asyncio.wait(bot.desk._answering)
    looked_at, taken = list(seen), 1 in bot.desk.taken
    author = Author(1, "Ada")
    again = bot.desk.missed(Message(id=1, channel_id=10, author=author, text="hello"), ME)
    await bot.desk.drain()

    assert (looked_at, taken, again) == ([1], False, True)
    assert seen == [1]


class Elsewhere:
    """A floor on which another process speaks, until this one does."""

    def __init__(self) -> None:
        self.speaks = False

    def shard_of(self, guild_id: int | None) -> int:
        """See Floor."""
        del guild_id
        return 0

    def speaking(self, shard: int) -> bool:
        """See Floor."""
        return self.speaks and not shard


async def test_a_standby_takes_what_it_heard_when_it_is_its_turn() -> None:
    bot = Bot()
    bot.desk._floor = floor = Elsewhere()

    bot.call(2)
    bot.call(1)
    bot.desk.taken.take(0, 2)  # as its predecessor wrote down
    before = dict(bot.outbox.messages)
    floor.speaks = True
    bot.desk.begin(0)
    await bot.desk.drain()

    assert before == {}
    assert len(bot.outbox.messages) == 1
    assert 1 in bot.desk.taken


async def test_who_may_not_speak_any_more_stops_in_the_middle_of_a_word() -> None:
    bot = Bot(FakeModel(released=asyncio.Event()))
    bot.call(1)
    await bot.outbox.said.wait()

    bot.desk.abandon(0)
    await asyncio.wait(bot.desk._answering)

    assert list(bot.outbox.messages.values()) == ["An answer."]
    assert bot.outbox.labels == [["Stop"]]
    assert 1 not in bot.desk.taken
    assert bot.count("answers_total", outcome="abandoned") == 1
