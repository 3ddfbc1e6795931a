"""What people read about what they used: `/usage`, and the line below each answer."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.servers.discord.control import ControlError, DiscordControl
from tests.servers.openai.control import Fault, FaultKind

from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene
from .servers import Servers
from .test_handover import one_channel_of_each_shard, shared_out
from .two_processes import another, two

COUNTED = {
    "SKY_USAGE__ENABLED": "true",
    "SKY_BUDGET__PRICES": '{"gpt-5-mini": {"input": 1000, "output": 1000}}',
}
LINE = {"SKY_REPLY__COST_LINE": "true", "SKY_BUDGET__PRICES": COUNTED["SKY_BUDGET__PRICES"]}
SMALL = re.compile(r"\n-# gpt-5-mini · [\d,]+ tokens read and [\d,]+ written · \d+\.\d+ USD\Z")


@asynccontextmanager
async def counting(fresh: FreshStage, **settings: str) -> AsyncIterator[Scene]:
    """A bot that counts and has told Discord of its commands."""
    stage = fresh(**COUNTED, **settings)
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        await stage.bot.logged("commands synced")
        yield scene


async def test_people_read_what_they_used_and_who_manages_the_server_all_of_it(
    fresh: FreshStage,
) -> None:
    async with counting(fresh) as scene:
        assert "- in this server: nothing" in await scene.told("usage", by="Bram")
        await scene.discord.add_channel("council")
        answer = await scene.answer(await scene.call("what is a kite?", by="Bram"))
        await scene.answer(await scene.call("and here?", by="Bram", where="council"))
        await scene.answer(await scene.whisper("between us", by="Bram"))
        await scene.answer(await scene.ask("and by command?", by="Dara"))
        await scene.press(answer.parts[0], "Again", by="Bram")

        own = await scene.until_told("usage", "- everywhere: 4 answers", by="Bram")
        table = await scene.told("usage", by="Ada")  # who owns the server

        assert re.search(r"- in this server: 3 answers, \d+ tokens read and \d+ written: 0\.", own)
        assert "By person" not in own
        assert "<#" not in own
        bram, dara = scene.mention_of("Bram"), scene.mention_of("Dara")
        assert re.search(rf"\*\*By person\*\*\n- {bram}: 3 answers, .*\n- {dara}: 1 answer,", table)
        assert re.search(r"\*\*By channel\*\*\n- <#\d+>: 3 answers, .*\n- <#\d+>: 1 answer", table)
        assert "- in this server: nothing" in table
        assert table.count("Counted since") == 1


async def test_a_channel_that_one_who_manages_cannot_see_is_not_named(fresh: FreshStage) -> None:
    async with counting(fresh) as scene:
        await scene.discord.add_role("Stewards", ["Bram"], manages=True)
        hidden = await scene.discord.add_channel(
            "council", overwrites=[{"role": "Stewards", "deny": ["view_channel"]}]
        )
        await scene.answer(await scene.call("a secret", by="Ada", where="council"))
        await scene.answer(await scene.call("no secret", by="Ada"))

        theirs = await scene.told("usage", by="Bram")
        owners = await scene.told("usage", by="Ada")

        assert f"<#{hidden.id}>" in owners
        assert f"<#{hidden.id}>" not in theirs
        assert "- channels that you can't see: 1 answer" in theirs
        assert "council" not in theirs


async def test_another_servers_sums_are_nobodys_business_here(
    fresh: FreshStage, servers: Servers
) -> None:
    async with DiscordControl(servers.discord.control_url) as discord:
        await discord.add_guild("Fjord", channels=0)
        await discord.add_channel("quay", guild="Fjord")
    async with counting(fresh) as scene:
        await scene.answer(await scene.call("over there", by="Bram", where="quay"))
        thread = await scene.discord.add_channel("moorings", parent="kites")
        await scene.answer(await scene.call("in a thread", by="Bram", where="moorings"))

        own = await scene.told("usage", by="Bram")
        table = await scene.told("usage", by="Ada")

        assert "- in this server: 1 answer," in own
        assert "- everywhere: 2 answers," in own
        assert "**This server**: 1 answer," in table
        kites = next(each for each in scene.world.channels if each.name == "kites")
        assert f"- <#{kites.id}>: 1 answer," in table  # the thread's channel
        assert table.count("<#") == 1
        assert thread.id not in table


async def test_it_is_off_unless_it_is_switched_on(scene: Scene) -> None:
    """Discord may still offer the command of a bot whose settings were changed."""
    await scene.bot.logged("commands synced")
    await scene.answer(await scene.call("what is a kite?"))

    with pytest.raises(ControlError):
        await scene.discord.invoke("usage", scene.place, "Ada")
    forged = {"id": "1", "name": "usage", "type": 1}
    used = await scene.discord.invoke("usage", scene.place, "Ada", data=forged)

    assert "don't have this command" in (await scene.responded(used.id)).content
    assert "ids of people" not in await scene.told("privacy")
    assert "/usage" not in await scene.told("help")


async def test_privacy_and_help_tell_of_it(fresh: FreshStage) -> None:
    async with counting(fresh) as scene:
        assert "I keep the ids of people and channels" in await scene.told("privacy", by="Hana")
        assert "`/usage`" in await scene.told("help", by="Hana")


async def test_what_is_not_known_is_not_said_to_be_free(fresh: FreshStage) -> None:
    async with counting(fresh, SKY_OPENAI__MODEL="gpt-4.1-nano") as scene:
        await scene.answer(await scene.call("priced?", by="Bram"))

        own = await scene.told("usage", by="Bram")

        assert re.search(r"1 answer, \d+ tokens read and \d+ written: cost unknown", own)


async def test_an_amount_that_the_provider_does_not_tell_is_about_right(fresh: FreshStage) -> None:
    async with counting(fresh) as scene:
        await scene.answer(await scene.call("how much? [[usage=none]]", by="Bram"))

        own = await scene.told("usage", by="Bram")

        assert re.search(r"1 answer, about \d+ tokens read and \d+ written: about 0\.\d+ USD", own)


async def test_joining_in_counts_for_nobody(fresh: FreshStage) -> None:
    place = {"SKY_AMBIENT__CHANNELS": "meadow=1", "SKY_AMBIENT__QUIET_SECONDS": "0"}
    async with counting(fresh, **place) as scene:
        await scene.discord.add_channel("meadow")
        await scene.answer(await scene.say("a fine day", by="Bram", where="meadow"))

        assert "- everywhere: nothing" in await scene.told("usage", by="Bram")
        assert "- nobody, I joined in: 1 answer" in await scene.told("usage", by="Ada")


async def test_searches_and_pictures_are_named(fresh: FreshStage, tmp_path: Path) -> None:
    (tmp_path / "personas").mkdir()
    (tmp_path / "personas" / "scout.toml").write_text(
        'name = "Scout"\nprompt = "You are Scout."\ntools = ["web_search", "image_generation"]\n'
    )
    folder = {"SKY_PERSONAS__DIRECTORY": str(tmp_path / "personas")}
    async with counting(fresh, **folder) as scene:
        question = await scene.say("!sky(scout) gulls [[search=1 draw=1]]", by="Bram")
        await scene.until(question, lambda seen: any(part.attachments for part in seen.parts))

        assert re.search("written, 1 picture, 1 search: ", await scene.told("usage", by="Bram"))


async def test_a_rollout_and_a_crash_keep_what_was_counted(
    fresh: FreshStage, tmp_path: Path
) -> None:
    """The next pod goes on; of what was being written when one was killed, it says so."""
    async with two(fresh, tmp_path, **COUNTED, SKY_LEASE__SECONDS="4") as scene:
        await scene.bot.logged("commands synced")
        await scene.answer(await scene.call("before", by="Bram"))
        async with another(scene) as second:
            scene.bot.terminate()
            await second.logged("lease acquired")
            own = await scene.told("usage", by="Bram")
            assert "- in this server: 1 answer, " in own
            assert "not accounted for" not in own
            slow = await scene.call("a slow one [[delay=0.5 chunks=40]]", by="Bram")
            await scene.until(slow, lambda seen: bool(seen.parts))
            async with asyncio.timeout(60):
                while "2 " not in _noted(tmp_path):  # noqa: ASYNC110 - another process writes it
                    await asyncio.sleep(0.05)
            second.kill()
            missed = await scene.call("while it is away", by="Bram")
            async with another(scene, "third") as third:
                await third.logged("backfill finished")
                await scene.answer(missed)
                await scene.answer(slow)

                own = await scene.told("usage", by="Bram")
        # What was answered late is counted as well, and what was begun again twice.
        assert "- in this server: 4 answers, " in own
        assert "USD and the unknown cost of 1 answer not accounted for" in own


async def test_what_a_process_with_other_shards_has_counted_is_known(
    fresh: FreshStage, tmp_path: Path
) -> None:
    shards = {"SKY_DISCORD__SHARDS": "2", "SKY_LEASE__SECONDS": "15"}
    async with two(fresh, tmp_path, **COUNTED, **shards) as scene:
        await scene.bot.logged("commands synced")
        places = await one_channel_of_each_shard(scene, 2)
        async with another(scene) as second:
            await shared_out([scene.bot, second], [1, 1])
            for place in places:
                await scene.answer(await scene.call("which shard?", by="Bram", where=place))

            own = await scene.until_told("usage", "- everywhere: 2 answers, ", by="Bram")

        assert "is not known to me now" not in own


def _noted(folder: Path) -> str:
    """Give the row of the only person in the Lease, from the number of answers on."""
    kept = json.loads((folder / "lease-0.json").read_text())
    people = json.loads(kept["notes"].get("usage") or "{}").get("people") or {"": ""}
    (row,) = people.values()
    return str(row).partition(" ")[2]


async def test_switching_it_off_removes_what_was_kept(fresh: FreshStage, tmp_path: Path) -> None:
    async with two(fresh, tmp_path, **COUNTED) as scene:
        await scene.answer(await scene.call("before", by="Bram"))
        scene.bot.terminate()
        assert await scene.bot.ended() == 0
        assert _noted(tmp_path)
        scene.bot.environment["SKY_USAGE__ENABLED"] = "false"
        scene.bot.start()
        await scene.bot.ready()
        await scene.answer(await scene.call("after", by="Bram"))
        scene.bot.terminate()
        assert await scene.bot.ended() == 0

        assert not _noted(tmp_path)


async def test_below_an_answer_stands_what_it_cost_and_the_model_never_reads_it(
    fresh: FreshStage,
) -> None:
    stage = fresh(**LINE)
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        question = await scene.call("what is a kite?")
        answer = await scene.answer(question, remarks=True)
        (part,) = answer.parts
        more = await scene.say("and a glider?", reply_to=part.id)
        await scene.answer(more, remarks=True)
        stage.bot.terminate()
        assert await stage.bot.ended() == 0
        stage.bot.start()
        await stage.bot.ready()
        last = await scene.say("and a balloon?", reply_to=part.id)  # read from Discord now
        await scene.answer(last, remarks=True)

        assert SMALL.search(part.content)
        for each in (more, last):
            turns = await scene.turns(each)
            assert [turn.role for turn in turns] == ["user", "assistant", "user"]
            assert not any("tokens read" in turn.text for turn in turns)


async def test_only_the_last_message_of_a_long_answer_has_the_line(fresh: FreshStage) -> None:
    stage = fresh(**LINE, SKY_REPLY__LONG="file", SKY_REPLY__LONG_FROM="4")
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        parts, file = [
            await scene.call(f"tell [[length={length}]]", where=place)
            for length, place in zip((4500, 9000), scene.elsewhere(2), strict=True)
        ]
        shown = await scene.answer(parts, remarks=True)
        hidden = await scene.until(
            file, lambda seen: any(part.attachments for part in seen.parts), 60
        )

        for seen in (shown, hidden):
            assert seen.well_formed
            assert [bool(SMALL.search(each.content)) for each in seen.parts[:-1]] == [False] * (
                len(seen.parts) - 1
            )
            assert SMALL.search(seen.parts[-1].content)
        (attached,) = hidden.parts[-1].attachments
        assert b"tokens read" not in await scene.fetch(attached["url"])


async def test_a_stopped_answer_and_one_of_the_fallback_say_what_they_cost(
    fresh: FreshStage,
) -> None:
    stage = fresh(**LINE, SKY_OPENAI__FALLBACK_MODEL="gpt-4.1-nano")
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        slow = await scene.call("slowly [[delay=0.5 chunks=40]]")
        begun = await scene.until(slow, lambda seen: bool(seen.parts))
        await scene.press(begun.parts[0], "Stop")
        stopped = await scene.until(slow, lambda seen: "tokens read" in seen.text)
        await scene.openai.inject(Fault(kind=FaultKind.SERVER_ERROR, match="falls", count=1))
        question = await scene.call("what falls?")
        await scene.answer(question, remarks=True)
        fell = await scene.seen(question)

        assert re.search(
            r"-# gpt-5-mini · about \d+ tokens read .* · about \d\.\d+ USD", stopped.text
        )
        assert re.search(r"-# gpt-4\.1-nano · \d+ tokens read .* · cost unknown", fell.text)


async def test_a_refusal_has_no_line(fresh: FreshStage) -> None:
    stage = fresh(**LINE)
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        question = await scene.say("!sky(nobody) are you there?")
        seen = await scene.until(question, lambda seen: bool(seen.parts))

        assert "There is no persona" in seen.text
        assert "-#" not in seen.text
