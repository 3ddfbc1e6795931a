"""What people reported of providers that are not exactly OpenAI: one test for each report."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.domain.errors import (
    CutShort,
    Filtered,
    KeyRefused,
    ModelBusy,
    ModelDown,
    ModelMissing,
    OnlyReasoning,
    OutOfRoom,
    QuotaSpent,
    SkyError,
)
from tests.servers.openai.control import Fault, FaultKind, OpenAIControl, ScriptedAnswer
from tests.servers.openai.launch import Running

from .dialects import Key, Provider
from .test_dialects import BLIND, HALF, SAY, SPOKEN, read_failure, read_whole

SSE, JSON, PAGE = "text/event-stream", "application/json", "text/html"


@pytest.fixture
async def provider(server: Running, control: OpenAIControl) -> AsyncIterator[Provider]:
    """A bot that has just started, in front of OpenAI; a test says what that sends."""
    opened = Provider(server, control, "openai", model="gpt-4.1")
    opened.blind = "gpt-4.1"
    await opened.speak()
    yield opened
    await opened.close()


def stream(*deltas: object, finish: object = "stop", done: bool = True) -> str:
    """Write a stream of Chat Completions; a delta that is no object is the content."""
    chunks: list[dict[str, Any]] = [
        {"choices": [{"delta": each if isinstance(each, dict) else {"content": each}}]}
        for each in deltas
    ]
    if finish is not None:
        chunks.append({"choices": [{"delta": {}, "finish_reason": finish}]})
    sent = [*map(json.dumps, chunks), *(["[DONE]"] if done else [])]
    return "".join(f"data: {each}\n\n" for each in sent)


async def send(
    provider: Provider, text: str, *, status: int = 200, kind: str = SSE, count: int | None = None
) -> None:
    """Let the server answer every question, or so many, with this to the letter."""
    answer = ScriptedAnswer(match="", text=text, status=status, content_type=kind, count=count)
    await provider.control.script(answer)


@pytest.mark.parametrize(
    "sent",
    [
        ("<think>\nHm.\n</think>\n\n", SPOKEN),
        ("<th", "ink>Hm.</thi", "nk>", SPOKEN[:9], SPOKEN[9:]),
        ("<reasoning>Hm.</reasoning>" + SPOKEN,),
        ({"reasoning_content": "Hm."}, {"reasoning": "Hm."}, SPOKEN),
    ],
)
async def test_b1_reasoning_in_the_text_or_beside_it_is_not_shown(
    provider: Provider, sent: tuple[Any, ...]
) -> None:
    await send(provider, stream(*sent))

    read_whole(await provider.ask("think"))


async def test_b1_reasoning_that_the_prompt_opened_is_not_shown(provider: Provider) -> None:
    model = "deepseek-r1-distill-qwen-7b"
    await provider.control.models(model)
    await send(provider, stream("Hm. ", "I see.\n</think>\n\n", SPOKEN))

    read_whole(await provider.ask("think", model=model))


async def test_b1_a_mark_of_reasoning_in_the_middle_is_text(provider: Provider) -> None:
    await send(provider, stream("Write <think>x</think> in your prompt."))

    assert (await provider.ask("how?")).text == "Write <think>x</think> in your prompt."


async def test_b2_content_may_be_a_list_of_parts(provider: Provider) -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    text = {"type": "text", "text": SPOKEN}
    await send(provider, stream({"content": [thinking]}, {"content": [text]}))

    read_whole(await provider.ask("think"))


@pytest.mark.parametrize(
    "odd", [None, 3, True, [], {}, "", [None, 3, "x"], {"a": {"b": []}}], ids=repr
)
async def test_b2_any_field_may_have_another_type(provider: Provider, odd: object) -> None:
    chunks: list[Any] = [
        odd,
        {"choices": odd, "usage": odd, "id": odd},
        {"choices": [odd]},
        {"choices": [{"delta": odd, "index": odd}]},
        {"choices": [{"delta": {"role": odd, "annotations": odd, "reasoning": odd}}]},
        {"choices": [{"delta": {"content": SPOKEN}}]},
        {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": odd},
        {"choices": [], "usage": {"prompt_tokens": odd, "prompt_tokens_details": odd}},
    ]
    await send(provider, "".join(f"data: {json.dumps(each)}\n\n" for each in chunks))

    read_whole(await provider.ask("odd"))


@pytest.mark.parametrize("end", ["\n\n", "\n", "", "\r\n\r\n"], ids=repr)
async def test_b3_done_ends_an_answer_without_a_finish_reason(provider: Provider, end: str) -> None:
    await send(provider, stream(SPOKEN, finish=None).removesuffix("\n\n") + end)

    read_whole(await provider.ask("hello"))
    assert len(await provider.requests("hello")) == 1


async def test_b4_b5_a_refused_parameter_is_left_out_from_then_on_and_logged_once(
    server: Running, control: OpenAIControl, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Provider(server, control, "mistral")
    await provider.speak()

    for words in ("first", "second"):
        read_whole(await provider.ask(f"{words} {SAY}", effort="low"))
    await provider.close()

    assert [each.status for each in await provider.requests("second")] == [200]
    last = (await provider.requests("second"))[0].asked
    assert last is not None
    assert (last.effort, last.include_usage) == (None, False)
    logged = [each.__dict__["parameter"] for each in caplog.records if "parameter" in each.__dict__]
    assert sorted(logged) == ["reasoning_effort", "stream_options"]


async def test_b5_a_refusal_that_names_nothing_is_tried_with_less_and_remembered(
    provider: Provider,
) -> None:
    refusal = '{"error": {"message": "Nope."}}'
    await send(provider, refusal, status=400, kind=JSON, count=1)

    read_whole(await provider.ask(f"first {SAY}", temperature=0.2))
    read_whole(await provider.ask(f"second {SAY}", temperature=0.2))

    first, second = await provider.requests("first"), await provider.requests("second")
    assert [each.asked and each.asked.temperature for each in first] == [0.2, None]
    assert [each.asked and each.asked.temperature for each in second] == [None]


async def test_a_question_that_nothing_helps_is_told_after_each_step_once(
    provider: Provider,
) -> None:
    await send(provider, '{"error": {"message": "Nope."}}', status=400, kind=JSON)

    page = await provider.ask("no", before=[(2, "one"), (3, "two")], pictures=1)

    assert page.failed is not None
    assert page.failed.label == "request_refused"
    assert len(await provider.requests("no")) == 6  # as it is, and five steps with less


REFUSED_PICTURES = [
    ('data: {"error": {"message": "The model is not multimodal.", "code": 400}}\n\n', 200, SSE),
    ("Internal Server Error", 500, "text/plain"),
    ("<html><h1>413 Request Entity Too Large</h1></html>", 413, PAGE),
]


@pytest.mark.parametrize(("sent", "status", "kind"), REFUSED_PICTURES, ids=["b6", "b7", "b8"])
async def test_b6_b7_b8_a_picture_that_is_refused_is_left_out(
    provider: Provider, sent: str, status: int, kind: str
) -> None:
    await send(provider, sent, status=status, kind=kind, count=1)

    read_whole(await provider.ask(f"look {SAY}", pictures=1), BLIND)


async def test_b7_pictures_that_fail_do_not_open_the_circuit_breaker(provider: Provider) -> None:
    for _ in range(6):
        await send(provider, "Internal Server Error", status=500, kind="text/plain", count=1)
        read_whole(await provider.ask(f"look {SAY}", pictures=1), BLIND)

    read_whole(await provider.ask(f"plain {SAY}"))
    assert "model_paused" not in provider.statuses


TOO_LONG = [
    ({"param": "input_tokens", "code": 400, "message": "the maximum context length is 9"}, 400),
    ({"type": "tokens", "code": "rate_limit_exceeded", "message": "Request too large"}, 413),
]


@pytest.mark.parametrize(("error", "status"), TOO_LONG, ids=["b9", "b10"])
async def test_b9_b10_too_long_a_conversation_is_shortened(
    provider: Provider, error: dict[str, object], status: int
) -> None:
    await send(provider, json.dumps({"error": error}), status=status, kind=JSON, count=1)

    read_whole(await provider.ask(f"long {SAY}", before=[(2, "one"), (3, "two")]), HALF)


async def test_b11_spent_credits_are_told_and_not_asked_for_again(provider: Provider) -> None:
    await send(provider, '{"error": {"message": "Insufficient credits"}}', status=402, kind=JSON)

    read_failure(await provider.ask("hello"), QuotaSpent)
    assert len(await provider.requests("hello")) == 1


async def test_b12_another_name_for_the_length_is_the_length(provider: Provider) -> None:
    await send(provider, stream("Half a ", finish="MAX_TOKENS"))

    read_failure(await provider.ask("hello"), OutOfRoom, "Half a ")


@pytest.mark.parametrize("finish", ["error", "network_error", "???", 7])
async def test_b13_an_end_that_is_no_success_is_continued_or_told(
    provider: Provider, finish: object
) -> None:
    await send(provider, stream("Half a ", finish=finish), count=1)
    continued = await provider.ask('first [[text="sentence."]]')
    await send(provider, stream("Half a ", finish=finish))
    told = await provider.ask("second")

    assert (continued.text, continued.failed) == ("Half a sentence.", None)
    read_failure(told, CutShort, "Half a Half a ")


@pytest.mark.parametrize(
    ("sent", "kind"),
    [("", SSE), ("data: [DONE]\n\n", SSE), ("<html>Maintenance</html>", PAGE), ("{}", JSON)],
    ids=["empty", "done", "page", "object"],
)
async def test_b14_nothing_at_all_is_a_model_that_is_down(
    provider: Provider, sent: str, kind: str
) -> None:
    await send(provider, sent, kind=kind, count=1)

    read_whole(await provider.ask(f"hello {SAY}"))
    assert provider.statuses == {"model_down": 1, "complete": 1}


async def test_b15_an_answer_that_may_not_be_continued_broke_off(
    server: Running, control: OpenAIControl
) -> None:
    provider = Provider(server, control, "mistral")
    await provider.speak()
    await control.inject(Fault(kind=FaultKind.CUT, after=2))

    first, second = await provider.ask(f"first {SAY}"), await provider.ask(f"second {SAY}")
    await provider.close()

    read_failure(first, CutShort, SPOKEN[: 2 * len(SPOKEN) // 6])
    read_failure(second, CutShort, SPOKEN[: 2 * len(SPOKEN) // 6])
    assert len(await provider.requests("second")) == 1  # it is known by then


async def test_b16_turns_of_one_role_are_joined_where_roles_must_alternate(
    server: Running, control: OpenAIControl
) -> None:
    provider = Provider(server, control, "vllm")
    await provider.speak()

    page = await provider.ask(f"four {SAY}", before=[(2, "one"), (3, "two"), (4, "three")])
    await provider.close()

    read_whole(page)
    asked = (await provider.requests("four"))[-1].asked
    assert asked is not None
    assert [turn.role for turn in asked.turns] == ["system", "user"]
    assert all(each in asked.turns[1].text for each in ("one", "two", "three", "four"))


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_b17_an_organization_that_may_not_stream_is_answered_whole(
    server: Running, control: OpenAIControl, api: str
) -> None:
    provider = Provider(server, control, "openai", api=api)
    await provider.speak(refuses=("stream",))

    for words in ("first", "second"):
        read_whole(await provider.ask(f"{words} {SAY}"))
    await provider.close()

    assert [each.status for each in await provider.requests("second")] == [200]


async def test_b18_an_answer_without_usage_costs_what_was_sent_and_shown(
    provider: Provider,
) -> None:
    await send(provider, stream(SPOKEN))

    read_whole(await provider.ask("hello"))
    assert 100 < provider.spent < 1000


@pytest.mark.parametrize(
    ("message", "error"),
    [("Key limit exceeded (total limit).", QuotaSpent), ("Input was flagged", Filtered)],
)
async def test_b19_a_403_has_the_meaning_that_its_words_have(
    provider: Provider, message: str, error: type[QuotaSpent | Filtered]
) -> None:
    sent = json.dumps({"error": {"message": message, "code": 403}})
    await send(provider, sent, status=403, kind=JSON)

    read_failure(await provider.ask("hello"), error)


@pytest.mark.parametrize(("code", "error"), [(429, ModelBusy), ("401", KeyRefused)])
async def test_b20_an_error_inside_a_stream_has_the_meaning_of_its_code(
    provider: Provider, code: object, error: type[ModelBusy | KeyRefused]
) -> None:
    sent = json.dumps({"error": {"message": "No.", "code": code}})
    await send(provider, f"data: {sent}\n\n")

    read_failure(await provider.ask("hello"), error)


async def test_b20_a_key_that_is_refused_inside_a_stream_is_exchanged(provider: Provider) -> None:
    class Exchanged(Key):
        exchanges = 0

        async def another(self, than: str | None, timeout: float) -> bool:  # noqa: ASYNC109
            del than, timeout
            self.exchanges += 1
            return True

    provider.model._key = key = Exchanged(await provider.key.current())
    await send(provider, 'data: {"error": {"message": "No.", "code": 401}}\n\n', count=1)

    read_whole(await provider.ask(f"hello {SAY}"))
    assert key.exchanges == 1


async def test_b21_thinking_that_used_up_the_length_is_told(provider: Provider) -> None:
    await send(provider, stream({"reasoning_content": "Hm. " * 50}, finish="length"))

    read_failure(await provider.ask("hello"), OnlyReasoning)


@pytest.mark.parametrize("pieces", [1, 2, 7, 100])
async def test_b22_the_name_and_time_in_front_are_removed(provider: Provider, pieces: int) -> None:
    text = f"Sky (2026-11-30 07:09): {SPOKEN}"
    cut = [text[at : at + pieces] for at in range(0, len(text), pieces)]
    await send(provider, stream(*cut))

    read_whole(await provider.ask("hello"))


async def test_a4_a_client_that_failed_to_load_is_loaded_by_the_next_question(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("SSL_CERT_FILE", "/nowhere/certificates.pem")
        failed = await provider.ask("hello")

    assert failed.failed is not None
    read_whole(await provider.ask(f"hello {SAY}"))


# Further reports than those of the table, each with its kind. ------------------------------------


def piece(content: object = None, finish: object = None, **more: object) -> dict[str, Any]:
    """Write a chunk with one choice."""
    delta = {} if content is None else {"content": content}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}


def events(*objects: object) -> str:
    """Write a stream of these, and its end."""
    sent = [each if isinstance(each, str) else json.dumps(each) for each in (*objects, "[DONE]")]
    return "".join(f"data: {each}\n\n" for each in sent)


FIRST, REST = SPOKEN[:9], SPOKEN[9:]
END = piece(finish="stop")
ODD_STREAMS = {
    # open-webui/open-webui#16377, adolfousier/opencrabs#1499: a reason before the end
    "stop in every piece": events(piece(FIRST, "stop"), piece(REST, "stop")),
    "an empty reason": events(piece(FIRST, ""), piece(REST, ""), END),
    "no reason, in words": events(piece(FIRST, "null"), piece(REST, "None"), END),
    "text after the end": events(piece(FIRST), END, piece(REST)),
    # earendil-works/pi#2466: events that are no objects, or nothing at all
    "empty events": "data:\n\n" + events(piece(FIRST), "", "null", piece(REST), END),
    "a word to keep it open": "data: ping\n\n" + events(piece(FIRST), ": hm", piece(REST), END),
    "a byte order mark": "\ufeff" + events(piece(FIRST), piece(REST), END),
    # microsoft/autogen#6465: a chunk of the filter's, without a delta
    "the filter's chunk": events(
        {"choices": [], "prompt_filter_results": [{}]},
        piece(FIRST),
        {"choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {}}]},
        piece(REST),
        END,
    ),
    "the whole beside the last piece": events(
        piece(FIRST), piece(REST), piece(finish="stop", message={"content": SPOKEN})
    ),
    # the mark of the turn's end as text, where a server lacks it in its configuration
    "a mark of the end": events(piece(SPOKEN), piece("<|im_"), piece("end|>\n"), END),
    "two marks of the end": events(piece(SPOKEN + "<|eot_id|></s>"), END),
    # tinyhumansai/openhuman#6184: other marks of reasoning
    "reasoning in capitals": events(piece("<Think>Hm.</THINK>\n"), piece(SPOKEN), END),
    "reasoning of Cohere's": events(piece("<|START_THINKING|>Hm.<|END_THINKING|>" + SPOKEN), END),
    "an answer between marks": events(
        piece("<think>Hm.</think>\n<ans"), piece("wer>\n" + SPOKEN), piece("</answer>"), END
    ),
}


@pytest.mark.parametrize("sent", ODD_STREAMS.values(), ids=ODD_STREAMS)
async def test_what_surrounds_an_answer_does_not_change_it(provider: Provider, sent: str) -> None:
    await send(provider, sent)

    read_whole(await provider.ask("hello"))
    assert len(await provider.requests("hello")) == 1


@pytest.mark.parametrize(
    "text", ["Write <b>x</b> <", "<s>Old</s>", "1 <|im_end|> 2", "a <| b", "</answer>", "<"]
)
async def test_what_only_looks_like_a_mark_is_shown(provider: Provider, text: str) -> None:
    await send(provider, stream(*text))

    assert (await provider.ask("hello")).text == text


async def test_tokens_that_stand_in_the_total_alone_are_paid_for(provider: Provider) -> None:
    """UKGovernmentBEIS/inspect_ai#5528: reasoning that is billed apart from the answer's tokens."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 3010}
    await send(provider, events(piece(SPOKEN), END, {"choices": [], "usage": usage}))

    read_whole(await provider.ask("hello"))
    assert round(provider.spent) == 3010


