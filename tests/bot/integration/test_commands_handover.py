"""Commands, roles and lists when one process of the bot ends and another goes on."""

import asyncio
from pathlib import Path

from .conftest import FreshStage
from .scenario import Scene
from .two_processes import another, answered_once, two


async def test_of_two_that_listen_one_acknowledges_a_command(
    fresh: FreshStage, tmp_path: Path
) -> None:
    async with two(fresh, tmp_path) as scene, another(scene) as standby:
        await scene.bot.logged("commands synced")
        before = await refused(scene)
        question = await scene.ask("who takes this?")
        await answered_once(scene, [question])

        assert await refused(scene) == before  # nobody acknowledged what was acknowledged already
        assert not [line for line in standby.lines() if line["message"] == "commands synced"]


async def refused(scene: Scene) -> int:
    """Say how many requests Discord has refused as bad, by whatever bot there was."""
    return (await scene.discord.counts()).statuses.get("400", 0)


async def test_a_command_whose_answer_was_never_begun_is_answered_by_the_successor(
    fresh: FreshStage, tmp_path: Path
) -> None:
    async with two(fresh, tmp_path) as scene:
        await scene.bot.logged("commands synced")
        theirs = await scene.say("the tide is out", by="Freya")
        slow = await scene.ask("what about the moon? [[first=1.4]]", by="Bram", persona="sky")
        used = await scene.discord.invoke("Ask Sky", scene.place, "Dara", target=theirs)
        menu = (await scene.responded(used.id)).id

        scene.bot.kill()
        async with another(scene) as successor:
            await successor.logged("backfill finished")
            await answered_once(scene, [slow])
            about = await scene.until(menu, lambda seen: len(seen.text) > len("Sky"))
            assert len(about.parts) == 1

        (asked,) = [turn for turn in await scene.turns(slow) if "moon" in turn.text]
        assert asked.text.startswith("Bram")


async def test_a_command_is_acknowledged_in_time_while_the_bot_changes_hands(
    fresh: FreshStage, tmp_path: Path
) -> None:
    """Commands every 100 ms, through SIGTERM of the one that speaks."""
    async with two(fresh, tmp_path) as scene, another(scene) as successor:
        await scene.bot.logged("commands synced")
        places = scene.elsewhere(15)

        async def ask(number: int, place: str) -> str:
            await asyncio.sleep(number / 10)
            if number == len(places) // 2:
                scene.bot.terminate()
            return await scene.ask(f"command {number}", where=place)

        questions = await asyncio.gather(*(ask(n, place) for n, place in enumerate(places)))

        await answered_once(scene, list(questions))
        assert (await scene.discord.counts()).interactions_failed == 0
        assert await successor.metric("interactions_total", outcome="asked") > 0


async def test_who_was_not_heard_is_judged_by_their_roles_all_the_same(
    fresh: FreshStage, tmp_path: Path
) -> None:
    """Discord leaves roles out of what it tells of the past, so they are looked up."""
    async with two(fresh, tmp_path, SKY_ACCESS__ALLOW_ROLES="Sailors") as scene:
        await scene.discord.add_role("Sailors", ["Goran"])
        await scene.answer(await scene.call("aye?", by="Goran"))

        scene.bot.kill()
        allowed = await scene.call("anybody on deck?", by="Goran")
        denial = await scene.call("me too?", by="Hana")
        async with another(scene) as successor:
            await successor.logged("backfill finished")
            await answered_once(scene, [allowed])
            assert await _silent(scene, denial)


async def _silent(scene: Scene, question: str) -> bool:
    """Whether there is no answer, once a later call has one."""
    await scene.answer(await scene.call("and now?", by="Goran"))
    return await scene.silence(question)
