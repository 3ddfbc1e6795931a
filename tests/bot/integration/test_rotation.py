"""A credential is rotated while people talk: the mounted file is stale, the vault is not."""

import asyncio
import time

import pytest

from tests.servers.keyvault.harness import Harness
from tests.servers.openai.control import Fault, FaultKind
from tests.servers.openai.keys import digest

from .conftest import FreshStage
from .servers import new_token
from .with_key_vault import KEY, TOKEN, vaulted

MESSAGES, A_SECOND, ROTATIONS = 200, 10, 3
OUTAGE_BAR = 5.0  # seconds from the new version to the answer


async def test_an_openai_key_rotated_three_times_under_load_costs_no_answer(
    azure: Harness, fresh: FreshStage
) -> None:
    """Each old key is refused at once, and the file never changes."""
    async with vaulted(azure, fresh) as story:
        scene = story.scene
        await scene.bot.ready()
        pid, people = scene.bot.pid, scene.people
        places = [channel.name for channel in scene.world.channels if channel.guild_id]
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def ask(number: int) -> str:
            await asyncio.sleep(began + number / A_SECOND - loop.time())
            return await scene.call(
                f"question {number}",
                by=people[number % len(people)],
                where=places[number % len(places)],
            )

        async def rotate() -> None:
            for number in range(1, ROTATIONS + 1):
                await asyncio.sleep(began + number * 5 - loop.time())
                key = f"sk-loop-rotated-{number}"
                await scene.openai.accept(key)
                story.set(KEY, key)

        *questions, _ = await asyncio.gather(*map(ask, range(MESSAGES)), rotate())

        assert len(places) >= 25
        for question in questions:  # one after the other: each look reads all the records
            assert question is not None
            await scene.answer(question)
            assert len((await scene.seen(question)).parts) == 1
        assert await scene.bot.metric("answers_total", outcome="complete") == MESSAGES
        assert await scene.bot.metric("answers_total") == MESSAGES
        assert scene.bot.pid == pid
        assert scene.bot.running
        assert await story.shows("credential_info", sha256=digest("sk-loop-rotated-3")) == 1


async def test_a_key_refused_by_mistake_costs_no_answer(azure: Harness, fresh: FreshStage) -> None:
    """The vault has no other, and the next question finds that the key is good after all."""
    async with vaulted(azure, fresh) as story:
        scene = story.scene
        await scene.bot.ready()
        await scene.openai.inject(Fault(kind=FaultKind.UNAUTHORIZED, count=1))
        first = await scene.call("refused by mistake")
        await scene.bot.logged("the vault has no other value yet")

        second = await scene.call("and now", where=scene.elsewhere(1)[0])

        for question in (second, first):
            await scene.answer(question)
            assert len((await scene.seen(question)).parts) == 1


@pytest.mark.parametrize("wait", [0.0, 15.0], ids=["at once", "long after the reset"])
async def test_a_discord_token_that_is_reset_is_fetched_and_nobody_is_forgotten(
    azure: Harness, fresh: FreshStage, wait: float
) -> None:
    """The file is stale for good; what was asked in between is answered once each."""
    async with vaulted(azure, fresh) as story:
        scene = story.scene
        await scene.bot.ready()
        await scene.answer(await scene.whisper("before"))
        before = await scene.discord.counts()
        pid, token = scene.bot.pid, new_token()
        halfway = await scene.call("on its way [[first=1]]")

        await scene.discord.accept_token(token)  # the session is closed with 4004
        await scene.bot.probe("/readyz", 503)
        between = [
            await scene.call("while you were out", where=place) for place in scene.elsewhere(3)
        ]
        between.append(await scene.whisper("and privately"))
        await asyncio.sleep(wait)
        story.set(TOKEN, token)
        began = time.monotonic()
        await scene.bot.ready()
        after = await scene.call("are you back?")
        await scene.answer(after)
        outage = time.monotonic() - began

        for question in (halfway, *between, after):
            await scene.answer(question, remarks=True)
            assert len((await scene.seen(question)).parts) == 1
            assert len(await scene.records(question)) == 1
        counts = await scene.discord.counts()
        assert outage <= OUTAGE_BAR
        assert counts.identifies - before.identifies <= 2
        assert counts.nonce_repeats == before.nonce_repeats
        assert scene.bot.pid == pid
        assert await story.shows("caught_up_total") == len(between)