async def test_an_answer_that_comes_with_the_end_alone_is_shown(
    server: Running, control: OpenAIControl
) -> None:
    """The Responses API without a delta, as some servers speak it."""
    provider = Provider(server, control, "openai/responses")
    await provider.speak()
    output = [{"type": "message", "content": [{"type": "output_text", "text": SPOKEN}]}]
    done = {"type": "response.completed", "response": {"status": "completed", "output": output}}
    await send(provider, events({"type": "response.created", "response": {}}, done))

    page = await provider.ask("hello")
    await provider.close()

    read_whole(page)


# Told at once, or tried again: what it means, and with which body.
REPORTED: dict[str, tuple[type[SkyError], int, object]] = {
    # Groq: a model that called a tool which it was not given
    "tool": (ModelDown, 400, {"message": "model called a tool", "code": "tool_use_failed"}),
    "overloaded": (ModelDown, 424, "Model is overloaded"),
    "degraded": (ModelDown, 400, "Function id '7': DEGRADED function cannot be invoked"),
    "throttled": (ModelBusy, 429, "Too many tokens, please wait before trying again."),
    "location": (ModelMissing, 400, "User location is not supported for the API use."),
    "gone": (ModelMissing, 410, "The model has reached its end of life"),
    "retired": (ModelMissing, 400, "The model `llama3-70b` has been decommissioned"),
    "no chat": (ModelMissing, 400, '"nomic-embed-text" does not support chat'),
    "inspected": (Filtered, 400, {"message": "Inspected.", "code": "data_inspection_failed"}),
    "guidelines": (Filtered, 403, "Content violates usage guidelines."),
}


