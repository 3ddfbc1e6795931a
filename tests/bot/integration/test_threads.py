"""Threads on calls, forum posts that are answered, and conversations in them without a mention."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.servers.discord.model import THREAD_STARTER_MESSAGE
from tests.servers.discord.records import Message

from .answers import buttons
from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene
from .two_processes import another, two

CHANNELS = {"SKY_THREADS__CHANNELS": "help = on_call, voice-help = on_call, ideas = forum"}
START = "POST /channels/{channel_id}/messages/{message_id}/threads"
HISTORY = "GET /channels/{channel_id}/messages"


async def said_there(scene: Scene, thread: str) -> list[Message]:
    """Give what the bot said in a thread, without Discord's own first message."""
    if thread not in {each.id for each in (await scene.discord.world()).channels}:
        return []
    there = await scene.discord.read(thread)
    return [each for each in there if each.from_sky and each.kind != THREAD_STARTER_MESSAGE]


async def until(scene: Scene, enough: Callable[[], object]) -> None:
    """Wait until Discord shows something; `enough` is asked after each event."""
    async with asyncio.timeout(60), scene.discord.events() as events:
        while not await enough():  # type: ignore[misc]  # a coroutine function
            await events.event(lambda _: True, 60)


async def complete(scene: Scene, thread: str, number: int = 1) -> list[Message]:
    """Wait until a thread shows so many complete answers, and no more."""

    async def there() -> bool:
        found = [each for each in await said_there(scene, thread) if "Again" in buttons(each)]
        return len(found) >= number

    await until(scene, there)
    found = await said_there(scene, thread)
    assert len(found) == number, [each.content for each in found]
    return found


@asynccontextmanager
async def helped(fresh: FreshStage, **settings: str) -> AsyncIterator[Scene]:
    """A bot that opens threads in #help and answers posts in #ideas."""
    stage = fresh(start="", **CHANNELS, **settings)
    async with open_scene(stage) as scene:
        await scene.discord.change_channel("help")
        await scene.discord.add_channel("ideas", kind="forum")
        stage.bot.start()
        await stage.bot.ready()
        await stage.bot.logged("lease acquired")
        yield scene


async def text_of(scene: Scene, question: str) -> str:
    """Give what the model answered."""
    return (await scene.record(question)).text.strip()


async def read(scene: Scene, question: str) -> str:
    """Give all that the model read for an answer."""
    return "\n".join(turn.text for turn in await scene.turns(question))


async def post(scene: Scene, title: str, text: str, by: str = "Bram") -> str:
    """Make a forum post; gives its id, which is that of its first message."""
    body = {"content": text, "mention_bot": False}
    return (await scene.discord.add_channel(title, parent="ideas", author=by, post=body)).id


async def test_a_call_opens_a_thread_in_which_one_person_needs_no_mention(
    fresh: FreshStage,
) -> None:
    async with helped(fresh) as scene:
        await scene.say("the tide is low", by="Bram", where="help")
        asked = await scene.call("**how** do I moor a boat, <@1>?", where="help")
        (answer,) = await complete(scene, asked)
        world = await scene.discord.world()
        thread = next(each for each in world.channels if each.id == asked)
        requests = (await scene.discord.counts()).requests

        goes_on = await scene.say("and with two ropes?", where=asked)
        await complete(scene, asked, 2)
        again = await scene.say("and with three?", where=asked)
        await complete(scene, asked, 3)
        listed = (await scene.discord.counts()).requests

        assert thread.name.startswith("how do I moor a boat, @someone?")
        assert answer.content == await text_of(scene, asked)
        assert answer.reply_to is None
        assert not (await scene.seen(asked)).parts  # nothing of it is in the channel
        assert "the tide is low" in await read(scene, asked)
        turns = await read(scene, goes_on)
        assert "moor a boat" in turns
        assert answer.content in turns
        assert "the tide is low" not in turns  # another conversation
        assert "and with two ropes?" in await read(scene, again)
        assert listed.get(HISTORY, 0) - requests.get(HISTORY, 0) == 1  # for the whole thread
        assert await scene.bot.metric("messages_total", decision="thread") == 2


