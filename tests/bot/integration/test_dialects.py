"""Each provider's dialect through each case: what the person reads, and what the metric says.

A file that is added to tests/servers/openai/dialects runs through all of them by itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from bot.domain.errors import (
    CutShort,
    KeyRefused,
    ModelBusy,
    OnlyReasoning,
    OutOfRoom,
    QuotaSpent,
    SkyError,
    ToolMissing,
)
from tests.servers.openai import dialect
from tests.servers.openai.chat import THOUGHT
from tests.servers.openai.control import Fault, FaultKind, OpenAIControl
from tests.servers.openai.launch import Running

from .dialects import Page, Provider

BLIND = "The language model can't open a picture here, so I answered without it."
HALF = "The language model can't read that much at once, so I left out earlier messages."
SPOKEN = "The gulls went home. And the boats? They stayed."
SAY = f'[[text="{SPOKEN}" chunks=6]]'

Open = Callable[..., Provider]


@pytest.fixture
async def provider(server: Running, control: OpenAIControl, name: str) -> AsyncIterator[Provider]:
    """A bot that has just started, in front of a provider."""
    opened = Provider(server, control, name)
    await opened.speak()
    yield opened
    await opened.close()


NAMES = [
    f"{name}{api}"
    for name in dialect.names()
    for api in ("", *(["/responses"] if "responses" in dialect.load(name).apis else []))
]
every_dialect = pytest.mark.parametrize("name", NAMES)


def read_whole(page: Page, *below: str) -> None:
    """The person reads the answer, and these remarks."""
    assert page.failed is None, repr(page.failed)
    assert page.text == SPOKEN
    assert page.below == list(below)


def read_failure(page: Page, kind: type[SkyError], text: str = "") -> None:
    """The person reads what was said, and one sentence."""
    assert type(page.failed) is kind, repr(page.failed)
    assert page.text == text


@every_dialect
async def test_a_plain_question_is_answered(provider: Provider) -> None:
    page = await provider.ask(f"hello {SAY}")

    read_whole(page)
    assert provider.statuses["complete"] == 1


@every_dialect
async def test_four_people_and_the_bot_talk_and_the_next_question_needs_no_second_request(
    provider: Provider,
) -> None:
    before = [(2, "one"), (3, "two"), (4, "three"), (5, "four"), (1, "five")]

    first = await provider.ask(f"first {SAY}", before=before)
    second = await provider.ask(f"second {SAY}", before=before)

    read_whole(first)
    read_whole(second)
    assert [each.status for each in await provider.requests("second")] == [200]
    assert provider.statuses["complete"] == 2


@every_dialect
async def test_a_picture_that_the_model_cannot_take_is_left_out(provider: Provider) -> None:
    page = await provider.ask(f"look {SAY}", pictures=1)
    after = await provider.ask(f"plain {SAY}")

    read_whole(page, BLIND)
    read_whole(after)
    assert provider.statuses["complete"] == 2
    assert "model_paused" not in provider.statuses


@every_dialect
async def test_too_long_a_conversation_is_shortened(provider: Provider) -> None:
    await provider.speak(context=1500)
    before = [(2 + n % 2, f"{n} " * 300) for n in range(12)]

    page = await provider.ask(f"long {SAY}", before=before)

    refuses = provider.dialect.has("context")
    read_whole(page, *([HALF] if refuses else []))
    assert bool(provider.statuses.get("too_much_text")) == refuses


@every_dialect
@pytest.mark.parametrize("parameter", ["temperature", "stream_options", "max_tokens", "stream"])
async def test_a_refused_parameter_is_left_out_from_then_on(
    provider: Provider, parameter: str
) -> None:
    await provider.speak(refuses=(parameter,))

    first = await provider.ask(f"first {SAY}", temperature=0.3)
    second = await provider.ask(f"second {SAY}", temperature=0.3)

    read_whole(first)
    read_whole(second)
    assert [each.status for each in await provider.requests("second")] == [200]
    assert provider.statuses["complete"] == 2


@every_dialect
async def test_an_effort_that_the_model_does_not_know_is_left_out(provider: Provider) -> None:
    first = await provider.ask(f"first {SAY}", effort="low")
    second = await provider.ask(f"second {SAY}", effort="low")

    read_whole(first)
    read_whole(second)
    assert [each.status for each in await provider.requests("second")] == [200]


@every_dialect
async def test_a_spent_account_is_told_and_not_asked_again(provider: Provider) -> None:
    await provider.control.inject(Fault(kind=FaultKind.QUOTA))

    page = await provider.ask("hello")

    read_failure(page, QuotaSpent)
    assert provider.statuses == {"quota_spent": 1}


@every_dialect
async def test_a_refused_key_is_told(provider: Provider) -> None:
    provider.key._value = "sk-loop-refused"

    page = await provider.ask("hello")

    read_failure(page, KeyRefused)
    assert provider.statuses == {"key_refused": 1}


@every_dialect
async def test_a_rate_limit_is_waited_for_and_told(provider: Provider) -> None:
    await provider.control.inject(Fault(kind=FaultKind.RATE_LIMIT, retry_after=0.01, count=2))

    page = await provider.ask("hello")
    after = await provider.ask(f"hello again {SAY}")

    read_failure(page, ModelBusy)
    read_whole(after)
    assert provider.statuses == {"model_busy": 2, "complete": 1}


@every_dialect
async def test_an_answer_without_usage_is_paid_for(provider: Provider) -> None:
    await provider.ask(f"hello {SAY}")
    told = provider.spent
    await provider.speak(usage="never")

    page = await provider.ask(f"hello {SAY}")

    read_whole(page)
    assert told > 0
    assert 0.7 < (provider.spent - told) / told < 1.3


@every_dialect
async def test_reasoning_is_not_shown(provider: Provider) -> None:
    page = await provider.ask(f"think {SAY}", model=provider.thinker)

    read_whole(page)
    assert THOUGHT[:12] not in page.text
    assert provider.statuses["complete"] >= 1


@every_dialect
async def test_a_cut_answer_goes_on_or_says_that_it_broke_off(provider: Provider) -> None:
    await provider.control.inject(Fault(kind=FaultKind.CUT, after=2, count=1))

    page = await provider.ask(f"cut {SAY}")

    part = SPOKEN[: 2 * len(SPOKEN) // 6]
    assert page.text.startswith(part)
    assert provider.statuses["cut_short"] == 1
    if provider.dialect.requests.last_user:
        read_failure(page, CutShort, part)
    else:
        assert page.failed is None
        assert page.text == part.rstrip() + part[len(part.rstrip()) :] + SPOKEN
    again = await provider.ask(f"again {SAY}")
    read_whole(again)


@every_dialect
@pytest.mark.parametrize("kind", [FaultKind.EMPTY, FaultKind.HTML])
async def test_a_stream_without_anything_in_it_is_tried_again(
    provider: Provider, kind: FaultKind
) -> None:
    await provider.control.inject(Fault(kind=kind, count=1))

    page = await provider.ask(f"hello {SAY}")

    read_whole(page)
    assert provider.statuses == {"model_down": 1, "complete": 1}


@every_dialect
async def test_an_answer_that_reached_its_length_says_so(provider: Provider) -> None:
    await provider.control.inject(Fault(kind=FaultKind.INCOMPLETE, after=2, count=1))

    page = await provider.ask(f"hello {SAY}")

    read_failure(page, OutOfRoom, SPOKEN[: 2 * len(SPOKEN) // 6])
    assert provider.statuses == {"out_of_room": 1}


@every_dialect
async def test_thinking_that_used_up_the_length_is_told(provider: Provider) -> None:
    await provider.control.inject(Fault(kind=FaultKind.ONLY_REASONING, count=1))

    page = await provider.ask(f"hello {SAY}", model=provider.thinker)

    read_failure(page, OnlyReasoning)
    assert provider.statuses["only_reasoning"] == 1


@every_dialect
async def test_a_picture_is_drawn_or_the_person_reads_that_this_model_cannot(
    provider: Provider,
) -> None:
    page = await provider.ask("a grey dot", image=True)

    spoken, settings = provider.dialect, provider.services.settings.openai
    draws = settings.image_model in spoken.model_names
    if settings.api == "responses":
        draws = spoken.group(provider.blind).hosted_tools
    if draws:
        assert page.failed is None
        assert [picture.name for picture in page.pictures] == ["picture.png"]
    else:
        read_failure(page, ToolMissing)
        assert provider.statuses == {"tool_missing": 1}
