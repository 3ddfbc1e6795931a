"""Long answers as people choose them: a file, a thread; and links that would flood a channel."""

import re

import aiohttp

from tests.servers.discord.model import SUPPRESS_EMBEDS, THREAD_STARTER_MESSAGE
from tests.servers.openai.control import ScriptedAnswer

from .answers import LIMIT, buttons
from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene
from .text_integrity import is_whole

CREATE = "POST /channels/{channel_id}/messages"


async def test_a_long_answer_is_a_file_below_its_beginning(fresh: FreshStage) -> None:
    stage = fresh(SKY_REPLY__LONG="file", SKY_REPLY__LONG_FROM="2")
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        question = await scene.call("a long tale [[length=9000 chunks=20 delay=0.05]]")

        answer = await scene.until(
            question, lambda seen: bool(seen.parts) and bool(seen.parts[0].attachments), 20
        )

        (part,) = answer.parts
        (file,) = part.attachments
        async with aiohttp.ClientSession() as session, session.get(file["url"]) as response:
            assert await response.text() == (await scene.record(question)).text
        assert file["filename"] == "answer.md"
        assert part.content.endswith("\n-# The full answer is in the file.")
        assert list(buttons(part)) == ["Again"]

        no_files = await scene.discord.add_channel("no-files", deny=["attach_files"])
        refused = await scene.call(
            "a long tale again [[length=5000 chunks=20 delay=0.1]]", where=no_files.name
        )
        assert len((await scene.answer(refused)).parts) == 3
        short = await scene.call("a short one")
        assert (await scene.answer(short)).parts[0].attachments == ()


async def test_an_answer_that_discord_takes_in_no_file_is_said_in_messages(
    fresh: FreshStage,
) -> None:
    """Its first message is the one with the file: nothing is shown before it is complete."""
    settings = {"SKY_REPLY__LONG": "file", "SKY_REPLY__LONG_FROM": "2"}
    stage = fresh(**settings, SKY_REPLY__FIRST_WORDS_SECONDS="5")
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        large = {"status": 413, "code": 40005, "message": "Request entity too large"}
        await scene.discord.fault("rest", "error", route=CREATE, count=1, **large)

        too_large = await scene.call("a tale that Discord takes in no file [[length=5000]]")

        assert len((await scene.answer(too_large)).parts) == 3


async def test_a_long_answer_goes_on_in_a_thread(fresh: FreshStage) -> None:
    stage = fresh(SKY_REPLY__LONG="thread", SKY_REPLY__LONG_FROM="2")
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        question = await scene.call("how long is long? [[length=6000]]")
        text = (await scene.openai.ended("how long is long?")).text
        first = (await scene.until(question, lambda seen: bool(seen.parts))).parts[0]

        async def whole(text: str) -> list[str]:
            async with scene.discord.events() as events:
                while True:
                    there = await scene.discord.read(first.id)
                    below = [m for m in there if m.kind != THREAD_STARTER_MESSAGE]
                    beginning = await scene.discord.message(first.id)
                    parts = [m.content for m in (beginning, *below)]
                    if is_whole(parts, text) and "Again" in buttons(below[-1]):
                        return parts
                    await events.event(lambda e: e.kind in {"message", "edit", "delete"}, 60)

        async with scene.discord.events() as events:
            while first.id not in {c.id for c in (await scene.discord.world()).channels}:
                await events.event(lambda e: e.kind == "channel", 60)
        parts = await whole(text)
        assert len(parts) >= 3
        await scene.press((await scene.discord.read(first.id))[-1], "Again")
        redone = await scene.openai.first(
            lambda r: (
                r.ending == "completed" and "how long is long?" in str(r.asked) and r.text != text
            )
        )
        text = redone.text
        assert len(await whole(text)) == len(parts)
        # Discord shows the last edit some milliseconds before the bot knows that it is there.
        await scene.bot.until_metric("answers_total", 2, outcome="complete")
        world = await scene.discord.world()
        thread = next(channel for channel in world.channels if channel.id == first.id)
        assert thread.name.startswith("how long is long?")
        # To go on, reply to any part of it, in the thread as well.
        last = (await scene.discord.read(first.id))[-1]
        more = await scene.say("and then?", where=thread.id, reply_to=last.id)
        await scene.answer(more)
        assert (await scene.turns(more))[-2].text.strip() == text.strip()

        closed = await scene.discord.add_channel("no-threads", deny=["create_public_threads"])
        refused = await scene.call("how long here? [[length=5000]]", where=closed.name)
        assert len((await scene.answer(refused)).parts) == 3
        whispered = await scene.whisper("how long among us? [[length=5000]]")
        assert len((await scene.answer(whispered)).parts) == 3


async def test_neither_a_list_nor_links_nor_emoji_are_cut(scene: Scene) -> None:
    emoji = "<:gull:1456000000000000123>"
    items = [
        f"{number}. {emoji * (number % 4 + 1)} The ferry no. {number} leaves from "
        f"https://example.org/harbour/{number}?from=a_b&to={'c' * (number * 3)}#quay "
        f"<https://example.org/map/{number}>"
        for number in range(1, 41)
    ]
    text = "\n".join(["Here is **the list**:", "", *items, "", "That is all."])
    await scene.openai.script(ScriptedAnswer(match="which ferries", text=text, chunks=60))
    question = await scene.call("which ferries?")

    answer = await scene.answer(question)

    await scene.openai.script()
    lines = [line for part in answer.parts for line in part.content.split("\n")]
    assert len(text) > 2 * LIMIT
    assert len(answer.parts) > 1
    assert [line for line in lines if line] == [line for line in text.split("\n") if line]


async def test_many_links_are_shown_without_their_previews(fresh: FreshStage) -> None:
    stage = fresh(SKY_REPLY__PREVIEWS="2")
    async with open_scene(stage) as scene:
        await scene.bot.ready()

        async def flags(links: int, how: str = "") -> int:
            text = " ".join(f"https://example.org/{number}" for number in range(links))
            question = await scene.call(f'[[text="Look: {text}" {how}]]')
            (part,) = (await scene.answer(question)).parts
            assert len(re.findall("https://", part.content)) == links
            return part.flags & SUPPRESS_EMBEDS

        assert await flags(2) == 0
        await scene.openai.script(ScriptedAnswer(match="tell", text="See https://evil.example/it"))
        leaked = await scene.call("tell me a secret")
        (part,) = (await scene.answer(leaked)).parts
        await scene.openai.script()
        assert part.flags & SUPPRESS_EMBEDS
        assert await flags(3) == SUPPRESS_EMBEDS
        assert await flags(6, "chunks=12 delay=0.15") == SUPPRESS_EMBEDS
