"""Stop and Again: for the one who asked, for as long as they can do something, in any pod."""

import pytest

from tests.servers.openai.records import ScriptedAnswer

from .answers import Seen, buttons
from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene

EDIT = "PATCH /channels/{channel_id}/messages/{message_id}"
SLOW = "[[length=900 chunks=60 delay=0.1]]"


def labels(seen: Seen) -> list[list[str]]:
    return [list(buttons(part)) for part in seen.parts]


async def test_whoever_asked_can_stop_the_answer_and_nobody_else(scene: Scene) -> None:
    question = await scene.call(f"tell me everything {SLOW}", by="Ada")
    early = await scene.until(question, lambda seen: bool(seen.parts))

    told = await scene.press(early.parts[0], "Stop", by="Bram")
    assert told == "Only the person who asked can use that button."
    assert await scene.press(early.parts[0], "Stop", by="Ada") == ""

    stopped = await scene.until(question, lambda seen: seen.text.endswith("Stopped, as you asked."))
    assert labels(early) == [["Stop"]]
    assert labels(stopped) == [["Again"]]
    await scene.openai.first(lambda r: r.ending == "gone" and "everything" in str(r.asked))
    assert await scene.bot.metric("answers_total", outcome="stopped") == 1
    assert await scene.bot.metric("presses_total", button="stop", outcome="not_theirs") == 1


async def test_again_answers_redone_in_the_place_of_the_old_answer(scene: Scene) -> None:
    question = await scene.call("roll the dice")
    before = await scene.answer(question)
    old = (await scene.record(question)).text

    told = await scene.press(before.parts[0], "Again")

    await scene.until(question, lambda seen: seen.text != before.text)
    redone = (await scene.openai.first(lambda r: "roll" in str(r.asked) and r.text != old)).text
    after = await scene.until(
        question, lambda seen: seen.shows(redone) and labels(seen) == [["Again"]]
    )
    assert told == ""
    assert [part.id for part in after.parts] == [part.id for part in before.parts]
    assert len(await scene.records(question)) == 2


async def test_again_may_be_pressed_before_discord_has_confirmed_the_answer(scene: Scene) -> None:
    """People see the last edit, with the button, before the bot has Discord's response to it."""
    question = await scene.call("roll the dice, there is no hurry [[chunks=8 delay=0.1]]")
    await scene.until(question, lambda seen: bool(seen.parts))
    await scene.discord.fault("rest", "slow", route=EDIT, after=True, delay=0.6, seconds=60)
    before = await scene.answer(question)

    told = await scene.press(before.parts[0], "Again")

    await scene.until(question, lambda seen: seen.text != before.text)
    await scene.discord.end_faults()
    assert told == ""
    assert len(await scene.records(question)) == 2


async def test_a_question_by_command_has_its_buttons_for_the_one_who_used_it(scene: Scene) -> None:
    await scene.bot.logged("commands synced")
    question = await scene.ask("toss a coin", by="Bram")
    before = await scene.answer(question)

    told = await scene.press(before.parts[0], "Again", by="Ada")
    await scene.press(before.parts[0], "Again", by="Bram")
    after = await scene.until(question, lambda seen: seen.text != before.text)

    assert told == "Only the person who asked can use that button."
    assert [part.id for part in after.parts] == [part.id for part in before.parts]
    turns = [turn.text for turn in await scene.turns(question)]
    assert len(turns) == 1
    assert turns[0].startswith("Bram")
    assert "toss a coin" in turns[0]


@pytest.mark.parametrize(("first", "second"), [(5000, 300), (300, 5000)])
async def test_again_leaves_no_message_of_the_old_answer(
    scene: Scene, first: int, second: int
) -> None:
    texts = [f"{name} " * (length // 6) for name, length in (("first", first), ("second", second))]
    await scene.openai.script(ScriptedAnswer(match="the tale", text=texts[0].strip()))
    question = await scene.call("the tale")
    before = await scene.until(
        question, lambda seen: seen.shows(texts[0]) and "Again" in buttons(seen.parts[-1]), 20
    )

    await scene.openai.script(ScriptedAnswer(match="the tale", text=texts[1].strip()))
    await scene.press(before.parts[-1], "Again")
    after = await scene.until(question, lambda seen: seen.shows(texts[1]))

    await scene.openai.script()
    assert after.parts[0].id == before.parts[0].id
    assert labels(after)[-1] == ["Again"]
    assert not any(labels(after)[:-1])


async def test_a_question_that_was_deleted_cannot_be_answered_again(scene: Scene) -> None:
    question = await scene.call("forget that I asked")
    answer = await scene.answer(question)
    await scene.discord.delete(question)

    told = await scene.press(answer.parts[0], "Again", told=True)

    assert told == "Your question has been deleted, so I can't answer it again."
    assert buttons(await scene.discord.message(answer.parts[0].id)) == {}


async def test_the_buttons_of_a_pod_that_is_gone_work_in_the_next_one(fresh: FreshStage) -> None:
    stage = fresh()
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        question = await scene.call("before the rollout")
        before = await scene.answer(question)
        half = await scene.call(f"half an answer {SLOW}")
        begun = await scene.until(half, lambda seen: bool(seen.parts))
        scene.bot.kill()
        scene.bot.start()
        await scene.bot.until_metric("speaking", 1)

        await scene.press(before.parts[0], "Again")
        after = await scene.until(question, lambda seen: seen.text != before.text)
        await scene.openai.first(lambda r: r.ending == "open" and "half an answer" in str(r.asked))
        told = await scene.press(begun.parts[0], "Stop")
        ended = await scene.until(half, lambda seen: "Stopped, as you asked." in seen.text)

        assert told == ""
        assert [part.id for part in after.parts] == [part.id for part in before.parts]
        assert [part.id for part in ended.parts] == [part.id for part in begun.parts]


async def test_stop_of_an_answer_that_nobody_writes_any_more_is_told_and_goes(
    fresh: FreshStage,
) -> None:
    stage = fresh(SKY_WORK__CATCH_UP_SECONDS="0")
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        half = await scene.call(f"half an answer {SLOW}")
        begun = await scene.until(half, lambda seen: bool(seen.parts))
        scene.bot.kill()
        scene.bot.start()
        await scene.bot.ready()

        told = await scene.press(begun.parts[0], "Stop", told=True)

        assert told.startswith("There is nothing to stop")
        assert buttons(await scene.discord.message(begun.parts[0].id)) == {}


async def test_without_the_setting_there_are_no_buttons(fresh: FreshStage) -> None:
    stage = fresh(SKY_REPLY__BUTTONS="false")
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        question = await scene.call("plain [[chunks=12 delay=0.1]]")

        early = await scene.until(question, lambda seen: bool(seen.parts))
        answer = await scene.answer(question)

        assert labels(early) == labels(answer) == [[]]
