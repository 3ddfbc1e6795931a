"""What a provider's failures mean."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx2
import openai
import pytest

from bot.domain.errors import (
    BadPicture,
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
from bot.domain.model_request import Text
from bot.llm import error_mapping
from bot.llm.error_mapping import FeatureRefused, mapped
from bot.llm.provider_apis import ChatCompletionsApi, ProviderApi, ResponsesApi
from bot.llm.provider_dialects import Knowledge, Refusal
from bot.llm.retries import Breaker, RetryingRequest, StreamRecorder
from bot.llm.transport import OptionalParameter, Payload, ProviderResponse
from bot.observability.metrics import Metrics
from bot.settings.schema import OpenAISettings
from tests.bot.unit.fakes import FakeClient, ScriptedApi
from tests.bot.unit.test_llm_retries import ASK, MOST_OUTPUT, Bill, Key
from tests.servers.openai import dialect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from bot.domain.model_request import ModelRequest, ProviderEvent

PAYLOAD = Payload(
    "/chat/completions",
    {},
    (
        OptionalParameter("stream_options", {}, ("include_usage",)),
        OptionalParameter("reasoning_effort", {}, ("reasoningeffort", "reasoning.effort")),
        OptionalParameter("temperature", {}),
        OptionalParameter("max_tokens", {}),
    ),
)
QUOTA = "You exceeded your current quota, please check your plan and billing details."
PICTURES = dataclasses.replace(PAYLOAD, pictures=True)
REQUEST = httpx2.Request("POST", "https://api.example/v1/responses")


def refused(status: int, code: str | None, **headers: str) -> openai.APIStatusError:
    body = {"error": {"code": code, "message": "What you sent, sk-secret, was refused"}}
    response = httpx2.Response(status, request=REQUEST, headers=headers, json=body)
    return openai.APIStatusError("sk-secret", response=response, body=None)


class Canned(ProviderResponse):
    """A response of which a test says what is in it."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        super().__init__(None, PAYLOAD)
        self._objects = objects

    async def objects(self) -> AsyncGenerator[dict[str, Any], None]:
        """See ProviderResponse."""
        for each in self._objects:
            if each.get("type") == "error":
                raise error_mapping.read(each)
            yield each


async def answered(api: ProviderApi, *objects: dict[str, Any]) -> str:
    """Let an API read what came back; gives the text, or raises as an answer does that ended so."""

    class Api(ScriptedApi):
        async def act(self, request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
            async for event in api.read(Canned(*objects), request, "m"):
                yield event

    recorder, client = StreamRecorder(), FakeClient()
    asking = RetryingRequest(
        replace(ASK, begun="It was "),  # so that what breaks off is not continued
        recorder,
        "m",
        api=Api(),
        knowledge=Knowledge(),
        key=Key(),
        breaker=Breaker(0, 1),
        metrics=Metrics(),
        account=Bill(),
        most_output=MOST_OUTPUT,
    )
    async for _ in asking._once(client):  # type: ignore[arg-type]  # the API above needs none
        pass
    return recorder.text


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
        (httpx2.ReadTimeout("x"), ModelSlow),
        (httpx2.RemoteProtocolError("x"), ModelDown),
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
        ({"type": "response.incomplete", "response": "nonsense"}, CutShort),
        ({"type": "response.failed"}, ModelDown),
    ],
)
async def test_an_event_that_ends_an_answer_badly_has_one_meaning(
    event: dict[str, Any], meaning: type[SkyError]
) -> None:
    said = {"type": "response.output_text.delta", "delta": "Well, "}

    with pytest.raises(meaning):
        await answered(ResponsesApi(OpenAISettings()), said, event)


async def test_events_that_are_no_end_are_passed_over() -> None:
    events: list[Any] = [
        {"type": "response.created"},
        {"type": ["no", "text"]},
        {"no": "type"},
        {"type": "response.output_text.delta", "delta": 3},
        {"type": "response.output_item.done", "item": "no object"},
        {"type": "response.output_text.delta", "delta": "Well."},
        {"type": "response.completed", "response": {"usage": {"input_tokens": 3}}},
    ]

    assert await answered(ResponsesApi(OpenAISettings()), *events) == "Well."


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        ("length", OutOfRoom),
        ("content_filter", Filtered),
        ("MAX_TOKENS", OutOfRoom),
        ("SAFETY", Filtered),
        ("error", CutShort),
        ("anything else", CutShort),
        (True, CutShort),
        ({"no": "text"}, CutShort),
    ],
)
async def test_a_finish_that_is_no_end_has_one_meaning(
    reason: object, meaning: type[SkyError]
) -> None:
    said = {"choices": [{"delta": {"content": "Well, "}}], "usage": {"prompt_tokens": 3}}
    ended = {"choices": [{"delta": {}, "finish_reason": reason}]}

    with pytest.raises(meaning) as raised:
        await answered(ChatCompletionsApi(OpenAISettings()), said, ended)

    assert raised.value.usage is not None
    assert raised.value.usage.input == 3


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


