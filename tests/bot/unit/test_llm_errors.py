"""What a provider's failures mean."""

from __future__ import annotations

from typing import Any

import aiohttp
import httpx2
import openai
import pytest

from bot.domain.errors import (
    CutShort,
    Filtered,
    KeyRefused,
    ModelBusy,
    ModelDown,
    ModelMissing,
    ModelSlow,
    OutOfRoom,
    QuotaSpent,
    RequestRefused,
    SkyError,
    TooMuchText,
)
from bot.domain.model_request import Usage
from bot.llm.provider_errors import mapped, raise_for_event, raise_for_finish

REQUEST = httpx2.Request("POST", "https://api.example/v1/responses")


def refused(status: int, code: str | None, **headers: str) -> openai.APIStatusError:
    response = httpx2.Response(status, request=REQUEST, headers=headers)
    body = {"code": code, "message": "Incorrect API key provided: sk-secret"}
    return openai.APIStatusError("sk-secret", response=response, body=body)


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (401, "invalid_api_key", KeyRefused),
        (401, None, KeyRefused),
        (403, None, ModelMissing),
        (404, "model_not_found", ModelMissing),
        (400, "context_length_exceeded", TooMuchText),
        (413, None, TooMuchText),
        (400, "content_filter", Filtered),
        (400, "unsupported_parameter", RequestRefused),
        (422, None, RequestRefused),
        (429, "rate_limit_exceeded", ModelBusy),
        (429, None, ModelBusy),
        (429, "insufficient_quota", QuotaSpent),
        (408, None, ModelSlow),
        (500, "server_error", ModelDown),
        (502, None, ModelDown),
        (503, None, ModelDown),
    ],
)
def test_a_refused_request_has_one_meaning_and_no_secret(
    status: int, code: str | None, meaning: type[SkyError]
) -> None:
    with pytest.raises(meaning) as caught, mapped():
        raise refused(status, code)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "after"),
    [("2", 2.0), ("0.5", 0.5), ("Wed, 21 Oct", None), ("nan", None), ("-1", None)],
)
def test_the_pause_that_a_provider_asks_for_is_kept(header: str, after: float | None) -> None:
    with pytest.raises(ModelBusy) as caught, mapped():
        raise refused(429, None, **{"retry-after": header})

    assert caught.value.after == after


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (openai.APITimeoutError(REQUEST), ModelSlow),
        (openai.APIConnectionError(request=REQUEST), ModelDown),
        (openai.APIError("x", REQUEST, body={"code": "insufficient_quota"}), QuotaSpent),
        (openai.APIError("x", REQUEST, body={"code": "anything"}), ModelDown),
    ],
)
def test_a_broken_connection_or_stream_has_one_meaning(
    error: Exception, meaning: type[SkyError]
) -> None:
    with pytest.raises(meaning), mapped():
        raise error


@pytest.mark.parametrize(
    ("event", "meaning"),
    [
        ({"type": "response.failed", "response": {"error": {"code": "server_error"}}}, ModelDown),
        ({"type": "response.failed", "response": {"error": None}}, ModelDown),
        ({"type": "response.failed", "response": {"error": {"code": "invalid_prompt"}}}, Filtered),
        ({"type": "error", "code": "rate_limit_exceeded"}, ModelBusy),
        ({"type": "error", "code": None}, ModelDown),
        (
            {
                "type": "response.incomplete",
                "response": {"incomplete_details": {"reason": "max_output_tokens"}},
            },
            OutOfRoom,
        ),
        (
            {
                "type": "response.incomplete",
                "response": {"incomplete_details": {"reason": "content_filter"}},
            },
            Filtered,
        ),
        ({"type": "response.incomplete", "response": {"incomplete_details": None}}, CutShort),
        ({"type": "response.incomplete", "response": "nonsense"}, ModelDown),
        ({"type": "response.failed"}, ModelDown),
    ],
)
def test_an_event_that_ends_an_answer_badly_has_one_meaning(
    event: dict[str, Any], meaning: type[SkyError]
) -> None:
    with pytest.raises(meaning):
        raise_for_event(event["type"], event)


def test_events_that_are_no_end_are_passed_over() -> None:
    raise_for_event("response.created", {"type": "response.created"})
    raise_for_finish("stop", Usage("m"))


@pytest.mark.parametrize(
    ("reason", "meaning"), [("length", OutOfRoom), ("content_filter", Filtered)]
)
def test_a_finish_that_is_no_end_has_one_meaning(reason: str, meaning: type[SkyError]) -> None:
    with pytest.raises(meaning) as raised:
        raise_for_finish(reason, Usage("m", input=3))

    assert raised.value.usage == Usage("m", input=3)


@pytest.mark.parametrize(
    ("cause", "meaning"),
    [
        (aiohttp.ServerDisconnectedError(), ModelDown),
        (aiohttp.ClientOSError(), ModelDown),
        (aiohttp.SocketTimeoutError(), ModelSlow),
        (aiohttp.ConnectionTimeoutError(), ModelSlow),
    ],
)
def test_a_connection_that_broke_is_not_called_slow(
    cause: Exception, meaning: type[SkyError]
) -> None:
    """The library raises its timeout error for both; what lies below tells them apart."""
    transport = httpx2.ConnectTimeout("")
    transport.__cause__ = cause
    error = openai.APITimeoutError(REQUEST)
    error.__cause__ = transport

    with pytest.raises(meaning), mapped():
        raise error
