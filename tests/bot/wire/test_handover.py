"""Two processes of one bot, as in a rollout: one answers, and nothing is lost or said twice."""

import asyncio
from pathlib import Path

from .conftest import FreshStage
from .pair import another, answered_once, two

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
        await standby.logged("lease taken", how="its holder ended")
        await standby.logged("caught up")

        await answered_once(scene, [half, late, whole])
        (ended,) = (await scene.seen(half)).parts
        assert ended.id == begun.id
        assert len(await scene.records(half)) == 2
        assert len(await scene.records(whole)) == 1
        assert (await scene.record(half)).text == ended.content


async def test_what_was_said_while_no_process_ran_is_answered_if_it_is_not_too_old(
    fresh: FreshStage, tmp_path: Path
) -> None:
    settings = {"SKY_WORK__CATCH_UP_SECONDS": "4", "SKY_LEASE__SECONDS": "15"}
    async with two(fresh, tmp_path, **settings) as scene:
        there = scene.elsewhere(2)
        before = await scene.whisper("before")
        await scene.answer(before)
        await asyncio.sleep(1)  # longer than from one renewal to the next
        scene.bot.kill()
        old = await scene.call("too long ago", where=there[0])
        await asyncio.sleep(4.5)
        missed = [
            await scene.call("not long ago", where=there[1]),
            await scene.whisper("alone with the bot"),
        ]

        async with another(scene) as successor:
            await successor.logged("caught up")
            await answered_once(scene, missed)
            assert await scene.silence(old)
            assert await successor.metric("caught_up_total", outcome="too_old") == 1
            assert len(await scene.records(before)) == 1
