"""POST /v1/responses, as parsed by the real client."""

from openai import AsyncOpenAI

from .control import OpenAIControl
from .pictures import DOT

OPENING = ["response.created", "response.in_progress"]
REASONING = ["response.output_item.added", "response.output_item.done"]
MESSAGE = ["response.output_item.added", "response.content_part.added"]
CLOSING = [
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


async def test_a_stream_tells_the_answer_from_created_to_completed(openai: AsyncOpenAI) -> None:
    stream = await openai.responses.create(
        model="gpt-4.1", input="owls [[chunks=3]]", stream=True, instructions="I am Sky."
    )
    events = [event async for event in stream]

    deltas = ["response.output_text.delta"] * 3
    assert [event.type for event in events] == [*OPENING, *MESSAGE, *deltas, *CLOSING]
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_a_reasoning_model_puts_its_reasoning_before_the_message(
    openai: AsyncOpenAI,
) -> None:
    stream = await openai.responses.create(model="gpt-5.4", input="owls [[chunks=1]]", stream=True)
    events = [event async for event in stream]

    deltas = ["response.output_text.delta"]
    assert [event.type for event in events] == [
        *OPENING,
        *REASONING,
        *MESSAGE,
        *deltas,
        *CLOSING,
    ]


async def test_the_clients_own_accumulation_agrees_with_what_was_recorded(
    openai: AsyncOpenAI, control: OpenAIControl
) -> None:
    async with openai.responses.stream(
        model="gpt-5.4", input="accumulate [[length=3000 fence=2]]"
    ) as stream:
        final = await stream.get_final_response()

    record = await control.ended("accumulate")
    assert final.output_text == record.text
    assert (record.ending, record.status, record.chunks > 5) == ("completed", 200, True)
    assert final.usage is not None
    assert final.usage.output_tokens == -(-len(record.text) // 4)
    assert final.usage.total_tokens == final.usage.input_tokens + final.usage.output_tokens


async def test_an_answer_without_stream_comes_whole(
    openai: AsyncOpenAI, control: OpenAIControl
) -> None:
    response = await openai.responses.create(model="gpt-4.1", input="whole answer, please")

    record = await control.ended("whole answer")
    assert (response.status, response.output_text) == ("completed", record.text)
    assert "whole answer, please" in record.text


async def test_who_are_you_shows_the_instructions(openai: AsyncOpenAI) -> None:
    response = await openai.responses.create(
        model="gpt-5.4", input="Who are you?", instructions="I am Sky, version two. I help."
    )

    assert response.output_text == "I am Sky, version two."


async def test_what_was_asked_is_kept_turn_by_turn(
    openai: AsyncOpenAI, control: OpenAIControl
) -> None:
    await openai.responses.create(
        model="gpt-4.1",
        instructions="Be brief.",
        input=[
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "second"},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "third turn"},
                    {
                        "type": "input_image",
                        "image_url": f"data:image/png;base64,{DOT}",
                        "detail": "auto",
                    },
                ],
            },
        ],
    )

    record = await control.ended("third turn")
    assert record.asked is not None
    assert [(turn.role, turn.text) for turn in record.asked.turns] == [
        ("system", "Be brief."),
        ("user", "first"),
        ("assistant", "second"),
        ("user", "third turn"),
    ]
    assert record.asked.turns[-1].images == ("data:image/png;base64",)


async def test_an_answer_over_max_output_tokens_ends_as_incomplete(openai: AsyncOpenAI) -> None:
    response = await openai.responses.create(
        model="gpt-4.1", input="[[length=900]]", max_output_tokens=16
    )

    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert len(response.output_text) == 64