@pytest.mark.parametrize(("error", "status", "body"), REPORTED.values(), ids=REPORTED)
async def test_a_refusal_has_its_meaning_and_teaches_nothing_wrong(
    provider: Provider, error: type[SkyError], status: int, body: object
) -> None:
    await send(provider, json.dumps({"error": body}), status=status, kind=JSON)
    read_failure(await provider.ask("hello", temperature=0.2), error)
    await provider.control.script()

    read_whole(await provider.ask(f"again {SAY}", temperature=0.2))
    asked = (await provider.requests("again"))[0].asked
    assert asked is not None
    assert asked.temperature == 0.2


@pytest.mark.parametrize(
    "text",
    [
        "`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
    ],
)
async def test_more_words_for_too_long_a_conversation(provider: Provider, text: str) -> None:
    await send(provider, json.dumps({"error": text}), status=422, kind=JSON, count=1)

    read_whole(await provider.ask(f"long {SAY}", before=[(2, "one"), (3, "two")]), HALF)


@pytest.mark.parametrize(
    "text",
    [
        "user or tool message(s) should alternate with assistant message(s).",
        "Please ensure that multiturn requests alternate between user and model.",
        "A conversation must start with a user message.",
    ],
)
async def test_more_words_for_turns_that_have_to_alternate(provider: Provider, text: str) -> None:
    await send(provider, json.dumps({"error": text}), status=400, kind=JSON, count=1)

    read_whole(await provider.ask(f"two {SAY}", before=[(1, "zero"), (2, "one")]))
    asked = (await provider.requests("two"))[-1].asked
    assert asked is not None
    assert [turn.role for turn in asked.turns] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    "text",
    [
        "Developer instruction is not enabled for models/gemma-3-27b-it",
        "'messages[0].role' does not support 'system' with this model.",
        "Only user, assistant and tool roles are supported, got system.",
        "This model doesn't support system messages.",
    ],
)
async def test_more_words_for_a_model_without_a_system_role(provider: Provider, text: str) -> None:
    await send(provider, json.dumps({"error": text}), status=400, kind=JSON, count=1)

    read_whole(await provider.ask(f"two {SAY}"))
    asked = (await provider.requests("two"))[-1].asked
    assert asked is not None
    assert [turn.role for turn in asked.turns] == ["user"]


async def test_a_firewalls_page_is_no_word_of_the_providers(provider: Provider) -> None:
    page = "<html><title>Attention Required! | Cloudflare</title></html>"
    await send(provider, page, status=403, kind=PAGE, count=1)

    read_whole(await provider.ask(f"hello {SAY}"))


@pytest.mark.parametrize(
    "body",
    [
        {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        {"code": 1113, "msg": "Insufficient balance, please recharge", "success": False},
    ],
)
async def test_a_refusal_with_status_200_and_no_error_in_it_is_one(
    provider: Provider, body: object
) -> None:
    await send(provider, json.dumps(body), kind=JSON)

    read_failure(await provider.ask("hello"), QuotaSpent)
