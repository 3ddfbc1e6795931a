"""Two processes of one bot, as in a rollout: one answers, and nothing is lost or said twice."""

import asyncio
from pathlib import Path

from tests.servers.discord.model import TEXT

from .answers import buttons
from .conftest import FreshStage
from .process import BotProcess
from .scenario import Scene
from .two_processes import another, answered_once, two

MESSAGES, A_SECOND, CHANNELS = 40, 10, 12


async def test_of_two_that_listen_one_speaks(fresh: FreshStage, tmp_path: Path) -> None:
    async with two(fresh, tmp_path) as scene, another(scene) as standby:
        question = await scene.call("who answers?")
        await answered_once(scene, [question])

        assert len(await scene.records(question)) == 1
        assert await scene.bot.metric("speaking") == 1
        assert await standby.metric("speaking") == 0


async def test_a_rollout_under_load_loses_nothing_and_doubles_nothing(
    fresh: FreshStage, tmp_path: Path
) -> None:
    async with two(fresh, tmp_path) as scene, another(scene) as successor:
        places = scene.elsewhere(CHANNELS)
        people = scene.people
        questions = []
        for number in range(MESSAGES):
            if number == MESSAGES // 2:
                scene.bot.terminate()
            questions.append(
                await scene.call(
                    f"question {number} [[chunks=10 delay=0.08]]",
                    by=people[number % len(people)],
                    where=places[number % CHANNELS],
                )
            )
            await asyncio.sleep(1 / A_SECOND)

        await answered_once(scene, questions)
        assert await scene.bot.ended() == 0
        for question in questions:
            assert len(await scene.records(question)) == 1
        assert await successor.metric("speaking") == 1
        assert (await scene.discord.counts()).nonce_repeats == 0


async def test_a_standby_takes_over_from_a_process_that_was_killed(
    fresh: FreshStage, tmp_path: Path
) -> None:
    """What was half said is ended in the same message; what was not begun is answered."""
    async with two(fresh, tmp_path) as scene, another(scene) as standby:
        there = scene.elsewhere(3)
        half = await scene.call("half said [[length=900 chunks=30 delay=0.2]]", where=there[0])
        await scene.until(half, lambda seen: bool(seen.parts))
        (begun,) = (await scene.seen(half)).parts
        whole = await scene.call("wholly said", where=there[1])
        await scene.answer(whole)

        scene.bot.kill()
        late = await scene.call("said to nobody", where=there[2])
        await standby.logged("lease acquired", how="its holder ended")
        await standby.logged("backfill finished")

        await answered_once(scene, [half, late, whole])
        (ended,) = (await scene.seen(half)).parts
        assert ended.id == begun.id
        assert len(await scene.records(half)) == 2
        assert len(await scene.records(whole)) == 1
        assert (await scene.record(half)).text.strip() == ended.content  # as Discord shows it


async def test_a_process_that_starts_after_a_kill_answers_what_is_said_before_it_leads(
    fresh: FreshStage, tmp_path: Path
) -> None:
    """However little it is to catch up with: these calls were not missed."""
    settings = {"SKY_WORK__CATCH_UP_SECONDS": "0"}
    async with two(fresh, tmp_path, **settings) as scene, another(scene) as standby:
        await scene.answer(await scene.call("before"))

        scene.bot.kill()
        call = await scene.call("said before the standby has noticed", where=scene.elsewhere(1)[0])
        await standby.logged("lease acquired", how="its holder ended")

        await answered_once(scene, [call])


async def test_an_answer_that_is_being_given_again_is_ended_by_the_successor(
    fresh: FreshStage, tmp_path: Path
) -> None:
    """Its question was answered before, and so long ago that nobody would look at it."""
    async with two(fresh, tmp_path, SKY_LEASE__SECONDS="15") as scene, another(scene) as standby:
        question = await scene.call("again [[length=600 chunks=20 delay=0.15]]")
        before = await scene.answer(question)
        await asyncio.sleep(3)
        await scene.answer(await scene.call("and now this", where=scene.elsewhere(1)[0]))

        await scene.press(before.parts[0], "Again")
        await scene.until(question, lambda seen: list(buttons(seen.parts[0])) == ["Stop"])
        await asyncio.sleep(1)  # longer than from one renewal to the next
        scene.bot.kill()
        await standby.logged("lease acquired", how="its holder ended")

        after = await scene.until(question, lambda seen: list(buttons(seen.parts[0])) == ["Again"])
        assert [part.id for part in after.parts] == [part.id for part in before.parts]
        assert after.shows((await scene.record(question)).text)
        assert len(await scene.records(question)) == 3


