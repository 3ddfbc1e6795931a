"""Attempts, going on, and what an answer cost however it ended."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from bot.domain.errors import (
    CutShort,
    Filtered,
    ModelBusy,
    ModelDown,
    ModelPaused,
    ModelSlow,
    OutOfRoom,
    QuotaSpent,
    SkyError,
)
from bot.domain.model_request import ModelRequest, Text, Turn, Usage
from bot.llm.provider_dialects import Knowledge
from bot.llm.retries import Breaker, RetryingRequest, StreamRecorder
from bot.observability.metrics import Metrics
from tests.bot.unit.fakes import FakeClient, ScriptedApi, complete

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from bot.domain.model_request import ProviderEvent

MOST_OUTPUT = 4000
ASK = ModelRequest("You are Sky.", (Turn("user", "Ada: tell me a tale"),))


class Key:
    """A key that is always good."""

    patient = False
    needed_for = 0.0

    async def current(self) -> str:
        """Give it."""
        return "key"

    def accept(self, value: str, asked: float) -> None:
        """Take note."""

    def refuse(self, value: str) -> None:
        """Take note."""

    async def another(self, than: str | None, timeout: float) -> bool:  # noqa: ASYNC109
        """Have none."""
        del than, timeout
        return False


class Script(ScriptedApi):
    """A provider that does one thing after the other: says some words, then fails or ends."""

    def __init__(self, *acts: tuple[str, SkyError | Usage]) -> None:
        self.acts = list(acts)
        self.asked: list[ModelRequest] = []

    async def act(self, request: ModelRequest) -> AsyncGenerator[ProviderEvent | SkyError, None]:
        """See ScriptedApi."""
        self.asked.append(request)
        words, ending = self.acts.pop(0)
        await asyncio.sleep(0)
        if words:
            yield Text(words)
        yield ending if isinstance(ending, SkyError) else complete(ending)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.001)


@dataclass
class Bill:
    """What was charged; `enough` says whether a further request is covered."""

    charged: list[Usage] = field(default_factory=list)
    enough: bool = True

    def charge(self, usage: Usage) -> None:
        """See bot.domain.model_request.Account."""
        self.charged.append(usage)

    def covers(self, most: Usage) -> bool:
        """See bot.domain.model_request.Account."""
        assert most.output == MOST_OUTPUT
        return self.enough

    @property
    def sum(self) -> tuple[int, int]:
        """All tokens that were charged: read, and written."""
        return sum(each.input for each in self.charged), sum(each.output for each in self.charged)


async def asked(
    script: Script, attempts: int = 3, breaker: Breaker | None = None, bill: Bill | None = None
) -> tuple[str, SkyError | None]:
    """Ask; gives what was said, and how it ended."""
    recorder = StreamRecorder()
    asking = RetryingRequest(
        ASK,
        recorder,
        "m",
        api=script,
        knowledge=Knowledge(),
        key=Key(),
        breaker=breaker or Breaker(0, 1),
        metrics=Metrics(),
        account=bill or Bill(),
        most_output=MOST_OUTPUT,
    )
    client: Any = FakeClient()
    try:
        async with contextlib.aclosing(asking.stream(client, attempts)) as events:
            async for _ in events:
                pass
    except SkyError as error:
        return recorder.text, error
    return recorder.text, None


async def test_what_may_pass_is_tried_again_until_it_has() -> None:
    refused, busy = ModelDown(), ModelBusy(after=0.001)
    refused.unbilled = busy.unbilled = True
    script = Script(("", refused), ("", busy), ("Hi.", Usage("m", 3, 0, 2)))
    bill = Bill()

    assert await asked(script, bill=bill) == ("Hi.", None)
    assert bill.charged == [Usage("m", 3, 0, 2)]


async def test_requests_that_fall_silent_are_charged_by_an_estimate() -> None:
    script = Script(("", ModelSlow()), ("", ModelSlow()), ("", ModelSlow()))
    bill = Bill()

    await asked(script, bill=bill)

    assert len(bill.charged) == 3
    assert all(each.input >= 10 and each.output == 0 for each in bill.charged)


@pytest.mark.parametrize("told", [Usage("m"), Usage("m", input=40), Usage("m", output=30)])
async def test_what_the_provider_does_not_tell_is_estimated_from_what_was_sent_and_shown(
    told: Usage,
) -> None:
    bill = Bill()

    await asked(Script(("word " * 40, told)), bill=bill)

    (charged,) = bill.charged
    assert charged.input == 40 if told.input else charged.input >= 10
    assert charged.output == 30 if told.output else 40 <= charged.output <= 60


async def test_a_number_of_tokens_that_no_request_has_is_not_believed() -> None:
    bill = Bill()

    await asked(Script(("word " * 40, Usage("m", input=10**30, output=10**12))), bill=bill)

    (charged,) = bill.charged
    assert 10 <= charged.input <= 60
    assert 40 <= charged.output <= 60


async def test_what_was_stopped_is_charged_by_an_estimate() -> None:
    class Endless(Script):
        async def act(
            self, request: ModelRequest
        ) -> AsyncGenerator[ProviderEvent | SkyError, None]:
            del request
            yield Text("word " * 40)
            await asyncio.Event().wait()

    bill = Bill()
    task = asyncio.create_task(asked(Endless(), bill=bill))
    await asyncio.sleep(0.01)

    task.cancel()
    await asyncio.wait([task])

    assert len(bill.charged) == 1
    assert 40 <= bill.charged[0].output <= 60


async def test_what_is_not_covered_is_neither_tried_again_nor_gone_on_with() -> None:
    silent, broken = Script(("", ModelSlow())), Script(("Once ", CutShort("one")))

    _, first = await asked(silent, bill=Bill(enough=False))
    text, second = await asked(broken, bill=Bill(enough=False))

    assert isinstance(first, ModelSlow)
    assert isinstance(second, CutShort)
    assert text == "Once "
    assert len(silent.asked) == len(broken.asked) == 1


@pytest.mark.parametrize("failure", [QuotaSpent(), Filtered(), OutOfRoom()])
async def test_what_will_not_pass_is_told_at_once(failure: SkyError) -> None:
    script = Script(("", failure))

    assert await asked(script) == ("", failure)
    assert failure.usage is None


async def test_an_answer_that_broke_off_goes_on_and_both_parts_are_paid() -> None:
    script = Script(("Once there ", ModelDown()), ("was a cat.", Usage("m", 30, 0, 4)))
    bill = Bill()

    text, _ = await asked(script, bill=bill)

    assert text == "Once there was a cat."
    assert script.asked[1].begun == "Once there"
    assert "Repeat nothing" in script.asked[1].told
    assert bill.sum[0] > 30
    assert bill.sum[1] > 4


async def test_an_answer_that_breaks_off_twice_is_owned_up_to_and_paid() -> None:
    script = Script(("Once ", CutShort("one")), ("there ", ModelDown("two")))

    bill = Bill()

    text, failed = await asked(script, bill=bill)

    assert text == "Once there "
    assert isinstance(failed, CutShort)
    assert len(bill.charged) == 2
    assert all(each.output > 0 for each in bill.charged)


async def test_what_the_provider_told_of_a_failed_answer_is_kept() -> None:
    failure = OutOfRoom()
    failure.usage = Usage("m", 10, 0, 100)

    bill = Bill()

    assert await asked(Script(("A long tale", failure)), bill=bill) == ("A long tale", failure)
    assert bill.charged == [Usage("m", 10, 0, 100)]


async def test_while_the_breaker_is_open_nobody_waits_for_attempts() -> None:
    breaker = Breaker(2, 60)
    script = Script(("", ModelDown()), ("", ModelDown()))

    _, first = await asked(script, attempts=2, breaker=breaker)
    _, second = await asked(script, attempts=2, breaker=breaker)

    assert isinstance(first, ModelDown)
    assert isinstance(second, ModelPaused)
    assert len(script.asked) == 2
