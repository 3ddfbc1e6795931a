"""Whatever is asked at once, and however it fails: the budget is exceeded by one answer at most."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bot.admission import budget
from bot.admission.admission_control import AdmissionControl
from bot.answers.dispatcher import Dispatcher
from bot.answers.pipeline import Services
from bot.context.attachments import AttachmentReader
from bot.context.message_cache import MessageCache
from bot.domain.errors import (
    Filtered,
    ModelBusy,
    ModelDown,
    ModelSlow,
    SkyError,
    Stopped,
    TooMuchText,
)
from bot.domain.messages import Author, Message
from bot.domain.model_request import Searched, Text, Usage
from bot.llm.openai_client import OpenAIModel
from bot.observability.metrics import Metrics
from bot.personas.persona import Persona, PersonaRegistry
from bot.reply.edit_rates import EditRate
from bot.settings.schema import (
    BudgetSettings,
    LimitsSettings,
    OpenAISettings,
    PersonasSettings,
    Price,
    ReplySettings,
    Settings,
    WorkSettings,
)
from tests.bot.unit.fakes import (
    Archive,
    FakeClient,
    FakeFileSource,
    FakeSink,
    ScriptedApi,
    complete,
    open_guard,
)
from tests.bot.unit.test_llm_retries import Key

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from bot.domain.model_request import ModelRequest, ProviderEvent

ME = 7
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()

Ending = Literal["told", "untold", "half", "silent", "broken", "refused", "filtered", "too_much"]


@dataclass(frozen=True)
class Act:
    """What the provider does with one request.

    `share` is how much of each bound it uses, `tells` whether a failure says so.
    """

    ending: Ending
    share: float
    words: int
    tells: bool = True


@dataclass
class Provider(ScriptedApi):
    """A provider that keeps to what it is sent, and fails as it was told to."""

    acts: list[Act]
    most_output: int

    async def act(self, request: ModelRequest) -> AsyncGenerator[ProviderEvent | SkyError, None]:
        """See ScriptedApi."""
        act = self.acts.pop() if self.acts else Act("told", 0.5, 5)
        await asyncio.sleep(0)
        if act.ending == "refused":
            refused = ModelBusy(after=0.001)
            refused.unbilled = True
            yield refused
        if act.ending == "silent":
            yield ModelSlow()
        whole = request.ceiling(str(request.model), self.most_output)
        for _ in range(round(act.share * request.searches)):
            yield Searched()
        yield Text("word " * act.words)
        told = Usage(
            whole.model,
            input=round(act.share * whole.input) or 1,
            output=round(act.share * whole.output) or 1,
        )
        await asyncio.sleep(0)
        if act.ending in {"broken", "filtered", "too_much"}:
            errors: dict[str, SkyError] = {"broken": ModelDown(), "filtered": Filtered()}
            error = errors.get(act.ending, TooMuchText())
            error.usage = told if act.tells else None
            yield error
        if act.ending == "half":
            yield complete(Usage(whole.model, input=told.input))
        yield complete(told if act.ending == "told" else Usage(whole.model))


@dataclass
class Pod:
    """One process of the bot, with its own sums."""

    configured: Settings
    provider: Provider
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        model = OpenAIModel(self.configured.openai, Key(), self.metrics)
        model._api = self.provider
        model._client = FakeClient()  # type: ignore[assignment]  # the provider above needs none
        self.admission = AdmissionControl(self.configured, self.metrics, lambda: NOON)
        services = Services(
            self.configured,
            MessageCache(),
            Archive(),
            model,
            FakeSink(),
            EditRate(0.02),
            self.metrics,
            self.admission,
            AttachmentReader(FakeFileSource(), self.configured.files),
            open_guard(self.configured, self.metrics),
            PersonaRegistry({"scout": SCOUT}, PersonasSettings(default="scout")),
        )
        self.dispatcher = Dispatcher(services)

    @property
    def spent(self) -> float:
        """What this process counted today."""
        return self.admission.ledger.spent("day")

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
    st.one_of(st.just(1.0), st.floats(0, 1)),
    st.sampled_from([0, 0, 1, 30]),
    st.booleans(),
)


@st.composite
def configurations(draw: st.DrawFn) -> Settings:
    """Choose settings: what models cost, and what is allowed."""
    money = st.floats(0, 50)
    price = st.builds(Price, input=money, output=money)
    fallback = draw(st.sampled_from([None, "spare"]))
    return Settings(
        openai=OpenAISettings(
            model="main",
            fallback_model=fallback,
            max_output_tokens=draw(st.integers(16, 4000)),
            attempts=draw(st.integers(1, 4)),
            breaker_failures=0,
        ),
        limits=LimitsSettings(searches=draw(st.integers(1, 5))),
        budget=BudgetSettings(
            daily=draw(st.floats(0.0001, 3)),
            search=draw(st.floats(0, 0.1)),
            prices={"main": draw(price), "spare": draw(price)},
        ),
        reply=ReplySettings(first_words_seconds=0),
        work=WorkSettings(in_flight=draw(st.integers(1, 8))),
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
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink a failure takes minutes
)
def test_the_budget_is_exceeded_by_at_most_one_answers_computed_maximum(
    configured: Settings, planned: list[Act], asked: list[str], handed_over: int
) -> None:
    before, after = asyncio.run(play(configured, planned, asked, handed_over))

    most = budget.most_before_reading(configured, SCOUT, image=False)
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
            pod.admission.ledger.load(0, first.admission.ledger.dump(0))
        if what == "wait":
            await asyncio.sleep(0.002)
        elif what == "stop":
            pod.dispatcher.stop(number - 1, Stopped())
        pod.dispatcher.receive(Message(number, number, Author(number, "Ada"), "a question"), ME)
    await asyncio.gather(first.dispatcher.drain(), pod.dispatcher.drain())
    return first, pod


async def test_what_a_predecessor_goes_on_to_spend_is_in_the_sums_of_its_successor() -> None:
    configured = Settings(
        openai=OpenAISettings(model="main", max_output_tokens=100),
        budget=BudgetSettings(
            daily=1000, search=0, prices={"main": Price(input=0, output=1_000_000)}
        ),
    )
    provider = Provider([Act("told", 1.0, 5)] * 4, 100)
    old, new = Pod(configured, provider), Pod(configured, provider)
    for number in range(1, 5):
        old.dispatcher.receive(Message(number, number, Author(1, "Ada"), "a question"), ME)

    new.admission.ledger.load(0, old.admission.ledger.dump(0))
    await old.dispatcher.drain()

    assert old.spent == pytest.approx(400)
    assert new.spent >= old.spent