async def test_what_was_said_while_no_process_ran_is_answered_if_it_is_not_too_old(
    fresh: FreshStage, tmp_path: Path
) -> None:
    settings = {"SKY_WORK__CATCH_UP_SECONDS": "12", "SKY_LEASE__SECONDS": "15"}
    async with two(fresh, tmp_path, **settings) as scene:
        there = scene.elsewhere(2)
        before = await scene.whisper("before")
        await scene.answer(before)
        await asyncio.sleep(1)  # longer than from one renewal to the next
        scene.bot.kill()
        old = await scene.call("too long ago", where=there[0])
        await asyncio.sleep(12.5)
        missed = [
            await scene.call("not long ago", where=there[1]),
            await scene.whisper("alone with the bot"),
        ]

        async with another(scene) as successor:
            await successor.logged("backfill finished")
            await answered_once(scene, missed)
            assert await scene.silence(old)
            assert await successor.metric("caught_up_total", outcome="too_old") == 1
            assert len(await scene.records(before)) == 1


async def test_many_shards_are_shared_out_and_taken_over_from_a_process_that_was_killed(
    fresh: FreshStage, tmp_path: Path
) -> None:
    """Four shards on three processes: each shard is served by one, before and after."""
    settings = {"SKY_DISCORD__SHARDS": "4", "SKY_LEASE__SECONDS": "15"}
    async with two(fresh, tmp_path, **settings) as scene:
        places = await one_channel_of_each_shard(scene, 4)
        async with another(scene, "second") as second, another(scene, "third") as third:
            bots = [scene.bot, second, third]
            await shared_out(bots, [1, 1, 2])

            before = [await scene.call("anybody?", where=place) for place in places]
            await answered_once(scene, before)
            victim = bots[0]
            held = await serves(victim)
            victim.kill()
            during = [await scene.call("and now?", where=place) for place in places]
            await answered_once(scene, during)

            await shared_out([second, third], [2, 2])
            after = [await scene.call("and after?", where=place) for place in places]
            await answered_once(scene, after)
            assert held
            for question in (*before, *during, *after):
                assert len(await scene.records(question)) == 1


async def test_a_process_that_ends_takes_no_shard_while_it_finishes_its_answers(
    fresh: FreshStage, tmp_path: Path
) -> None:
    """It has fewer than the other, so that it would get one, and nobody would serve that one."""
    settings = {
        "SKY_DISCORD__SHARDS": "4",
        "SKY_LEASE__SECONDS": "15",
        "SKY_WORK__DRAIN_SECONDS": "60",
    }
    async with two(fresh, tmp_path, **settings) as scene:
        places = await one_channel_of_each_shard(scene, 4)
        await shared_out([scene.bot], [4])
        async with another(scene) as second:
            await shared_out([scene.bot, second], [1, 3])
            (shard,) = await serves(second)
            slow = await scene.call(
                "at length [[length=900 chunks=100 delay=0.3]]", where=places[shard]
            )
            await scene.until(slow, lambda seen: bool(seen.parts))

            second.terminate()
            await shared_out([scene.bot], [4])
            seen = list[int]()
            while second.running:
                seen.append(len(await serves(scene.bot)))
                await asyncio.sleep(0.2)

            assert set(seen) == {4}
            assert len(seen) > 20, "it ended before it could have asked"
            await answered_once(scene, [slow])


async def one_channel_of_each_shard(scene: Scene, shards: int) -> list[str]:
    """Add servers until each shard has one; give a channel of each."""
    found: dict[int, str] = {}
    for number in range(100):
        world = await scene.discord.world()
        for channel in world.channels:
            if channel.guild_id and channel.kind == TEXT:
                found.setdefault((int(channel.guild_id) >> 22) % shards, channel.id)
        if len(found) == shards:
            break
        await scene.discord.add_guild(f"Shard Harbour {number}", channels=1)
    return [found[shard] for shard in range(shards)]


async def serves(bot: BotProcess) -> set[int]:
    """Say for which shards a process speaks."""
    return {shard for shard in range(4) if await bot.metric("speaking", shard=str(shard)) == 1}


async def shared_out(bots: list[BotProcess], numbers: list[int]) -> None:
    """Wait until the processes serve so many shards, and each shard is served by one."""
    async with asyncio.timeout(60):
        while True:
            each = [await serves(bot) for bot in bots]
            if sorted(map(len, each)) == numbers and len(set().union(*each)) == sum(numbers):
                return
            await asyncio.sleep(0.2)