async def test_once_a_second_person_writes_a_call_is_needed(fresh: FreshStage) -> None:
    async with helped(fresh) as scene:
        asked = await scene.call("how do I moor a boat?", where="help")
        await complete(scene, asked)
        other = await scene.say("with a rope, I think", by="Bram", where=asked)
        mine = await scene.say("thank you, Bram", where=asked)
        called = await scene.call("is that so?", where=asked)
        await complete(scene, asked, 2)

        assert await scene.silence(other)
        assert await scene.silence(mine)
        assert "with a rope, I think" in await read(scene, called)


@pytest.mark.parametrize(("value", "answers"), [("always", 3), ("never", 1)])
async def test_the_setting_says_when_no_call_is_needed(
    fresh: FreshStage, value: str, answers: int
) -> None:
    async with helped(fresh, SKY_THREADS__WITHOUT_CALL=value) as scene:
        asked = await scene.call("how do I moor a boat?", where="help")
        await complete(scene, asked)
        await scene.say("with a rope?", by="Bram", where=asked)
        if answers > 1:
            await complete(scene, asked, 2)
        await scene.say("or two?", where=asked)
        if answers > 1:
            await complete(scene, asked, 3)
        await complete(scene, await scene.call("and now?", where="help", by="Chiyo"))
        assert len(await said_there(scene, asked)) == answers


async def test_a_new_forum_post_is_answered_once_and_its_author_may_go_on(
    fresh: FreshStage,
) -> None:
    async with helped(fresh) as scene:
        thread = await post(scene, "A lighthouse", "Could we build one of cork?")
        (answer,) = await complete(scene, thread)
        record = await scene.openai.ended("of cork")
        goes_on = await scene.say("of driftwood, then?", by="Bram", where=thread)
        await complete(scene, thread, 2)
        other = await scene.say("that burns", by="Chiyo", where=thread)
        mine = await scene.say("true", by="Bram", where=thread)
        await complete(scene, await post(scene, "Another", "And a pier?"))

        assert answer.reply_to == thread
        assert record.asked is not None
        assert "(forum post: A lighthouse)" in record.asked.turns[-1].text
        assert "of cork" in await read(scene, goes_on)
        assert await scene.silence(other)
        assert await scene.silence(mine)
        assert await scene.bot.metric("messages_total", decision="post") == 2


async def test_elsewhere_and_by_default_nothing_changes(scene: Scene) -> None:
    """A thread of somebody else, or of the bot but not for a call, needs a call as ever."""
    asked = await scene.call("how do I moor a boat?")
    answer = await scene.answer(asked)
    thread = await scene.discord.add_channel("aside", parent=scene.place, on=asked)
    inside = await scene.say("and with two ropes?", where=thread.id)
    forum = await scene.discord.add_channel("wishes", kind="forum")
    body = {"content": "could we?", "mention_bot": False}
    wish = await scene.discord.add_channel("Cork", parent=forum.name, author="Bram", post=body)
    await scene.answer(await scene.call("life goes on"))

    assert len(answer.parts) == 1
    assert await scene.silence(inside)
    assert not await said_there(scene, wish.id)


@pytest.mark.parametrize("denied", ["create_public_threads", "send_messages_in_threads"])
async def test_without_the_permission_the_answer_comes_in_the_channel(
    fresh: FreshStage, denied: str
) -> None:
    async with helped(fresh) as scene:
        await scene.discord.change_channel("help", deny=[denied])

        asked = await scene.call("how do I moor a boat?", where="help")
        answer = await scene.answer(asked)

        assert len(answer.parts) == 1
        assert asked not in {each.id for each in (await scene.discord.world()).channels}
        await scene.bot.logged("thread could not be opened", error="may_not_speak")
        metric = {"call": "thread", "outcome": "may_not_speak"}
        assert await scene.bot.metric("discord_calls_total", **metric) == 1


