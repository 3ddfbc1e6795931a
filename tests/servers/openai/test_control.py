"""Keys, models, scripts, counts and records, over both listeners."""

import asyncio

import openai as library
import pytest
from openai import AsyncOpenAI

from .control import (
    ControlRefused,
    DialectChoice,
    Fault,
    FaultKind,
    OpenAIControl,
    Pace,
    ScriptedAnswer,
)
from .keys import digest
from .launch import Running


async def test_a_revoked_key_is_refused_at_once_and_a_new_one_accepted(
    openai: AsyncOpenAI, control: OpenAIControl
) -> None:
    old = openai.api_key
    await control.accept("sk-loop-the-new-one")
    try:
        with pytest.raises(library.AuthenticationError) as raised:
            await openai.models.list()
        openai.api_key = "sk-loop-the-new-one"
        listed = await openai.models.list()
    finally:
        await control.accept(old)

    assert raised.value.code == "invalid_api_key"
    assert old not in str(raised.value)
    assert listed.data
    assert (await control.counts()).by_key[digest("sk-loop-the-new-one")] == 1


async def test_several_keys_are_accepted_side_by_side(
    openai: AsyncOpenAI, control: OpenAIControl
) -> None:
    old = openai.api_key
    await control.accept(old, "sk-loop-second")

    for key in (old, "sk-loop-second"):
        openai.api_key = key
        await openai.models.list()
    await control.accept(old)


async def test_a_key_file_changed_by_hand_counts_as_well(
    openai: AsyncOpenAI, server: Running, control: OpenAIControl
) -> None:
    old = server.key_file.read_text()
    server.key_file.write_text("sk-loop-by-hand\n")
    try:
        openai.api_key = "sk-loop-by-hand"
        await openai.models.list()
        assert await control.keys() == ["sk-loop-by-hand"]
    finally:
        server.key_file.write_text(old)


async def test_a_request_without_a_key_is_refused(openai: AsyncOpenAI) -> None:
    bare = {"Authorization": library.Omit()}
    with pytest.raises(library.AuthenticationError, match="didn't provide an API key"):
        await openai.get("/models", cast_to=object, options={"headers": bare})


async def test_a_scripted_answer_is_given_as_often_as_it_says(
    openai: AsyncOpenAI, control: OpenAIControl
) -> None:
    await control.script(ScriptedAnswer(match="script", text="As written.", count=1))

    first = await openai.responses.create(model="gpt-4.1", input="script")
    second = await openai.responses.create(model="gpt-4.1", input="script")
    await control.script()

    assert first.output_text == "As written."
    assert second.output_text.startswith("You said: script")


async def test_the_pace_holds_for_all_answers(openai: AsyncOpenAI, control: OpenAIControl) -> None:
    await control.pace(Pace(first=0.1, chunks=2))
    stream = await openai.responses.create(model="gpt-4.1", input="pace of two", stream=True)
    async for _ in stream:
        pass
    await control.pace(Pace())

    record = await control.ended("pace of two")
    assert record.chunks == 2
    assert record.first_text_at is not None
    assert record.first_text_at - record.received_at >= 0.1


async def test_a_client_that_leaves_early_is_on_record(
    openai: AsyncOpenAI, control: OpenAIControl
) -> None:
    slow = "leaving [[delay=0.05 chunks=200 length=900]]"
    stream = await openai.responses.create(model="gpt-4.1", input=slow, stream=True)
    async for event in stream:
        if event.type == "response.output_text.delta":
            break
    await stream.close()

    record = await control.ended("leaving")
    assert record.ending == "gone"
    assert 0 < len(record.text) < 900


async def test_a_watcher_sees_a_request_while_it_is_open(
    openai: AsyncOpenAI, control: OpenAIControl
) -> None:
    slow = "watched [[first=0.2]]"
    asking = asyncio.create_task(openai.responses.create(model="gpt-4.1", input=slow))

    asked = await control.asked("watched")
    await asking
    ended = await control.ended("watched")

    assert (asked.ending, ended.ending) == ("open", "completed")
    assert asked.number == ended.number


async def test_counts_add_up(openai: AsyncOpenAI, control: OpenAIControl) -> None:
    await control.forget()
    await openai.responses.create(model="gpt-4.1", input="one")
    with pytest.raises(library.APIStatusError):
        await openai.responses.create(model="gpt-4.1", input="two [[fault=quota]]")
    with pytest.raises(library.NotFoundError):
        await openai.get("/nowhere", cast_to=object)

    counts = await control.counts()
    assert counts.total == 3
    assert counts.by_endpoint == {"responses": 2, "unknown": 1}
    assert counts.by_status == {"200": 1, "404": 1, "429": 1}
    assert counts.by_ending == {"completed": 1, "refused": 2}


async def test_the_models_can_be_replaced(openai: AsyncOpenAI, control: OpenAIControl) -> None:
    before = [model.id for model in (await openai.models.list()).data]
    await control.models("house-model")
    try:
        assert (await openai.models.retrieve("house-model")).id == "house-model"
        with pytest.raises(library.NotFoundError):
            await openai.responses.create(model="gpt-4.1", input="x")
    finally:
        await control.models(*before)


async def test_text_is_flagged_where_it_asks_to_be(openai: AsyncOpenAI) -> None:
    verdict = await openai.moderations.create(
        model="omni-moderation-latest", input=["hello", "bad [[flag=violence]]"]
    )

    assert [result.flagged for result in verdict.results] == [False, True]
    assert verdict.results[1].categories.violence


async def test_the_control_api_refuses_what_it_does_not_know(control: OpenAIControl) -> None:
    with pytest.raises(ControlRefused, match="no fault fault-999"):
        await control.clear("fault-999")


async def test_the_log_names_requests_and_no_content(openai: AsyncOpenAI, server: Running) -> None:
    await openai.responses.create(model="gpt-4.1", input="a-secret-word")

    assert "a-secret-word" not in server.log.read_text()
    assert openai.api_key not in server.log.read_text()


async def test_a_reset_is_the_beginning(openai: AsyncOpenAI, control: OpenAIControl) -> None:
    key = (await control.keys())[0]
    await control.speak(DialectChoice(name="mistral"))
    await control.accept("sk-loop-another")
    await control.models("none-that-is-asked-for")
    await control.pace(Pace(first=60))
    await control.inject(Fault(kind=FaultKind.QUOTA))
    await control.script(ScriptedAnswer(match="", text="scripted"))
    with pytest.raises(library.AuthenticationError):
        await openai.responses.create(model="gpt-4.1", input="before")

    await control.reset()

    assert await control.requests() == []
    assert await control.keys() == [key]
    answer = await openai.responses.create(model="gpt-4.1", input="after")
    assert answer.output_text.startswith("You said: after")
    assert await control.faults() == []
