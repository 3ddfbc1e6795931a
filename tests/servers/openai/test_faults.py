"""Each fault, as the real client sees it with the Responses API."""

import asyncio
import json

import openai as library
import pytest
from openai import AsyncOpenAI

from .control import Fault, FaultKind, OpenAIControl

AT_ONCE = [
    (FaultKind.UNAUTHORIZED, library.AuthenticationError, "invalid_api_key"),
    (FaultKind.FORBIDDEN, library.PermissionDeniedError, "missing_scope"),
    (FaultKind.MODEL_NOT_FOUND, library.NotFoundError, "model_not_found"),
    (FaultKind.CONTEXT_LENGTH, library.BadRequestError, "context_length_exceeded"),
    (FaultKind.RATE_LIMIT, library.RateLimitError, "rate_limit_exceeded"),
    (FaultKind.QUOTA, library.RateLimitError, "insufficient_quota"),
    (FaultKind.SERVER_ERROR, library.InternalServerError, None),
    (FaultKind.UNAVAILABLE, library.InternalServerError, None),
    (FaultKind.BAD_GATEWAY, library.InternalServerError, None),
]


async def stream(openai: AsyncOpenAI, text: str) -> list[tuple[str, str]]:
    events = await openai.responses.create(model="gpt-4.1", input=text, stream=True)
    return [(event.type, getattr(event, "delta", "")) async for event in events]


def said(events: list[tuple[str, str]]) -> str:
    return "".join(delta for _, delta in events)


@pytest.mark.parametrize(("kind", "error", "code"), AT_ONCE)
async def test_a_request_fails_at_once(
    openai: AsyncOpenAI, kind: FaultKind, error: type[library.APIStatusError], code: str | None
) -> None:
    with pytest.raises(error) as raised:
        await stream(openai, f"x [[fault={kind}]]")

    assert raised.value.code == code


async def test_a_rate_limit_says_when_to_come_back(openai: AsyncOpenAI) -> None:
    with pytest.raises(library.RateLimitError) as raised:
        await stream(openai, "x [[fault=rate_limit retry_after=7]]")

    assert raised.value.response.headers["retry-after"] == "7"
    assert raised.value.request_id is not None


@pytest.mark.parametrize("kind", [FaultKind.TIMEOUT, FaultKind.STALL])
async def test_silence_lasts_until_the_client_leaves(
    openai: AsyncOpenAI, control: OpenAIControl, kind: FaultKind
) -> None:
    hurried = openai.with_options(timeout=0.2)
    with pytest.raises(library.APITimeoutError):
        await stream(hurried, f"silent [[fault={kind}]]")

    record = await control.first(lambda r: r.fault == kind and r.ending != "open")
    assert record.ending == "gone"


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.RESET])
async def test_a_connection_breaks(openai: AsyncOpenAI, kind: FaultKind) -> None:
    with pytest.raises(library.APIConnectionError):
        await stream(openai, f"x [[fault={kind}]]")


async def test_what_was_sent_before_a_reset_is_on_record(
    openai: AsyncOpenAI, control: OpenAIControl
) -> None:
    with pytest.raises(library.APIConnectionError):
        await stream(openai, 'reset me [[text="one two three four" fault=reset after=2]]')

    record = await control.ended("reset me")
    assert (record.text, record.ending) == ("one two", "reset")


async def test_a_cut_stream_ends_cleanly_without_completion(openai: AsyncOpenAI) -> None:
    events = await stream(openai, 'x [[text="one two three" fault=cut after=2]]')

    assert said(events) == "one two"
    assert events[-1][0] == "response.output_text.delta"


async def test_a_malformed_event_is_not_json(openai: AsyncOpenAI) -> None:
    with pytest.raises(json.JSONDecodeError):
        await stream(openai, "x [[fault=malformed]]")


async def test_an_error_object_is_raised_by_the_client(openai: AsyncOpenAI) -> None:
    with pytest.raises(library.APIError, match="had an error"):
        await stream(openai, "x [[fault=error_object]]")


@pytest.mark.parametrize(
    ("kind", "last"),
    [
        (FaultKind.ERROR_EVENT, "error"),
        (FaultKind.FAILED, "response.failed"),
        (FaultKind.INCOMPLETE, "response.incomplete"),
        (FaultKind.CONTENT_FILTER, "response.incomplete"),
    ],
)
async def test_a_stream_says_that_it_failed(
    openai: AsyncOpenAI, kind: FaultKind, last: str
) -> None:
    events = await stream(openai, f"x [[fault={kind} after=1]]")

    assert events[-1][0] == last


async def test_a_content_filter_gives_its_reason(openai: AsyncOpenAI) -> None:
    response = await openai.responses.create(model="gpt-4.1", input="x [[fault=content_filter]]")

    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "content_filter"


async def test_a_refusal_completes_without_text(openai: AsyncOpenAI) -> None:
    events = await stream(openai, "x [[fault=refusal]]")

    assert {"response.refusal.delta", "response.refusal.done", "response.completed"} <= {
        kind for kind, _ in events
    }
    assert "response.output_text.delta" not in {kind for kind, _ in events}


async def test_first_text_and_chunks_can_be_slow(openai: AsyncOpenAI) -> None:
    clock = asyncio.get_running_loop().time
    began = clock()
    slow = "x [[first=0.2 delay=0.05 chunks=4]]"
    events = await openai.responses.create(model="gpt-4.1", input=slow, stream=True)
    times = [clock() - began async for event in events if event.type.endswith("text.delta")]

    assert times[0] >= 0.2
    assert times[-1] - times[0] >= 0.14


async def test_an_injected_fault_strikes_what_it_matches_and_so_often(
    openai: AsyncOpenAI, control: OpenAIControl
) -> None:
    begun = await control.inject(Fault(kind=FaultKind.SERVER_ERROR, match="storm", count=1))

    with pytest.raises(library.InternalServerError):
        await stream(openai, "a storm")
    assert said(await stream(openai, "no wind"))
    assert said(await stream(openai, "a storm again"))

    mine = next(each for each in await control.faults() if each.id == begun.id)
    assert (mine.hits, mine.over) == (1, True)
    await control.clear(begun.id)


async def test_an_injected_fault_ends_with_its_time(
    openai: AsyncOpenAI, control: OpenAIControl
) -> None:
    begun = await control.inject(Fault(kind=FaultKind.QUOTA, match="brief", seconds=0.01))
    await asyncio.sleep(0.02)

    assert said(await stream(openai, "brief"))
    await control.clear(begun.id)


async def test_a_fault_for_the_model_list_leaves_answers_alone(
    openai: AsyncOpenAI, control: OpenAIControl
) -> None:
    begun = await control.inject(Fault(kind=FaultKind.FORBIDDEN, endpoint="models"))

    with pytest.raises(library.PermissionDeniedError):
        await openai.models.list()
    assert said(await stream(openai, "hello"))
    await control.clear(begun.id)
