"""The same bot on Chat Completions, for the many other providers."""

import asyncio

from bot.domain import errors

from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene


async def test_a_call_is_answered_over_chat_completions(chat_scene: Scene) -> None:
    question = await chat_scene.call("hello over there")

    answer = await chat_scene.answer(question)

    assert "hello over there" in answer.text
    assert (await chat_scene.record(question)).endpoint == "chat"


async def test_a_long_answer_comes_whole_over_chat_completions(chat_scene: Scene) -> None:
    question = await chat_scene.call("at length [[length=5000 fence=1 chunks=30 delay=0.02]]")

    answer = await chat_scene.answer(question)

    assert len(answer.parts) >= 3


async def test_a_stream_without_a_finish_reason_is_owned_up_to(chat_scene: Scene) -> None:
    cases = {
        "cut": errors.CutShort,
        "content_filter": errors.Filtered,
        "incomplete": errors.OutOfRoom,
        "error_event": errors.CutShort,
        "quota": errors.QuotaSpent,
    }
    places = chat_scene.elsewhere(len(cases))

    async def fail(fault: str, place: str) -> str:
        question = await chat_scene.call(f"break [[fault={fault}]]", where=place)
        told = cases[fault].sentence
        return (await chat_scene.until(question, lambda seen: told in seen.text)).text

    texts = await asyncio.gather(*map(fail, cases, places))

    for fault, text in zip(cases, texts, strict=True):
        assert text.count(cases[fault].sentence) == 1


async def test_a_reasoning_model_is_given_the_length_under_the_name_it_takes(
    fresh: FreshStage,
) -> None:
    stage = fresh(SKY_OPENAI__API="chat", SKY_OPENAI__MODEL="gpt-5-mini")
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        first = await scene.call("think about owls")
        await scene.answer(first)
        second = await scene.call("and about gulls")
        await scene.answer(second)

        assert [record.status for record in await scene.records(second)] == [200]


async def test_tokens_are_counted_over_chat_completions(chat_scene: Scene) -> None:
    question = await chat_scene.call("count me")

    await chat_scene.answer(question)

    assert await chat_scene.bot.metric("model_tokens_total", kind="output") > 0
