"""Runs the same questions with every file in dialects/, so that a new file needs no new test."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai as library
import pytest
from openai import AsyncOpenAI

from . import dialect
from .chat import THOUGHT
from .control import ControlRefused, DialectChoice, Fault, FaultKind, OpenAIControl, ScriptedAnswer
from .dialect import Dialect, ModelGroup
from .launch import Running
from .pictures import DOT

ANY = pytest.mark.parametrize("name", dialect.names())
PICTURE = [
    {"type": "text", "text": "what is that?"},
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DOT}"}},
]


@pytest.fixture(autouse=True)
async def _openai_again(server: Running) -> AsyncIterator[None]:
    """Restore the server's state for the other tests."""
    yield
    async with OpenAIControl(server.control_url) as control:
        await control.speak(DialectChoice(name="openai"))
        await control.clear()
        await control.forget()
        await control.script()


def blind(spoken: Dialect) -> ModelGroup:
    return next(group for group in spoken.models if not group.pictures)


def thinker(spoken: Dialect) -> ModelGroup:
    return next(group for group in spoken.models if group.reasons)


def walk(node: Any) -> Iterator[str]:
    """Yield every text in a JSON value."""
    if isinstance(node, dict | list):
        for each in node.values() if isinstance(node, dict) else node:
            yield from walk(each)
    elif isinstance(node, str):
        yield node


async def post(openai: AsyncOpenAI, model: str, content: Any, **more: Any) -> Any:
    body = {"model": model, "messages": [{"role": "user", "content": content}], **more}
    return await openai.post("/chat/completions", body=body, cast_to=object)


async def events(openai: AsyncOpenAI, model: str, content: str, **more: Any) -> list[str]:
    """Return the data of each event of a stream, as sent."""
    body = {"model": model, "messages": [{"role": "user", "content": content}], "stream": True}
    key = {"Authorization": f"Bearer {openai.api_key}"}
    address = f"{openai.base_url}chat/completions"
    response = await openai._client.post(address, json={**body, **more}, headers=key)
    lines = response.text.splitlines()
    return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]


@ANY
def test_a_dialect_says_what_it_is_based_on_and_shows_each_kind_of_model(name: str) -> None:
    spoken = dialect.load(name)

    assert spoken.sources
    assert blind(spoken).names
    assert thinker(spoken).names
    for kind, form in spoken.refusals.items():
        if form.content_type == "application/json":
            json.loads(form.rendered({}))
        assert 200 <= form.status < 600, kind


@ANY
async def test_an_answer_is_streamed_and_ends_as_the_dialect_says(
    openai: AsyncOpenAI, control: OpenAIControl, name: str
) -> None:
    spoken = dialect.load(name)
    await control.speak(DialectChoice(name=name))

    sent = await events(openai, blind(spoken).names[0], 'hello [[text="one two three" chunks=3]]')

    record = await control.ended("hello")
    assert (record.text, record.ending) == ("one two three", "completed")
    assert (sent[-1] == "[DONE]") == spoken.streams.done
    chunks = [json.loads(each) for each in sent if each != "[DONE]"]
    usages = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    assert len(usages) == (1 if spoken.streams.usage == "always" else 0)
    finishes = [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]]
    assert finishes[-1] == "stop"


@ANY
async def test_reasoning_is_sent_in_the_dialects_form(
    openai: AsyncOpenAI, control: OpenAIControl, name: str
) -> None:
    spoken = dialect.load(name)
    await control.speak(DialectChoice(name=name))

    sent = await events(openai, thinker(spoken).names[0], 'think [[text="the answer"]]')

    deltas = [
        choice["delta"]
        for chunk in sent
        if chunk != "[DONE]"
        for choice in json.loads(chunk)["choices"]
    ]
    texts = "".join("".join(walk(delta)) for delta in deltas)
    assert (THOUGHT in texts.replace("thinkingtext", "")) == (spoken.reasoning != "hidden")
    shown = {
        "think_tags": any("<thi" in str(delta.get("content")) for delta in deltas),
        "thinking_parts": any(isinstance(delta.get("content"), list) for delta in deltas),
    }
    field = any(spoken.reasoning in delta for delta in deltas)
    assert shown.get(spoken.reasoning, field) == (spoken.reasoning != "hidden")


@ANY
async def test_length_is_named_as_the_dialect_names_it(
    openai: AsyncOpenAI, control: OpenAIControl, name: str
) -> None:
    spoken = dialect.load(name)
    await control.speak(DialectChoice(name=name))

    sent = await events(openai, blind(spoken).names[0], "[[fault=incomplete after=1]]")

    expected = spoken.finish.get("length", "length")
    assert any(f'"finish_reason":"{expected}"' in each for each in sent)


@ANY
@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        (FaultKind.QUOTA, "credit"),
        (FaultKind.RATE_LIMIT, "rate_limit"),
        (FaultKind.SERVER_ERROR, "server_error"),
    ],
)
async def test_a_refusal_has_the_dialects_status_and_body(
    openai: AsyncOpenAI, control: OpenAIControl, name: str, kind: FaultKind, refusal: str
) -> None:
    spoken = dialect.load(name)
    await control.speak(DialectChoice(name=name))
    await control.inject(Fault(kind=kind, count=1))
    form = spoken.refusal(refusal)

    with pytest.raises(library.APIStatusError) as raised:
        await post(openai, blind(spoken).names[0], "x")

    assert raised.value.status_code == form.status
    assert raised.value.response.headers["content-type"].startswith(form.content_type)


