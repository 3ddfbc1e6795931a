"""What a person sees of an answer: whole, in pieces that Discord takes, and while it is written."""

import asyncio

import pytest

from .scenario import Scene


@pytest.mark.parametrize("length", [1990, 2100, 9000])
async def test_a_long_answer_comes_in_parts_that_joined_are_the_models_text(
    scene: Scene, length: int
) -> None:
    question = await scene.call(f"at length [[length={length}]]")

    answer = await scene.answer(question)

    assert len(answer.parts) >= length / 2000
    assert {part.reply_to for part in answer.parts} <= {question, answer.parts[0].id}


async def test_a_long_answer_keeps_its_code_in_fences(scene: Scene) -> None:
    question = await scene.call("show me code [[length=7000 fence=2]]")

    answer = await scene.answer(question)

    assert len(answer.parts) >= 4
    assert answer.well_formed


async def test_the_first_words_are_there_while_the_model_still_writes(scene: Scene) -> None:
    question = await scene.call("slowly [[length=600 chunks=25 delay=0.08]]")

    early = await scene.until(question, lambda seen: bool(seen.parts))
    still = await scene.record(question)
    answer = await scene.answer(question)

    assert still.ending == "open"
    assert 0 < len(early.text) < len(answer.text)
    assert answer.parts[0].revision >= 1


async def test_it_types_while_the_model_thinks(scene: Scene) -> None:
    async with scene.discord.events() as events:
        question = await scene.call("think first [[first=1.2]]")

        await events.event(lambda e: e.kind == "message" and e.data["id"] == question, 60)
        following = await events.event(lambda e: e.kind in {"typing", "message"}, 60)
        assert following.kind == "typing"
    await scene.answer(question)


async def test_a_refusal_is_said_in_the_models_own_words(scene: Scene) -> None:
    question = await scene.call("no [[fault=refusal]]")

    seen = await scene.until(question, lambda seen: bool(seen.parts))
    record = await scene.record(question)

    assert record.text
    assert seen.shows(record.text)


async def test_the_models_answer_pings_nobody(scene: Scene) -> None:
    ada = scene.mention_of("Ada")
    question = await scene.call(f'[[text="@everyone and @here: {ada} has won"]]', by="Bram")

    answer = await scene.answer(question)

    assert "@everyone" in answer.text
    assert [(part.pings, part.pings_everyone) for part in answer.parts] == [((), False)]


async def test_an_answer_that_grows_into_a_ping_pings_nobody_either(scene: Scene) -> None:
    words = f"wait for it, wait for it… @everyone {scene.mention_of('Ada')}"
    question = await scene.call(f'[[text="{words}" chunks=12 delay=0.15]]', by="Bram")

    answer = await scene.answer(question)

    assert answer.parts[0].revision >= 1
    assert [(part.pings, part.pings_everyone) for part in answer.parts] == [((), False)]


async def test_people_in_ten_channels_do_not_wait_for_each_other(scene: Scene) -> None:
    places = scene.elsewhere(10)
    questions = [
        await scene.call(f"where is {place}? [[chunks=8 delay=0.5]]", by=name, where=place)
        for name, place in zip(scene.people, places, strict=True)
    ]

    answers = await asyncio.gather(*(scene.answer(question) for question in questions))

    records = [await scene.record(question) for question in questions]
    first_end = min(record.ended_at for record in records if record.ended_at is not None)
    assert max(record.received_at for record in records) < first_end  # all at the same time
    for question, answer, place in zip(questions, answers, places, strict=True):
        assert f"where is {place}?" in answer.text
        read = " ".join(turn.text for turn in await scene.turns(question))
        assert [each for each in places if f"where is {each}?" in read] == [place]