@pytest.mark.parametrize(
    ("body", "status", "meaning"),
    [
        # forms that people reported; tests/servers/openai/dialects names where
        (
            {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"]}]},
            422,
            "stream_options",
        ),
        (
            {
                "object": "error",
                "message": {"detail": [{"loc": ["body", "stream_options", "include_usage"]}]},
            },
            422,
            "stream_options",
        ),
        (
            {"error": {"message": "`reasoning_effort` is not supported with this model"}},
            400,
            "reasoning_effort",
        ),
        (
            {"error": "Argument not supported on this model: reasoningEffort"},
            400,
            "reasoning_effort",
        ),
        (
            [{"error": {"message": 'Unknown name "temperature": Cannot find field.'}}],
            400,
            "temperature",
        ),
        (
            {
                "error": {
                    "metadata": {"raw": '{"error":{"message":"Unsupported parameter: max_tokens"}}'}
                }
            },
            400,
            "max_tokens",
        ),
        ({"error": {"message": "must be verified to stream this model"}}, 400, Refusal.STREAMING),
        ({"error": {"param": "stream", "code": "unsupported_value"}}, 400, Refusal.STREAMING),
        (
            {"message": "Conversation roles must alternate user/assistant"},
            400,
            Refusal.SUCCESSIVE_TURNS,
        ),
        (
            {"message": "does not support successive user or assistant messages"},
            400,
            Refusal.SUCCESSIVE_TURNS,
        ),
        ({"message": "Expected last role User or Tool but got assistant"}, 400, Refusal.LAST_TURN),
        ({"message": "System role not supported"}, 400, Refusal.SYSTEM_ROLE),
        (
            {
                "error": {
                    "param": "input_tokens",
                    "code": 400,
                    "message": "This model's maximum context length is 4096 tokens.",
                }
            },
            400,
            TooMuchText,
        ),
        (
            {
                "error": {
                    "type": "tokens",
                    "code": "rate_limit_exceeded",
                    "message": "Request too large for model: Limit 6000, Requested 9000",
                }
            },
            413,
            TooMuchText,
        ),
        (
            {
                "error": {
                    "code": "rate_limit_exceeded",
                    "message": "Request too large for gpt-4o (TPM): Limit 3, Requested 4",
                }
            },
            429,
            TooMuchText,
        ),
        ({"error": {"message": "Temporarily limited to 1 MB"}}, 413, TooMuchText),
        ({"error": {"message": "Insufficient credits. Add more"}}, 402, QuotaSpent),
        ("<html>402 Payment Required</html>", 402, QuotaSpent),
        (
            {"error": "Your team has either used all available credits or reached its limit."},
            403,
            QuotaSpent,
        ),
        ({"error": {"message": "Key limit exceeded (total limit)."}}, 403, QuotaSpent),
        (
            {"error": {"message": "Input was flagged", "metadata": {"reasons": ["violence"]}}},
            403,
            Filtered,
        ),
        ({"error": {"message": "Missing scopes: model.request"}}, 403, ModelMissing),
        ({"error": "Incorrect API key provided: lo***op."}, 400, KeyRefused),
        (
            [{"error": {"message": "API key not valid. Please pass a valid API key."}}],
            400,
            KeyRefused,
        ),
        ({"error": {"message": f"{QUOTA} Please retry in 34s."}}, 429, ModelBusy),
        ({"error": {"message": QUOTA}}, 429, QuotaSpent),
        ({"error": {"message": "server busy, please try again."}}, 503, ModelBusy),
        ({"error": {"message": "The model `x` does not exist."}}, 400, ModelMissing),
        ("<html>", 418, RequestRefused),
        (None, 400, RequestRefused),
        (3, 400, RequestRefused),
        (
            {"error": {"message": {"deep": [True, None, 1.5, {"code": {"x": 1}}]}}},
            400,
            RequestRefused,
        ),
        # inside a stream, where the status is in the body or nowhere
        ({"message": "busy", "code": 429}, None, ModelBusy),
        ({"message": "no", "code": "401"}, None, KeyRefused),
        ({"code": "insufficient_quota"}, None, QuotaSpent),
        ({"code": "anything"}, None, ModelDown),
        ({"message": "Provider disconnected unexpectedly", "code": 502}, None, ModelDown),
    ],
)
def test_a_refusal_is_understood_in_whatever_form(
    body: object, status: int | None, meaning: type[SkyError] | str
) -> None:
    error = error_mapping.read(body, status=status, payload=PAYLOAD)

    if isinstance(meaning, Refusal):
        assert isinstance(error, FeatureRefused)
        assert error.what is meaning
    elif isinstance(meaning, str):
        assert isinstance(error, FeatureRefused)
        assert error.parameters == (meaning,)
    else:
        assert type(error) is meaning


@pytest.mark.parametrize(
    ("body", "status", "meaning"),
    [
        ({"message": "The model is not multimodal.", "code": 400}, None, Refusal.PICTURES),
        (
            {"error": {"message": "No endpoints found that support image input"}},
            404,
            Refusal.PICTURES,
        ),
        ({"error": "Model does not support images."}, 400, Refusal.PICTURES),
        ("messages[1]: unknown variant `image_url`, expected `text`", 422, Refusal.PICTURES),
        (
            {"error": {"message": "('messages.1.content' : value must be a string)"}},
            400,
            Refusal.PICTURES,
        ),
        (
            {"error": {"message": "image input is not supported - hint: the mmproj"}},
            500,
            Refusal.PICTURES,
        ),
        ("<html>413</html>", 413, Refusal.PICTURES),
        ({"error": {"code": "invalid_image_format"}}, 400, BadPicture),
        ({"error": {"message": "Unsupported image format: image/gif"}}, 400, BadPicture),
        ({"error": {"message": "Could not decode the image"}}, 400, BadPicture),
        ("Internal Server Error", 500, ModelDown),
    ],
)
def test_a_refusal_of_pictures_tells_all_of_them_from_this_one(
    body: object, status: int | None, meaning: type[SkyError] | Refusal
) -> None:
    error = error_mapping.read(body, status=status, payload=PICTURES)

    if isinstance(meaning, Refusal):
        assert isinstance(error, FeatureRefused)
        assert error.what is meaning
    else:
        assert type(error) is meaning


# With these statuses a provider may say anything: a word in it does not change what they mean.
OUTWEIGHED = [
    # a refused key is exchanged (P4, P10), whatever else is said of it
    (401, "Your access was terminated due to violation of our policies", KeyRefused),
    (401, "This token has been temporarily blocked", KeyRefused),
    (401, "Access blocked by content policy", KeyRefused),
    (401, "No credentials, and the context window is 4096", KeyRefused),
    (401, "Log in to see the billing page", KeyRefused),
    (401, "Rate limits are for known users", KeyRefused),
    (401, "The model `x` does not exist, or not for you", KeyRefused),
    (401, "This model's vision is not supported for unknown users", KeyRefused),
    (401, "Streaming is not allowed without a login", KeyRefused),
    (401, "This model does not support system messages for unknown users", KeyRefused),
    (401, "Insufficient balance. Manage your billing here", QuotaSpent),
    # who may not use the model reads that, and not that it is out of reach or the text too long
    (403, "Your account has been temporarily suspended", ModelMissing),
    (403, "Your account was suspended for violation of our terms of service", ModelMissing),
    (403, "Your organization was disabled by our safety system", ModelMissing),
    (403, "The model is at capacity for this plan", ModelMissing),
    (403, "A context window of 1M is not part of your plan", ModelMissing),
    (403, "Your plan ends with an assistant", ModelMissing),
    (403, "Content violates usage guidelines.", Filtered),
    (403, "Rate limit reached", ModelBusy),
    (403, "Please enable billing", QuotaSpent),
    (403, "Incorrect API key provided", KeyRefused),
    # what is too fast is waited for
    (429, "The model is temporarily unavailable", ModelBusy),
    (429, "The model is overloaded", ModelBusy),
    (429, "Model x is not available at this rate", ModelBusy),
    (429, "Slowed down for violation of our terms", ModelBusy),
    (429, "Too many tries with an invalid API key", ModelBusy),
    (429, "Token limit exceeded", ModelBusy),
    (429, "You have exceeded your rate limit", ModelBusy),
    (429, "Please reduce the prompt length, or try again later", ModelBusy),
    (429, "Rate limit reached. Raise it at https://api.example/billing", ModelBusy),
    (429, "Your provisioned throughput is exceeded; more is not supported", ModelBusy),
    (429, "Request too large for x on tokens per min (TPM): Limit 3, Requested 4", TooMuchText),
    (429, "Your prepayment credits are depleted", QuotaSpent),
    # and so on
    (402, "Your account is temporarily limited", QuotaSpent),
    (410, "Temporarily here, now gone", ModelMissing),
]


@pytest.mark.parametrize(("status", "message", "meaning"), OUTWEIGHED)
@pytest.mark.parametrize("payload", [None, PAYLOAD, PICTURES], ids=["none", "plain", "pictures"])
def test_a_status_weighs_more_than_words_beside_it(
    status: int, message: str, meaning: type[SkyError], payload: Payload | None
) -> None:
    error = error_mapping.read({"error": {"message": message}}, status=status, payload=payload)

    assert type(error) is meaning


def test_a_code_for_overload_does_not_outweigh_429() -> None:
    error = error_mapping.read({"error": {"type": "overloaded_error"}}, status=429)

    assert type(error) is ModelBusy


LENGTH = "max_tokens"
LENGTHS = [
    # the bound of the answer is refused: it is left out, and the conversation stays whole
    (400, "`max_tokens` must be <= 2048", None, LENGTH),
    (400, "`max_tokens` must be <= 2048", LENGTH, LENGTH),
    (422, "`max_new_tokens` must be <= 1512", None, LENGTH),
    (422, "Input validation error: `max_new_tokens` must be <= 1512. Given: 4096", None, LENGTH),
    (400, "max_tokens exceeds the maximum number of tokens, 4096", None, LENGTH),
    (400, "`max_tokens` must be less than the context window of this model", LENGTH, LENGTH),
    (400, "too many tokens: max_tokens must be at most 4096", None, LENGTH),
    (400, "max_tokens: the maximum model length is 4096", None, LENGTH),
    (400, "max_tokens is too large for model x", None, LENGTH),
    (400, "max_tokens: token limit exceeded", None, LENGTH),
    (400, "max_tokens exceeded your usage limit", LENGTH, LENGTH),
    (400, "Out of the context size", "temperature", "temperature"),
    # the conversation is too long, whether or not the bound is mentioned
    (422, "`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000", None, None),
    (400, "input length and `max_tokens` exceed context limit: 190000 + 20000", None, None),
    (
        400,
        "'max_tokens' is too large: 9. Your context length is 8, with 7 input tokens",
        None,
        None,
    ),
    (400, "max_tokens: reduce the length of the messages; the context window is 8", LENGTH, None),
    (400, "The prompt is too long: 9 tokens", None, None),
    (400, "context length exceeded, at a temperature of 1", None, None),
]


@pytest.mark.parametrize(("status", "message", "param", "refused"), LENGTHS)
def test_a_refused_length_of_the_answer_is_not_taken_for_a_long_conversation(
    status: int, message: str, param: str | None, refused: str | None
) -> None:
    payload = ChatCompletionsApi(OpenAISettings()).payload(
        replace(ASK, temperature=0.5), Knowledge().of("m"), 4096
    )
    body = {"error": {"message": message, "param": param}}

    error = error_mapping.read(body, status=status, payload=payload)

    if refused is None:
        assert type(error) is TooMuchText
    else:
        assert isinstance(error, FeatureRefused)
        assert error.parameters == (refused,)


def test_a_refusal_of_the_lengths_second_name_may_call_it_by_the_first() -> None:
    knowledge = Knowledge()
    knowledge.refuses_parameter("m", "max_tokens")
    payload = ChatCompletionsApi(OpenAISettings()).payload(ASK, knowledge.of("m"), 4096)

    error = error_mapping.read("`max_tokens` must be <= 2048", status=400, payload=payload)

    assert isinstance(error, FeatureRefused)
    assert error.parameters == ("max_completion_tokens",)


@pytest.mark.parametrize("end", ["response.completed", "response.incomplete"])
async def test_only_what_a_message_says_is_read_from_the_end_of_a_stream(end: str) -> None:
    thought = [{"type": "reasoning_text", "text": "private"}]
    said = [
        {"type": "reasoning_text", "text": "private"},
        {"type": "output_text", "text": "Well, "},
        {"type": "refusal", "refusal": "no."},
    ]
    output = [
        {"type": "reasoning", "content": thought, "summary": thought},
        {"type": "message", "content": said},
    ]
    for whole, shown in ((output[:1], ""), (output, "Well, no.")):
        event = {"type": end, "response": {"output": whole, "incomplete_details": {}}}
        text = ""
        api = ResponsesApi(OpenAISettings())
        async for each in api.read(Canned(event), ASK, "m"):
            text += each.text if isinstance(each, Text) else ""
        assert text == shown


@pytest.mark.parametrize("name", dialect.names())
def test_no_words_of_a_refusal_reach_a_log(name: str) -> None:
    for kind, form in dialect.load(name).refusals.items():
        said = form.rendered({"message": "sk-secret", "param": "sk-secret", "code": "sk-secret"})
        error = error_mapping.read(error_mapping.parsed(said), status=form.status)
        assert "secret" not in str(error), kind