async def test_where_it_may_only_write_in_threads_the_bot_opens_one(fresh: FreshStage) -> None:
    async with helped(fresh) as scene:
        await scene.discord.change_channel("help", deny=["send_messages"])
        asked = await scene.call("how do I moor a boat?", where="help")
        await complete(scene, asked)


async def test_a_full_server_a_voice_channel_and_a_deaf_discord_leave_the_answer_in_the_channel(
    fresh: FreshStage,
) -> None:
    async with helped(fresh) as scene:
        await scene.discord.add_channel("voice-help", kind="voice")
        await scene.answer(await scene.call("how do I moor here?", where="voice-help"))
        await scene.discord.set(active_threads=0)
        await scene.answer(await scene.call("how do I moor a boat?", where="help"))
        await scene.discord.set(active_threads=1000)
        await scene.discord.fault("rest", "black_hole", route=START, count=9)
        asked = await scene.call("and a ship?", where="help")
        await scene.answer(asked)
        await scene.discord.end_faults()

        assert len((await scene.seen(asked)).parts) == 1
        detail = "status 400, code 160006"
        await scene.bot.logged("thread could not be opened", detail=detail)


async def test_a_title_that_automod_blocks_and_a_question_without_words(
    fresh: FreshStage,
) -> None:
    async with helped(fresh) as scene:
        title = {"status": 400, "code": 200001, "message": "Title was blocked"}
        await scene.discord.fault("rest", "error", route=START, count=1, **title)
        asked = await scene.call("how do I moor a boat?", where="help")
        await complete(scene, asked)
        wordless = await scene.discord.say("help", "", "Bram")
        for question in (asked, wordless.id):
            await complete(scene, question)
            channels = (await scene.discord.world()).channels
            assert next(each.name for each in channels if each.id == question) == "Answer"


async def test_a_thread_that_somebody_has_opened_on_the_question_is_used(
    fresh: FreshStage,
) -> None:
    """Discord refuses a second one; without a call, one of somebody else is none of the bot's."""
    async with helped(fresh) as scene:
        asked = await scene.call("how do I moor? [[first=1]]", where="help")
        await scene.discord.add_channel("boats", parent="help", on=asked, author="Ada")
        await complete(scene, asked)
        inside = await scene.say("thank you", where=asked)
        locked = await scene.call("how do I row? [[first=1]]", where="help")
        await scene.discord.add_channel("rows", parent="help", on=locked, author="Ada")
        await scene.discord.change_channel(locked, locked=True)
        await scene.answer(locked)

        assert await scene.silence(inside)
        assert not await said_there(scene, locked)


async def test_again_comes_in_the_place_of_the_answer_also_in_an_archived_thread(
    fresh: FreshStage,
) -> None:
    async with helped(fresh) as scene:
        asked = await scene.call("how do I moor a boat?", where="help")
        (before,) = await complete(scene, asked)
        goes_on = await scene.say("and then?", where=asked)
        (_, second) = await complete(scene, asked, 2)
        await scene.discord.change_channel(asked, archived=True)
        await scene.press(before, "Again")

        async def changed(message: Message) -> bool:
            now = await scene.discord.message(message.id)
            return now.content != message.content and "Again" in buttons(now)

        await until(scene, lambda: changed(before))
        await scene.press(second, "Again")
        await until(scene, lambda: changed(second))

        assert len(await said_there(scene, asked)) == 2
        assert len(await scene.records(asked)) == len(await scene.records(goes_on)) == 2
        assert "Nobody called you" not in str((await scene.record(goes_on)).asked)


async def test_a_message_opens_an_archived_thread_and_is_answered(fresh: FreshStage) -> None:
    async with helped(fresh) as scene:
        asked = await scene.call("how do I moor a boat?", where="help")
        await complete(scene, asked)
        await scene.discord.change_channel(asked, archived=True)
        await scene.say("and with two ropes?", where=asked)
        await complete(scene, asked, 2)


