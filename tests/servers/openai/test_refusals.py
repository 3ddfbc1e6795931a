"""Unsupported requests are refused in OpenAI's form, never answered with a guess."""

from typing import Any

import openai as library
import pytest
from openai import AsyncOpenAI

from .pictures import DOT

USER = {"role": "user", "content": "x"}


def message(role: str, kind: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": kind, "text": "x"}]}


def picture(kind: str, encoded: str) -> dict[str, Any]:
    url = f"data:image/{kind};base64,{encoded}"
    return {"role": "user", "content": [{"type": "input_image", "image_url": url}]}


PICTURE = "input[0].content[0].image_url"
RESPONSES: list[tuple[dict[str, Any], str, str]] = [
    ({"input": "x", "foo": 1}, "unknown_parameter", "foo"),
    ({"input": "x", "background": True}, "unknown_parameter", "background"),
    ({"input": 3}, "invalid_type", "input"),
    ({"input": []}, "invalid_value", "input"),
    ({"input": [message("robot", "input_text")]}, "invalid_value", "input[0]"),
    ({"input": [message("user", "text")]}, "invalid_value", "input[0].content[0]"),
    ({"input": [message("assistant", "input_text")]}, "invalid_value", "input[0].content[0]"),
    ({"input": [{**USER, "name": "ann"}]}, "unknown_parameter", "input[0].name"),
    ({"input": [{"role": "user"}]}, "missing_required_parameter", "input[0].content"),
    ({"input": "x", "max_output_tokens": 3}, "invalid_value", "max_output_tokens"),
    ({"input": "x", "model": "gpt-5", "temperature": 0.2}, "unsupported_parameter", "temperature"),
    ({"input": "x", "text": {"verbosity": "loud"}}, "invalid_value", "text.verbosity"),
    ({"input": "x", "reasoning": {"effort": "low"}}, "unsupported_parameter", "reasoning.effort"),
    ({"input": "[[chnks=1]]"}, "directive", ""),
    ({"input": [picture("png", "AAAA")]}, "image_parse_error", PICTURE),
    ({"input": [picture("png", "A")]}, "invalid_base64_image", PICTURE),
    ({"input": [picture("svg+xml", DOT)]}, "unsupported_image_media_type", PICTURE),
    ({"input": "x", "tools": [{"type": "file_search"}]}, "invalid_value", "tools[0]"),
]
CHAT: list[tuple[dict[str, Any], str, str]] = [
    ({"messages": [{**USER, "name": "two words"}]}, "invalid_value", "messages[0].name"),
    ({"messages": [message("user", "input_text")]}, "invalid_value", "messages[0].content[0]"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "invalid_value", "messages[0]"),
    ({"messages": [USER], "input": "x"}, "unknown_parameter", "input"),
    ({"messages": [USER], "model": "o3", "max_tokens": 9}, "unsupported_parameter", "max_tokens"),
    ({}, "missing_required_parameter", "messages"),
]


@pytest.mark.parametrize(("body", "code", "param"), RESPONSES)
async def test_responses_refuses(
    openai: AsyncOpenAI, body: dict[str, Any], code: str, param: str
) -> None:
    with pytest.raises(library.BadRequestError) as raised:
        await openai.post("/responses", cast_to=object, body={"model": "gpt-4.1", **body})

    assert (raised.value.code, raised.value.param or "") == (code, param)
    assert raised.value.type == "invalid_request_error"


@pytest.mark.parametrize(("body", "code", "param"), CHAT)
async def test_chat_refuses(
    openai: AsyncOpenAI, body: dict[str, Any], code: str, param: str
) -> None:
    with pytest.raises(library.BadRequestError) as raised:
        await openai.post("/chat/completions", cast_to=object, body={"model": "gpt-4o", **body})

    assert (raised.value.code, raised.value.param) == (code, param)


async def test_stream_options_belong_to_streams(openai: AsyncOpenAI) -> None:
    body = {"model": "gpt-4o", "messages": [USER], "stream_options": {"include_usage": True}}

    with pytest.raises(library.BadRequestError, match="only allowed when 'stream'"):
        await openai.post("/chat/completions", cast_to=object, body=body)


async def test_an_unknown_model_is_not_found(openai: AsyncOpenAI) -> None:
    with pytest.raises(library.NotFoundError) as raised:
        await openai.responses.create(model="gpt-99", input="x")

    assert raised.value.code == "model_not_found"


async def test_an_unknown_address_is_not_found(openai: AsyncOpenAI) -> None:
    with pytest.raises(library.NotFoundError, match="Invalid URL"):
        await openai.get("/nowhere", cast_to=object)
