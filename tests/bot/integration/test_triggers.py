"""Who calls the bot is answered, and nobody else."""

from .scenario import Scene


async def test_a_mention_is_answered_with_the_models_words_as_a_reply(scene: Scene) -> None:
    question = await scene.call("what do gulls eat?", by="Ada")

    answer = await scene.answer(question)

    assert [part.reply_to for part in answer.parts] == [question]
    assert "what do gulls eat?" in answer.text


async def test_replies_become_turns_in_order_with_who_spoke(scene: Scene) -> None:
    first = await scene.call("shall we fly kites?", by="Ada")
    answer = await scene.answer(first)
    second = await scene.say("and balloons?", by="Bram", reply_to=answer.parts[0].id)
    answer = await scene.answer(second)
    third = await scene.say("gliders then", by="Ada", reply_to=answer.parts[-1].id)
    await scene.answer(third)

    turns = await scene.turns(third)
    assert [turn.role for turn in turns] == ["user", "assistant", "user", "assistant", "user"]
    recorder = [turn.text for turn in turns if turn.role == "user"]
    for text, name, words in zip(
        recorder,
        ("Ada", "Bram", "Ada"),
        ("shall we fly kites?", "and balloons?", "gliders then"),
        strict=True,
    ):
        assert text.startswith(name)
        assert words in text
    assert turns[1].text == (await scene.record(first)).text
    assert turns[3].text == (await scene.record(second)).text


async def test_a_direct_message_needs_no_mention(scene: Scene) -> None:
    question = await scene.whisper("a word in private", by="Chiyo")

    answer = await scene.answer(question)

    assert "a word in private" in answer.text


async def test_the_command_with_a_topic_is_answered(scene: Scene) -> None:
    question = await scene.say("!sky tell us about clouds", by="Dara")

    answer = await scene.answer(question)

    assert "tell us about clouds" in answer.text
    assert "!sky" not in (await scene.turns(question))[-1].text


async def test_the_bot_is_silent_where_nobody_calls_it(scene: Scene) -> None:
    """A last call in the same channel shows that everything before it was seen."""
    await scene.discord.add_user("Parrot", bot=True)
    silent = [
        await scene.say("good morning, everyone", by="Ada"),
        await scene.say("the sky is blue; !sky is a command", by="Bram"),
        await scene.say("!skyline of the town", by="Bram"),
        await scene.say(f"{scene.mention_of('Ada')} are you there?", by="Dara"),
        await scene.say(f"{scene.me} beep", by="Parrot"),
    ]
    called = await scene.call("now you", by="Ada")
    answer = await scene.answer(called)

    # A person who answers a person, with the bot's words in between, calls nobody.
    aside = await scene.say("never mind her", by="Dara", reply_to=silent[0])
    last = await scene.say("thanks", by="Ada", reply_to=answer.parts[0].id)
    await scene.answer(last)

    assert [await scene.silence(message) for message in [*silent, aside]] == [True] * 6


async def test_a_call_without_words_is_answered(scene: Scene) -> None:
    question = await scene.say(scene.me, by="Emeka")

    await scene.until(question, lambda seen: bool(seen.parts))