async def test_a_deleted_question_leaves_the_conversation(fresh: FreshStage) -> None:
    async with helped(fresh) as scene:
        asked = await scene.call("how do I moor a boat?", where="help")
        await complete(scene, asked)
        await scene.discord.delete(asked)
        goes_on = await scene.say("and with two ropes?", where=asked)
        await complete(scene, asked, 2)
        early = await scene.call("regretted [[first=2]]", where="help")
        await scene.openai.asked("regretted")
        await scene.discord.delete(early)
        await scene.openai.first(lambda r: r.ending == "gone" and "regretted" in str(r.asked))

        asked_by_people = [turn.text for turn in await scene.turns(goes_on) if turn.role == "user"]
        assert "moor a boat" not in "".join(asked_by_people)
        assert not await said_there(scene, early)


async def test_slow_mode_slows_people_and_not_the_bot(fresh: FreshStage) -> None:
    async with helped(fresh) as scene:
        await scene.discord.change_channel("help", slowmode=600)
        for by in ("Bram", "Chiyo"):
            asked = await scene.call("how do I moor a boat?", where="help", by=by)
            await complete(scene, asked)


async def test_a_refusal_opens_no_thread(fresh: FreshStage) -> None:
    async with helped(fresh, SKY_LIMITS__USER_PER_HOUR="1") as scene:
        asked = await scene.call("how do I moor a boat?", where="help", by="Bram")
        await complete(scene, asked)
        refused = await scene.say("and now?", by="Bram", where=asked)
        await scene.until(refused, lambda seen: "hourly limit" in seen.text)
        over = await scene.call("once more", where="help", by="Chiyo")
        await complete(scene, over)
        unknown = await scene.say("!sky(nobody) hello", by="Dara", where="help")
        await scene.until(unknown, lambda seen: "no persona" in seen.text)


async def test_a_slash_command_is_answered_in_a_thread_on_its_response(fresh: FreshStage) -> None:
    async with helped(fresh) as scene:
        asked = await scene.ask("how do I moor a boat?", where="help")
        await complete(scene, asked)


async def test_whether_a_call_is_needed_is_found_out_later_where_discord_is_out(
    fresh: FreshStage,
) -> None:
    async with helped(fresh) as scene:
        asked = await scene.call("how do I moor a boat?", where="help")
        await complete(scene, asked)
        await scene.discord.fault("rest", "status", route=HISTORY, count=30, status=503)
        goes_on = await scene.say("and with two ropes?", where=asked)
        await scene.bot.until_metric(
            "discord_calls_total", 3, call="history", outcome="discord_down"
        )
        assert await scene.silence(goes_on)
        await scene.discord.end_faults()
        await complete(scene, asked, 2)
        assert len(await scene.records(goes_on)) == 1


async def test_after_a_kill_everything_in_threads_is_answered_once(
    fresh: FreshStage, tmp_path: Path
) -> None:
    """Half said in a thread, said in one, called in the channel, and posted, while nobody ran."""
    async with two(fresh, tmp_path, **CHANNELS) as scene:
        await scene.discord.add_channel("ideas", kind="forum")
        async with another(scene) as standby:
            whole = await scene.call("wholly said", where="help")
            await complete(scene, whole)
            half = await scene.call("half [[length=900 chunks=30 delay=0.2]]", where="help")

            async def begun() -> bool:
                return bool(await said_there(scene, half))

            await until(scene, begun)
            shared = await scene.call("shared", where="help", by="Chiyo")
            await complete(scene, shared)
            await scene.say("mine too", where=shared, by="Dara")
            scene.bot.kill()
            late = await scene.call("said to nobody", where="help", by="Bram")
            goes_on = await scene.say("and with two ropes?", where=whole)
            silent = await scene.say("not for the bot", where=shared, by="Chiyo")
            thread = await post(scene, "A lighthouse", "Could we build one of cork?")
            await standby.logged("lease acquired", how="its holder ended")
            await standby.logged("backfill finished")

            (ended,) = await complete(scene, half)
            await complete(scene, late)
            await complete(scene, whole, 2)
            await complete(scene, thread)
            assert ended.content == await text_of(scene, half)
            assert len(await scene.records(half)) == 2
            assert len(await scene.records(whole)) == len(await scene.records(goes_on)) == 1
            assert await scene.silence(silent)
            assert len(await said_there(scene, shared)) == 1