@ANY
async def test_a_wrong_key_is_refused(
    openai: AsyncOpenAI, control: OpenAIControl, name: str
) -> None:
    spoken = dialect.load(name)
    await control.speak(DialectChoice(name=name))
    openai.api_key = "sk-loop-not-accepted"

    with pytest.raises(library.APIStatusError) as raised:
        await post(openai, blind(spoken).names[0], "x")

    assert raised.value.status_code == spoken.refusal("bad_key").status
    assert "sk-loop-not-accepted" not in raised.value.response.text


@ANY
async def test_a_picture_is_refused_by_a_model_that_sees_none(
    openai: AsyncOpenAI, control: OpenAIControl, name: str
) -> None:
    spoken = dialect.load(name)
    await control.speak(DialectChoice(name=name))

    with pytest.raises(library.APIStatusError) as raised:
        await post(openai, blind(spoken).names[0], PICTURE)

    assert raised.value.status_code == spoken.refusal("picture").status


@ANY
async def test_a_long_conversation_is_refused_or_shortened(
    openai: AsyncOpenAI, control: OpenAIControl, name: str
) -> None:
    spoken = dialect.load(name)
    await control.speak(DialectChoice(name=name, context=500))
    long = [{"role": "user", "content": f"{n} " * 800} for n in range(3)]
    alternating = [long[0], {"role": "assistant", "content": "yes"}, long[1]]
    body: dict[str, Any] = {"model": blind(spoken).names[0], "messages": alternating}

    if not spoken.has("context"):
        await openai.post("/chat/completions", body=body, cast_to=object)
        record = await control.ended("1 1")
        assert record.asked is not None
        assert len(record.asked.turns) < len(alternating)
        return
    form = spoken.refusal("context")
    if form.in_stream:
        sent = await events(openai, body["model"], "", messages=alternating)
        assert "error" in json.loads(sent[-1])
        return
    with pytest.raises(library.APIStatusError) as raised:
        await openai.post("/chat/completions", body=body, cast_to=object)
    assert raised.value.status_code == form.status


@ANY
async def test_parameters_are_refused_as_the_dialect_refuses_them(
    openai: AsyncOpenAI, control: OpenAIControl, name: str
) -> None:
    spoken = dialect.load(name)
    await control.speak(DialectChoice(name=name, refuses=("temperature",)))

    with pytest.raises(library.APIStatusError) as raised:
        await post(openai, blind(spoken).names[0], "x", temperature=0.3)

    assert raised.value.status_code == spoken.refusal("parameter").status


async def test_roles_must_alternate_where_the_dialect_says_so(
    openai: AsyncOpenAI, control: OpenAIControl
) -> None:
    await control.speak(DialectChoice(name="vllm"))
    user = {"role": "user", "content": "x"}
    body = {"model": dialect.load("vllm").model_names[0], "messages": [user, user]}

    with pytest.raises(library.BadRequestError, match="must alternate"):
        await openai.post("/chat/completions", body=body, cast_to=object)


async def test_the_last_message_must_be_the_users_at_mistral(
    openai: AsyncOpenAI, control: OpenAIControl
) -> None:
    await control.speak(DialectChoice(name="mistral"))
    said = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
    body = {"model": "codestral-latest", "messages": said}

    with pytest.raises(library.BadRequestError, match="Expected last role User"):
        await openai.post("/chat/completions", body=body, cast_to=object)


@pytest.mark.parametrize("kind", ["empty", "html", "no_finish", "finish_error", "finish_unknown"])
async def test_a_stream_may_end_in_an_unusual_way(
    openai: AsyncOpenAI, control: OpenAIControl, kind: str
) -> None:
    sent = await events(openai, "gpt-4.1", f'end [[text="one two" fault={kind}]]')

    record = await control.ended("end")
    assert record.ending == kind
    finishes = [each for each in sent if '"finish_reason":"' in each]
    expected = {"finish_error": "error", "finish_unknown": "eos_token"}
    assert len(finishes) == (kind in expected)
    assert all(expected[kind] in each for each in finishes)


async def test_a_scripted_answer_can_be_a_response_to_the_letter(
    openai: AsyncOpenAI, control: OpenAIControl
) -> None:
    page = ScriptedAnswer(match="x", text="<b>no</b>", status=413, content_type="text/html")
    await control.script(page)

    with pytest.raises(library.APIStatusError) as raised:
        await post(openai, "gpt-4.1", "x")

    assert (raised.value.status_code, raised.value.response.text) == (413, "<b>no</b>")


async def test_an_unknown_dialect_is_refused(control: OpenAIControl) -> None:
    with pytest.raises(ControlRefused, match="no dialect klingon"):
        await control.speak(DialectChoice(name="klingon"))
