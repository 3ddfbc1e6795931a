"""What the model reads of a conversation, and what it does not."""

import re
from itertools import count

from bot.domain import errors
from tests.servers.openai.control import Fault, FaultKind

from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene

_rooms = count(1)


async def room(scene: Scene, **more: object) -> str:
    """Make a channel that nobody has spoken in."""
    return (await scene.discord.add_channel(f"quiet-{next(_rooms)}", **more)).name


async def read(scene: Scene, question: str) -> list[str]:
    """Give the turns that the model read for an answer, once there is one."""
    await scene.answer(question)
    return [turn.text for turn in await scene.turns(question)]


async def test_a_call_out_of_the_blue_knows_what_was_said_in_the_channel(scene: Scene) -> None:
    where = await room(scene)
    await scene.say("the ferry leaves at nine", by="Bram", where=where)
    await scene.say("or was it ten", by="Bram", where=where)
    await scene.say("ten on Sundays", by="Chiyo", where=where)

    turns = await read(scene, await scene.call("so when do we leave?", where=where))

    bram, chiyo, ada = turns
    assert bram.startswith("Bram (20")  # and the time
    assert "the ferry leaves at nine" in bram
    assert "or was it ten" in bram  # one turn for what one person said in a row
    assert chiyo.startswith("Chiyo (20")
    assert ada.startswith("Ada (20")


async def test_what_one_author_said_in_a_row_along_a_chain_is_one_turn(scene: Scene) -> None:
    """People's messages and the parts of a long answer; the question stays a turn of its own."""
    where = await room(scene)
    asked = await scene.call("tell me of ferries [[length=3000]]", by="Bram", where=where)
    parts = (await scene.answer(asked)).parts
    last = parts[-1].id
    for text in ("that is a lot", "shorter please", "and with ports"):
        last = await scene.say(text, by="Chiyo", where=where, reply_to=last)
    question = await scene.say("yes, how many?", where=where, reply_to=last, mention=True)
    await scene.answer(question)

    bram, sky, chiyo, ada = await scene.turns(question)

    assert len(parts) > 1
    assert [turn.role for turn in (bram, sky, chiyo, ada)] == ["user", "assistant", "user", "user"]
    assert bram.text.startswith("Bram (20")
    assert "".join(sky.text.split()) == "".join((await scene.record(asked)).text.split())
    assert re.sub(r" \(#\d+\)", "", chiyo.text).partition("): ")[2].split("\n") == [
        *("that is a lot", "shorter please", "and with ports")
    ]
    assert chiyo.text.count("Chiyo (20") == 1
    assert "how many?" in ada.text


async def test_what_was_said_before_the_bot_came_is_read_from_discord(fresh: FreshStage) -> None:
    stage = fresh(start="")
    async with open_scene(stage) as scene:
        where = await room(scene)
        for number in range(12):
            await scene.say(f"line {number} of the minutes", by="Bram", where=where)
        stage.bot.start()
        await stage.bot.ready()

        first = await read(scene, await scene.call("what was decided?", where=where))
        listed = (await scene.discord.counts()).requests
        await scene.answer(await scene.call("and by whom?", where=where))
        again = (await scene.discord.counts()).requests

    assert "line 1 of" not in first[0]
    assert all(f"line {number} of" in first[0] for number in range(2, 12))
    history = [route for route in listed if route.startswith("GET") and "messages" in route]
    assert {route: again[route] for route in history} == {route: listed[route] for route in history}


async def test_a_chain_of_more_than_forty_is_cut_and_that_is_said(scene: Scene) -> None:
    where = await room(scene)
    last = await scene.say("link 0", where=where, by="Bram")
    for number in range(1, 45):
        by = ("Ada", "Bram")[number % 2]
        last = await scene.say(f"link {number}", by=by, where=where, reply_to=last)
    question = await scene.say(
        "where did this begin?", where=where, reply_to=last, mention=True, by="Chiyo"
    )

    answer = await scene.until(question, lambda seen: "-# I read only the last" in seen.text)

    assert answer.text.endswith("-# I read only the last 40 messages.")
    turns = [turn.text for turn in await scene.turns(question)]
    assert len(turns) == 40
    assert "link 6 " in turns[0]


async def test_in_a_thread_the_message_that_it_hangs_on_is_read(scene: Scene) -> None:
    where = await room(scene)
    start = await scene.say("shall we paint the boat blue?", by="Bram", where=where)
    thread = await scene.discord.add_channel("paint", parent=where, on=start)

    turns = await read(scene, await scene.call("what do you think?", where=thread.id))

    assert "shall we paint the boat blue?" in turns[0]
    assert "what do you think?" in turns[-1]


async def test_a_forwarded_message_is_read(scene: Scene) -> None:
    where = await room(scene)
    original = await scene.say("the tide turns at noon", by="Emeka")
    forward = await scene.say("look", by="Bram", where=where, forward=original)
    question = await scene.say(
        "is that right?", where=where, reply_to=forward, mention=True, by="Ada"
    )

    turns = await read(scene, question)

    assert turns[0].startswith("Bram (20")
    assert "(forwards) the tide turns at noon" in turns[0]


