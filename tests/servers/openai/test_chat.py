"""POST /v1/chat/completions, as parsed by the real client."""

import pytest
from openai import APIError, AsyncOpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from .control import OpenAIControl


def conversation(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "system", "content": "I am Sky."}, {"role": "user", "content": text}]


async def chunks(openai: AsyncOpenAI, text: str) -> list[ChatCompletionChunk]:
    stream = await openai.chat.completions.create(
        model="gpt-4o", messages=conversation(text), stream=True
    )
    return [chunk async for chunk in stream]


def joined(given: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in given if chunk.choices)


async def test_a_stream_ends_with_a_finish_reason(
    openai: AsyncOpenAI, control: OpenAIControl
) -> None:
    given = await chunks(openai, "chat about owls [[chunks=5]]")

    record = await control.ended("chat about owls")
    assert joined(given) == record.text
    assert given[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in given] == [None] * 6 + ["stop"]


async def test_usage_comes_last_where_it_was_asked_for(openai: AsyncOpenAI) -> None:
    stream = await openai.chat.completions.create(
        model="gpt-4o",
        messages=conversation("usage"),
        stream=True,
        stream_options={"include_usage": True},
    )
    given = [chunk async for chunk in stream]

    assert given[-1].choices == []
    assert given[-1].usage is not None
    assert given[-1].usage.total_tokens > 0
    assert all(chunk.usage is None for chunk in given[:-1])


async def test_an_answer_without_stream_comes_whole(openai: AsyncOpenAI) -> None:
    completion = await openai.chat.completions.create(
        model="gpt-5.4", messages=conversation("who are you")
    )

    assert completion.choices[0].message.content == "I am Sky."
    assert completion.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("fault", "reason"), [("content_filter", "content_filter"), ("incomplete", "length")]
)
async def test_an_answer_that_is_stopped_says_why(
    openai: AsyncOpenAI, fault: str, reason: str
) -> None:
    given = await chunks(openai, f"stop [[fault={fault} after=2]]")

    assert given[-1].choices[0].finish_reason == reason


async def test_a_cut_stream_ends_without_a_finish_reason(openai: AsyncOpenAI) -> None:
    given = await chunks(openai, "cut [[fault=cut after=2 chunks=9]]")

    assert len(given) == 3
    assert all(chunk.choices[0].finish_reason is None for chunk in given)


@pytest.mark.parametrize("fault", ["error_event", "error_object", "failed"])
async def test_an_error_in_the_stream_is_raised(openai: AsyncOpenAI, fault: str) -> None:
    with pytest.raises(APIError, match="had an error"):
        await chunks(openai, f"break [[fault={fault}]]")


async def test_a_refusal_is_not_content(openai: AsyncOpenAI) -> None:
    given = await chunks(openai, "no [[fault=refusal]]")

    assert joined(given) == ""
    assert any(chunk.choices[0].delta.refusal for chunk in given)
