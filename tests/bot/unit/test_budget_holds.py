"""Whatever is asked at once, and however it fails: the budget is exceeded by one answer at most."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.answering import Kit
from bot.conversation.files import Reader
from bot.conversation.recall import Recall
from bot.desk import Desk
from bot.errors import Filtered, ModelBusy, ModelDown, ModelSlow, SkyError, Stopped, TooMuchText
from bot.limits import ceiling
from bot.limits.allowance import Allowance
from bot.llm.model import OpenAIModel
from bot.messages import Author, Message
from bot.metrics import Metrics
from bot.personas.cast import Cast
from bot.personas.character import Persona
from bot.reply.pace import Pace
from bot.settings.calling import Personas
from bot.settings.limits import Budget, Limits, Price
from bot.settings.schema import OpenAI, Reply, Settings, Work
from bot.usage import Usage
from tests.bot.unit.fakes import Archive, FakeOutbox, Shelf, open_guard
from tests.bot.unit.test_llm_asking import Key

if TYPE_CHECKING:
    from bot.ask import Ask
    from bot.llm.hosted_tools import Hearer

ME = 7
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()

Ending = Literal["told", "untold", "half", "silent", "broken", "refused", "filtered", "too_much"]


@dataclass(frozen=True)
class Act:
    """What the provider does with one request; `share` is how much of each bound it uses."""

    ending: Ending
    share: float
    words: int


@dataclass
class Provider:
    """A provider that keeps to what it is sent, and fails as it was told to."""

    acts: list[Act]
    most_output: int

    async def answer(self, client: Any, key: str, ask: Ask, hearer: Hearer) -> Usage:
        """See bot.llm.streams.Api."""
        del client, key
        act = self.acts.pop() if self.acts else Act("told", 0.5, 5)
        await asyncio.sleep(0)
        if act.ending == "refused":
            refused = ModelBusy(after=0.001)
            refused.unbilled = True
            raise refused
        if act.ending == "silent":
            raise ModelSlow
        whole = ask.ceiling(str(ask.model), self.most_output)
        for _ in range(round(act.share * ask.searches)):
            hearer.searched()
        hearer.say("word " * act.words)
        told = Usage(
            whole.model,
            input=round(act.share * whole.input) or 1,
            output=round(act.share * whole.output) or 1,
        )
        await asyncio.sleep(0)
        if act.ending in {"broken", "filtered", "too_much"}:
            errors: dict[str, SkyError] = {"broken": ModelDown(), "filtered": Filtered()}
            error = errors.get(act.ending, TooMuchText())
            error.usage = told if act.words % 2 else None
            raise error
        if act.ending == "half":
            return Usage(whole.model, input=told.input)
        return told if act.ending == "told" else Usage(whole.model)


@dataclass
class Pod:
    """One process of the bot, with its own sums."""

    configured: Settings
    provider: Provider
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        model = OpenAIModel(self.configured.openai, Key(), self.metrics)
        model._api = self.provider
        model._client = object()  # type: ignore[assignment]  # the provider above needs none
        self.allowance = Allowance(self.configured, self.metrics, lambda: NOON)
        kit = Kit(
            self.configured,
            Recall(),
            Archive(),
            model,
            FakeOutbox(),
            Pace(0.02),
            self.metrics,
            self.allowance,
            Reader(Shelf(), self.configured.files),
            open_guard(self.configured, self.metrics),
            Cast({"scout": SCOUT}, Personas(default="scout")),
        )
        self.desk = Desk(kit)

    @property
    def spent(self) -> float:
        """What this process counted today."""
        return self.allowance.purse.spent("day")

    @property
    def overrun(self) -> float:
        """What answers cost beyond what was reserved for them."""
        return self.metrics.registry.get_sample_value("discord_sky_overrun_money_total") or 0.0


SCOUT = Persona("Scout", "You are Scout.", tools=("web_search",))
acts = st.builds(
    Act,
    st.sampled_from(
        ["told", "untold", "half", "silent", "broken", "refused", "filtered", "too_much"]
    ),
    st.floats(0, 1),
    st.integers(0, 30),
)


@st.composite
def configurations(draw: st.DrawFn) -> Settings:
    """Choose settings: what models cost, and what is allowed."""
    money = st.floats(0, 50)
    price = st.builds(Price, input=money, output=money)
    fallback = draw(st.sampled_from([None, "spare"]))
    return Settings(
        openai=OpenAI(
            model="main",
            fallback_model=fallback,
            max_output_tokens=draw(st.integers(16, 4000)),
            attempts=draw(st.integers(1, 4)),
            breaker_failures=0,
        ),
        limits=Limits(searches=draw(st.integers(1, 5))),
        budget=Budget(
            daily=draw(st.floats(0.0001, 3)),
            search=draw(st.floats(0, 0.1)),
            prices={"main": draw(price), "spare": draw(price)},
        ),
        reply=Reply(first_words_seconds=0),
        work=Work(in_flight=draw(st.integers(1, 8))),
    )


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda _low, _high: 0.0001)


@given(
    configured=configurations(),
    planned=st.lists(acts, max_size=30),
    asked=st.lists(st.sampled_from(["ask", "wait", "stop"]), min_size=1, max_size=16),
    handed_over=st.integers(0, 16),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_budget_is_exceeded_by_at_most_one_answers_computed_maximum(
    configured: Settings, planned: list[Act], asked: list[str], handed_over: int
) -> None:
    before, after = asyncio.run(play(configured, planned, asked, handed_over))

    most = ceiling.before_reading(configured, SCOUT, image=False)
    assert after.spent <= configured.budget.daily + most + 1e-6
    assert before.spent <= after.spent + 1e-6 or handed_over >= len(asked)
    assert before.overrun == after.overrun == 0


async def play(
    configured: Settings, planned: list[Act], asked: list[str], handed_over: int
) -> tuple[Pod, Pod]:
    """Let people ask and stop at once, one pod after the other."""
    provider = Provider(list(planned), configured.openai.max_output_tokens)
    first = pod = Pod(configured, provider)
    for number, what in enumerate(asked, 1):
        if number == handed_over + 1:
            pod = Pod(configured, provider)
            pod.allowance.purse.load(0, first.allowance.purse.dump(0))
        if what == "wait":
            await asyncio.sleep(0.002)
        elif what == "stop":
            pod.desk.stop(number - 1, Stopped())
        pod.desk.receive(Message(number, number, Author(number, "Ada"), "a question"), ME)
    await asyncio.gather(first.desk.drain(), pod.desk.drain())
    return first, pod


async def test_what_a_predecessor_goes_on_to_spend_is_in_the_sums_of_its_successor() -> None:
    configured = Settings(
        openai=OpenAI(model="main", max_output_tokens=100),
        budget=Budget(daily=1000, search=0, prices={"main": Price(input=0, output=1_000_000)}),
    )
    provider = Provider([Act("told", 1.0, 5)] * 4, 100)
    old, new = Pod(configured, provider), Pod(configured, provider)
    for number in range(1, 5):
        old.desk.receive(Message(number, number, Author(1, "Ada"), "a question"), ME)

    new.allowance.purse.load(0, old.allowance.purse.dump(0))
    await old.desk.drain()

    assert old.spent == pytest.approx(400)
    assert new.spent >= old.spent
