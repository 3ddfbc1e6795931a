"""Half a character, which JSON may hold and UTF-8 may not: a person who sends one is answered."""

from .scenario import Scene

HALF = "\ud83d"


async def test_half_a_character_in_a_message_is_asked_as_far_as_it_is_text(scene: Scene) -> None:
    question = await scene.call(f"half a smile {HALF} is here")

    await scene.answer(question)

    assert "half a smile \ufffd is here" in (await scene.turns(question))[-1].text


async def test_half_a_character_that_stands_in_the_channel_spoils_no_later_answer(
    scene: Scene,
) -> None:
    before = await scene.say(f"mind the {HALF} gap", by="Bram")
    file = (f"odd {HALF}.txt", "text/plain", b"the words in it")
    reply = await scene.say("what is that?", reply_to=before, mention=True, files=[file])

    await scene.answer(reply)

    turns = await scene.turns(reply)
    assert "mind the \ufffd gap" in turns[0].text
    assert "the words in it" in turns[-1].text


async def test_half_a_character_in_a_command_is_quoted_and_answered(scene: Scene) -> None:
    await scene.bot.logged("commands synced")
    question = await scene.ask(f"half a topic {HALF} is here")

    await scene.answer(question)

    assert "half a topic \ufffd is here" in (await scene.discord.message(question)).content
    assert "half a topic \ufffd is here" in (await scene.turns(question))[-1].text


async def test_half_a_character_that_the_model_says_is_shown_as_missing(scene: Scene) -> None:
    question = await scene.call(r'[[text="half HALF is here" chunks=1]]'.replace("HALF", HALF))

    seen = await scene.until(question, lambda seen: "is here" in seen.text)

    assert seen.text == "half \ufffd is here"