async def test_an_edit_counts_and_what_was_deleted_is_gone(scene: Scene) -> None:
    where = await room(scene)
    edited = await scene.say("we meet at three", by="Bram", where=where)
    deleted = await scene.say("bring the marmalade", by="Bram", where=where)
    await scene.discord.edit(edited, "we meet at four")
    await scene.discord.delete(deleted)

    (bram, _) = await read(scene, await scene.call("when do we meet?", where=where))

    assert "we meet at four" in bram
    assert "three" not in bram
    assert "marmalade" not in bram


async def test_a_question_is_answered_as_it_stands_when_its_turn_comes(fresh: FreshStage) -> None:
    """Edited while it waits, it is asked again; deleted while it waits, it is not asked at all."""
    stage = fresh(SKY_WORK__IN_FLIGHT="1", SKY_OPENAI__SILENCE_SECONDS="20")
    await stage.bot.logged("lease acquired")
    async with open_scene(stage) as scene:
        slow, edits, gone, after = scene.elsewhere(4)
        first = await scene.call("slowly [[first=2 text=done]]", where=slow)
        second = await scene.call("how tall is the mats?", where=edits, by="Bram")
        third = await scene.call("nothing to see here", where=gone, by="Chiyo")
        fourth = await scene.call("one more", where=after, by="Dara")
        text = (await scene.discord.message(second)).content
        await scene.discord.edit(second, text.replace("mats", "mast"))
        await scene.discord.delete(third)

        await scene.answer(first)
        turns = await read(scene, second)
        await scene.answer(fourth)  # they are answered in turn, so the third is done with

        assert "how tall is the mast?" in turns[-1]
        assert await scene.silence(third)
        assert await stage.bot.metric("answers_total", outcome=errors.QuestionGone.label) == 1


async def test_an_answer_stops_when_its_question_is_deleted(scene: Scene) -> None:
    where = await room(scene)
    question = await scene.call("tell me all [[length=1500 chunks=60 delay=0.2]]", where=where)
    begun = await scene.until(question, lambda seen: bool(seen.parts))

    await scene.discord.delete(question)

    answer_id = begun.parts[0].id
    async with scene.discord.events() as events:
        shown = await scene.discord.message(answer_id)
        while errors.QuestionGone.sentence not in shown.content:
            await events.event(lambda event: event.kind == "edit", 60)
            shown = await scene.discord.message(answer_id)
    record = await scene.record(question)
    assert len(shown.content) < 1000
    assert record.ending == "gone"  # the model was told to stop as well


async def test_nobody_gets_the_bot_to_read_a_channel_that_they_cannot_see(scene: Scene) -> None:
    """Ada owns the server and sees everything; Bram sees what everyone sees."""
    secret, hall = await room(scene, private=True), await room(scene)
    hidden = await scene.say("the treasure is below the lighthouse", by="Ada", where=secret)
    place = next(c for c in (await scene.discord.world()).channels if c.name == secret)
    link = f"https://discord.com/channels/{place.guild_id}/{place.id}/{hidden}"

    asked = await scene.call(f"what does it say? {link}", by="Bram", where=hall)
    answer = await scene.until(asked, lambda seen: "-# I did not read" in seen.text)
    owner = await read(scene, await scene.call(f"what does it say? {link}", where=hall))

    assert "treasure" not in " ".join(turn.text for turn in await scene.turns(asked))
    assert "you or I can't see it" in answer.text
    assert "(links to) Ada (20" in owner[-1]
    assert "the treasure is below the lighthouse" in owner[-1]


async def test_a_conversation_is_bounded_and_that_is_said(fresh: FreshStage) -> None:
    stage = fresh(SKY_CONVERSATION__MAX_TOKENS="600")
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        last = await scene.say("word " * 300, by="Bram")
        for _ in range(3):
            last = await scene.say("another " * 120, by="Bram", reply_to=last)
        question = await scene.say("in short?", by="Chiyo", reply_to=last, mention=True)

        answer = await scene.until(question, lambda seen: "-# I read only" in seen.text)

        assert answer.text.endswith("-# I read only the last 2 messages.")
        assert [turn.text.partition(" ")[0] for turn in await scene.turns(question)] == [
            "Bram",
            "Chiyo",
        ]
        long = await scene.call("far too long: " + "word " * 380, by="Dara")
        seen = await scene.until(long, lambda seen: "longer than I can read" in seen.text)
        assert "-# Your message is longer than I can read at once" in seen.text


async def test_what_a_model_cannot_read_at_once_is_asked_with_less(scene: Scene) -> None:
    where = await room(scene)
    await scene.openai.inject(Fault(kind=FaultKind.CONTEXT_LENGTH, match="and the moral?", count=2))
    last = await scene.say("a tale in parts", by="Bram", where=where)
    for number in range(7):
        by = ("Ada", "Bram")[number % 2]
        last = await scene.say(f"part {number}", by=by, where=where, reply_to=last)
    question = await scene.say(
        "and the moral?", where=where, reply_to=last, mention=True, by="Chiyo"
    )

    seen = await scene.until(question, lambda seen: "-# The language model" in seen.text)

    assert seen.text.count("-# The language model can't read that much at once") == 1
    records = await scene.records(question)
    assert [len(r.asked.turns) - 1 for r in records if r.asked] == [9, 5, 3]
    assert records[-1].ending == "completed"
