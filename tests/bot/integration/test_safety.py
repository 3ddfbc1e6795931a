"""What is not asked and not said."""

from collections.abc import Callable

import pytest

from bot.domain import errors
from tests.servers.openai.control import Fault, FaultKind, ScriptedAnswer

from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene


async def test_a_link_never_stands_behind_other_words(scene: Scene) -> None:
    said = "Log in at [your bank](https://evil.example/login) or https://bank.example"
    question = await scene.call(f'[[text="{said}" chunks=30 delay=0.01]]')

    seen = await scene.until(question, lambda seen: "bank.example" in seen.text)

    assert "Log in at [your bank] (https://evil.example/login)" in seen.text


async def test_banned_words_are_not_asked_and_not_said(fresh: FreshStage) -> None:
    stage = fresh(SKY_SAFETY__BANNED_WORDS="heck, purple rain")
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        await scene.discord.add_user("Heck")
        asked = await scene.call("what the ｈéＣＫ is that?")  # is the point
        told = await scene.until(asked, lambda seen: bool(seen.parts))
        question = await scene.call('sing [[text="Purp" chunks=1]]')
        await scene.until(question, lambda seen: "Purp" in seen.text)
        words = "Oh He" + "\u200b" + "ck, it is Purple  Rain again. A check, though."
        second = await scene.call(f'sing more [[text="{words}" chunks=20 delay=0.05]]')

        # The OpenAI server reads directives in what it is asked, so the question has the words.
        refused = await scene.until(second, lambda seen: bool(seen.parts))

        await scene.answer(await scene.call('my name says it [[text="Fine."]]', by="Heck"))
        assert told.text == errors.BannedWord.sentence
        assert refused.text == errors.BannedWord.sentence
        assert await scene.records(asked) == []
        assert await stage.bot.metric("answers_total", outcome="banned_word") == 2


async def test_a_banned_word_is_hidden_in_an_answer(fresh: FreshStage) -> None:
    stage = fresh(SKY_SAFETY__BANNED_WORDS="made for")
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        question = await scene.call("hello [[chunks=40 delay=0.02]]")

        seen = await scene.until(question, lambda seen: "you alone." in seen.text)

        assert ", ••• you alone." in seen.text
        assert "made" not in seen.text
        assert await stage.bot.metric("words_hidden_total") == 1


async def test_a_banned_phrase_at_the_beginning_is_at_no_moment_shown(fresh: FreshStage) -> None:
    stage = fresh(SKY_SAFETY__BANNED_WORDS="purple rain", SKY_REPLY__EDIT_SECONDS="1")
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        song = "Purple rain it is, said the captain, and all of them sang along until the morning."
        await scene.openai.script(ScriptedAnswer(match="sing", text=song, chunks=20, delay=0.15))

        question = await scene.call("sing")
        shown = await _all_shown(scene, question, lambda text: "the morning." in text)

        assert len(shown) >= 2
        assert all(text.startswith("•••") for text in shown)


async def test_words_that_the_moderation_has_not_seen_are_at_no_moment_shown(
    fresh: FreshStage,
) -> None:
    stage = fresh(SKY_SAFETY__MODERATION="output")
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        said = "Hand me that, and then do as follows: [[flag=violence]]"
        await scene.openai.script(ScriptedAnswer(match="how", text=said, chunks=10, delay=0.15))

        question = await scene.call("how is it done?")
        shown = await _all_shown(scene, question, lambda text: text != "")

        assert shown == [errors.AnswerWithheld.sentence]


async def _all_shown(scene: Scene, question: str, last: Callable[[str], bool]) -> list[str]:
    """Give each text that the answer's message had, up to the last."""
    shown: list[str] = []
    async with scene.discord.events(since=0) as events:
        while not shown or not last(shown[-1]):
            change = await events.message(lambda m: m.from_sky and m.reply_to == question, 60)
            shown.append(change.content)
    return shown


async def test_what_the_moderation_flags_is_not_asked_and_not_said(fresh: FreshStage) -> None:
    stage = fresh(SKY_SAFETY__MODERATION="both")
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        bad = await scene.call("something nasty [[flag=violence]]")
        told = await scene.until(bad, lambda seen: bool(seen.parts))
        good = await scene.call("something nice [[length=900 chunks=20 delay=0.05]]")
        await scene.answer(good)

        assert told.text == errors.QuestionWithheld.sentence
        assert await scene.records(bad) == []
        assert await stage.bot.metric("moderations_total", whose="input", outcome="flagged") == 1
        assert await stage.bot.metric("moderations_total", whose="output", outcome="passed") >= 2


async def test_an_answer_is_shown_as_far_as_it_passes_the_moderation(fresh: FreshStage) -> None:
    stage = fresh(SKY_SAFETY__MODERATION="output")
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        said = "A calm beginning. " * 30 + "[[flag=violence]] and the rest. " * 10
        question = await scene.call(f'tell me [[text="{said}" chunks=60 delay=0.01]]')

        seen = await scene.until(question, lambda seen: errors.AnswerWithheld.sentence in seen.text)

        assert seen.text.startswith("A calm beginning. A calm")
        assert "flag=" not in seen.text


@pytest.mark.parametrize("down", ["refuse", "allow"])
async def test_what_happens_while_the_moderation_is_down_is_a_setting(
    fresh: FreshStage, down: str
) -> None:
    stage = fresh(SKY_SAFETY__MODERATION="input", SKY_SAFETY__MODERATION_DOWN=down)
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        fault = await scene.openai.inject(
            Fault(kind=FaultKind.SERVER_ERROR, endpoint="moderations")
        )
        question = await scene.call("hello?")
        if down == "allow":
            await scene.answer(question)
        else:
            seen = await scene.until(question, lambda seen: bool(seen.parts))
            assert seen.text == errors.Unchecked.sentence
            assert await scene.records(question) == []
        assert await stage.bot.metric("moderations_total", whose="input", outcome="failed") == 1

        await scene.openai.clear(fault.id)
        await scene.answer(await scene.call("and now?"))


async def test_a_key_that_is_rotated_is_found_by_the_moderation_as_well(fresh: FreshStage) -> None:
    stage = fresh(SKY_SAFETY__MODERATION="input")
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        await scene.answer(await scene.call("with the first key"))
        await scene.openai.accept("sk-another-key-for-the-story")
        question = await scene.call("with the second key")
        await scene.refused(stage.api_key.value)
        stage.api_key.swap("sk-another-key-for-the-story")

        await scene.answer(question)
        await scene.openai.accept(*stage.api_key.all_values)


async def test_flagged_messages_before_a_question_do_not_reach_the_model(
    fresh: FreshStage,
) -> None:
    """Neither what was said before in the channel nor what the question replies to."""
    stage = fresh(SKY_SAFETY__MODERATION="input")
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        nasty = await scene.say("something nasty [[flag=violence]] marmalade", by="Bram")
        await scene.say("something harmless", by="Chiyo")
        first = await scene.call("what do you think of that?")
        second = await scene.say("and of this?", reply_to=nasty, mention=True)
        for question in (first, second):
            await scene.answer(question)

            turns = [turn.text for turn in await scene.turns(question)]
            assert not any("marmalade" in text for text in turns)
            assert any("left out" in text for text in turns)
        assert any("something harmless" in turn.text for turn in await scene.turns(first))
