"""Attempts, going on, and what an answer cost however it ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bot.ask import Ask
from bot.conversation.turns import Turn
from bot.errors import (
    CutShort,
    Filtered,
    ModelBusy,
    ModelDown,
    ModelPaused,
    OutOfRoom,
    QuotaSpent,
    SkyError,
)
from bot.llm.asking import Asking, Spoken
from bot.llm.breaker import Breaker
from bot.metrics import Metrics
from bot.usage import Usage

if TYPE_CHECKING:
    from bot.llm.hosted_tools import Hearer

ASK = Ask("You are Sky.", (Turn("user", "Ada: tell me a tale"),))


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


class Script:
    """A provider that does one thing after the other: says some words, then fails or ends."""

    def __init__(self, *acts: tuple[str, SkyError | Usage]) -> None:
        self.acts = list(acts)
        self.asked: list[Ask] = []

    async def answer(self, client: Any, key: str, ask: Ask, hearer: Hearer) -> Usage:
        """See bot.llm.streams.Api."""
        del client, key
        self.asked.append(ask)
        words, ending = self.acts.pop(0)
        await asyncio.sleep(0)
        hearer.say(words)
        if isinstance(ending, SkyError):
            raise ending
        return ending


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.001)


async def asked(
    script: Script, attempts: int = 3, breaker: Breaker | None = None
) -> tuple[str, Usage | SkyError]:
    """Ask; gives what was said, and how it ended."""
    spoken = Spoken(lambda _: None, lambda _: None, lambda _: None)
    asking = Asking(
        ASK,
        spoken,
        "m",
        api=script,
        key=Key(),
        breaker=breaker or Breaker(0, 1),
        metrics=Metrics(),
    )
    try:
        usage = await asking.run(None, attempts)  # type: ignore[arg-type]  # the script needs none
    except SkyError as error:
        return spoken.text, error
    return spoken.text, usage


async def test_what_may_pass_is_tried_again_until_it_has() -> None:
    script = Script(("", ModelDown()), ("", ModelBusy(after=0.001)), ("Hi.", Usage("m", 3, 0, 2)))

    assert await asked(script) == ("Hi.", Usage("m", 3, 0, 2))


@pytest.mark.parametrize("failure", [QuotaSpent(), Filtered(), OutOfRoom()])
async def test_what_will_not_pass_is_told_at_once(failure: SkyError) -> None:
    script = Script(("", failure))

    assert await asked(script) == ("", failure)
    assert failure.usage is None


async def test_an_answer_that_broke_off_goes_on_and_both_parts_are_paid() -> None:
    script = Script(("Once there ", ModelDown()), ("was a cat.", Usage("m", 30, 0, 4)))

    text, usage = await asked(script)

    assert text == "Once there was a cat."
    assert script.asked[1].begun == "Once there"
    assert "Repeat nothing" in script.asked[1].told
    assert isinstance(usage, Usage)
    assert usage.input > 30
    assert usage.output > 4


async def test_an_answer_that_breaks_off_twice_is_owned_up_to_and_paid() -> None:
    script = Script(("Once ", CutShort("one")), ("there ", ModelDown("two")))

    text, failed = await asked(script)

    assert text == "Once there "
    assert isinstance(failed, CutShort)
    assert failed.usage is not None
    assert failed.usage.output > 0


async def test_what_the_provider_told_of_a_failed_answer_is_kept() -> None:
    failure = OutOfRoom()
    failure.usage = Usage("m", 10, 0, 100)

    assert await asked(Script(("A long tale", failure))) == ("A long tale", failure)
    assert failure.usage == Usage("m", 10, 0, 100)


async def test_while_the_breaker_is_open_nobody_waits_for_attempts() -> None:
    breaker = Breaker(2, 60)
    script = Script(("", ModelDown()), ("", ModelDown()))

    _, first = await asked(script, attempts=2, breaker=breaker)
    _, second = await asked(script, attempts=2, breaker=breaker)

    assert isinstance(first, ModelDown)
    assert isinstance(second, ModelPaused)
    assert len(script.asked) == 2