async def test_a_rollout_in_the_middle_of_threads_answers_each_once(
    fresh: FreshStage, tmp_path: Path
) -> None:
    async with two(fresh, tmp_path, **CHANNELS) as scene:
        await scene.discord.add_channel("ideas", kind="forum")
        asked = [
            await scene.call(f"question {number}", where="help", by=by)
            for number, by in enumerate(("Ada", "Bram", "Chiyo", "Dara"))
        ]
        for each in asked:
            await complete(scene, each)
        async with another(scene) as successor:
            people = ("Ada", "Bram", "Chiyo", "Dara")
            goes_on = [
                await scene.say(f"more [[chunks=10 delay=0.1]] {by}", where=each, by=by)
                for each, by in zip(asked[:2], people[:2], strict=True)
            ]
            scene.bot.terminate()
            goes_on += [
                await scene.say(f"more {by}", where=each, by=by)
                for each, by in zip(asked[2:], people[2:], strict=True)
            ]
            thread = await post(scene, "A lighthouse", "Could we build one of cork?")
            new = await scene.call("and a new one", where="help", by="Emeka")

            for each in asked:
                await complete(scene, each, 2)
            await complete(scene, thread)
            await complete(scene, new)
            assert await scene.bot.ended() == 0
            for question in (*goes_on, new):
                assert len(await scene.records(question)) == 1
            assert await successor.metric("speaking") == 1


async def test_messages_received_twice_open_one_thread(fresh: FreshStage) -> None:
    async with helped(fresh) as scene:
        await scene.discord.fault("dispatch", "duplicate", event="MESSAGE_CREATE", count=4)
        asked = await scene.call("how do I moor a boat?", where="help")
        await complete(scene, asked)
        await scene.say("and with two ropes?", where=asked)
        await complete(scene, asked, 2)
        assert (await scene.discord.counts()).requests[START] == 1


async def test_no_text_of_a_thread_that_somebody_cannot_read_reaches_the_model(
    fresh: FreshStage,
) -> None:
    """A private thread in a channel with threads, and a thread of a channel that was closed."""
    async with helped(fresh) as scene:
        secret = await scene.discord.add_channel(
            "secret", parent="help", private=True, members=["Bram"]
        )
        hidden = await scene.say("the treasure is below the lighthouse", by="Bram", where=secret.id)
        asked = await scene.call("what was said?", by="Chiyo", where="help")
        await complete(scene, asked)
        link = f"https://discord.com/channels/{secret.guild_id}/{secret.id}/{hidden}"
        goes_on = await scene.say(f"and here? {link}", by="Chiyo", where=asked)

        async def told() -> bool:
            there = await said_there(scene, asked)
            return any("-# I did not read" in each.content for each in there)

        await until(scene, told)
        role = {"user": "Chiyo", "deny": ["read_message_history"]}
        await scene.discord.change_channel("help", overwrites=[role])
        last = await scene.say("and what did I say?", by="Chiyo", where=asked)
        await complete(scene, asked, 3)

        everything = "".join(
            [await read(scene, each) for each in (asked, goes_on, last)]
            + [str(r.asked) for r in await scene.openai.requests() if "Chiyo" in str(r.asked)]
        )
        assert "treasure" not in everything
        assert "what was said?" not in await read(scene, last)
