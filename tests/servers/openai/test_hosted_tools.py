"""Searches and pictures, as parsed by the real client."""

from base64 import b64decode

import openai as library
import pytest
from openai import AsyncOpenAI
from openai.types.responses import ResponseFunctionWebSearch
from openai.types.responses.response_output_item import ImageGenerationCall
from openai.types.responses.response_output_text import AnnotationURLCitation, ResponseOutputText

from .pictures import DOT


async def test_a_search_comes_before_the_words_and_its_pages_with_them(openai: AsyncOpenAI) -> None:
    async with openai.responses.stream(
        model="gpt-5",
        input="[[search=2 text=found]]",
        tools=[{"type": "web_search"}],
    ) as stream:
        kinds = [event.type async for event in stream]
        response = await stream.get_final_response()

    assert kinds.index("response.web_search_call.completed") < kinds.index(
        "response.output_text.delta"
    )
    assert kinds.count("response.output_text.annotation.added") == 2
    thought, call, message = response.output
    assert thought.type == "reasoning"
    assert isinstance(call, ResponseFunctionWebSearch)
    assert message.type == "message"
    (text,) = message.content
    assert isinstance(text, ResponseOutputText)
    pages = [each.url for each in text.annotations if isinstance(each, AnnotationURLCitation)]
    assert len(pages) == 2


async def test_a_picture_that_has_to_be_made_is_all_there_is(openai: AsyncOpenAI) -> None:
    response = await openai.responses.create(
        model="gpt-4.1",
        input="a grey dot",
        tools=[{"type": "image_generation"}],
        tool_choice={"type": "image_generation"},
    )

    (call,) = response.output
    assert isinstance(call, ImageGenerationCall)
    assert b64decode(call.result or "") == b64decode(DOT)
    assert response.output_text == ""


async def test_a_tool_that_is_not_offered_is_not_used(openai: AsyncOpenAI) -> None:
    response = await openai.responses.create(model="gpt-4.1", input="[[search=2 draw=1 text=no]]")

    assert [item.type for item in response.output] == ["message"]
    with pytest.raises(library.BadRequestError) as refused:
        await openai.responses.create(
            model="gpt-4.1", input="x", tool_choice={"type": "image_generation"}
        )
    assert refused.value.param == "tool_choice"


async def test_the_images_api_makes_a_picture(openai: AsyncOpenAI) -> None:
    made = await openai.images.generate(model="gpt-image-1", prompt="a grey dot")

    assert made.data
    assert made.data[0].b64_json == DOT
    with pytest.raises(library.NotFoundError):
        await openai.images.generate(model="paintbox", prompt="a grey dot")


async def test_tools_are_called_as_often_as_the_request_allows(openai: AsyncOpenAI) -> None:
    response = await openai.responses.create(
        model="gpt-4.1",
        input="[[search=1 calls=4 draw=1 text=found]]",
        tools=[{"type": "web_search"}, {"type": "image_generation"}],
        max_tool_calls=2,
    )

    calls = [item for item in response.output if isinstance(item, ResponseFunctionWebSearch)]
    assert [bool(call.action) for call in calls] == [True, True, False, False]
    assert not any(isinstance(item, ImageGenerationCall) for item in response.output)


@pytest.mark.parametrize(
    ("kind", "told"),
    [("none", None), ("null", None), ("zero", 0), ("text", "3"), ("negative", -3)],
)
async def test_what_was_used_up_is_told_as_a_provider_might(
    openai: AsyncOpenAI, kind: str, told: object
) -> None:
    response = await openai.responses.create(
        model="gpt-4.1", input=f'[[usage={kind} text="twelve chars"]]'
    )

    assert told == (response.usage and response.usage.output_tokens)
