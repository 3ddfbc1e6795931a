"""A new version on trial beside its predecessor: nobody reads of a failure, and nothing is lost."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from .bad_versions import BAD_VERSIONS, BadVersion
from .conftest import FreshStage
from .process import BOT_CHECKOUT, BotProcess
from .scenario import Scene
from .two_processes import answered_once
from .two_processes import two as begin

A_SECOND, CHANNELS = 5, 12


def two(fresh: FreshStage, tmp_path: Path, **settings: str) -> AbstractAsyncContextManager[Scene]:
    """The old version, which answers."""
    return begin(fresh, tmp_path, SKY_LEASE__TRIAL="true", **settings)


@asynccontextmanager
async def newer(
    scene: Scene, folder: Path = BOT_CHECKOUT, **settings: str
) -> AsyncIterator[BotProcess]:
    """The next version, Ready; ended at the end."""
    first = scene.stage.bot
    environment = {**first.environment, "SKY_LEASE__REVISION": "new", **settings}
    bot = BotProcess(environment, first.log.with_name("new.log"), folder=folder)
    bot.start()
    try:
        await bot.ready()
        yield bot
    finally:
        bot.kill()


async def ask(scene: Scene, seconds: float) -> list[str]:
    """Ask five questions a second, in many channels."""
    places, people, questions = scene.elsewhere(CHANNELS), scene.people, list[str]()
    for number in range(round(seconds * A_SECOND)):
        questions.append(
            await scene.call(
                f"question {number} [[chunks=6 delay=0.05]]",
                by=people[number % len(people)],
                where=places[number % CHANNELS],
            )
        )
        await asyncio.sleep(1 / A_SECOND)
    return questions


async def whole(scene: Scene, questions: list[str]) -> None:
    """Wait until each question has one message that shows one of the model's whole answers.

    The model may have completed two of them: the one of a version that could not show it.
    """
    for question in questions:
        await scene.answer_of_any(question, seconds=30)
        assert len((await scene.seen(question)).parts) == 1


async def until_it_responds(bot: BotProcess) -> None:
    """Wait until a version that blocks its event loop for seconds is through with that."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(TimeoutError):
                await bot.get("/livez")
                return


async def lease(scene: Scene) -> dict[str, str]:
    """The annotations of the Lease."""
    path = Path(scene.bot.environment["SKY_LEASE__FILE"])
    kept = json.loads(path.with_name(f"{path.name}-0.json").read_text())
    return dict(kept["notes"])


async def test_a_good_version_answers_while_the_old_one_stays_and_then_goes(
    fresh: FreshStage, tmp_path: Path
) -> None:
    async with (
        two(fresh, tmp_path, SKY_LEASE__REVISION="old") as scene,
        newer(scene) as successor,
    ):
        asking = asyncio.create_task(ask(scene, 8))
        await successor.logged("trial begun")
        await asyncio.sleep(2)
        scene.bot.terminate()

        questions = await asking
        await answered_once(scene, questions)
        for question in questions:
            assert len(await scene.records(question)) == 1
        assert await scene.bot.ended() == 0
        await successor.logged("trial passed")
        assert await successor.metric("speaking") == 1
        assert (await scene.discord.counts()).nonce_repeats == 0
        assert (await lease(scene))["trial-failed"] == ""


@pytest.mark.parametrize(
    "bad", BAD_VERSIONS.values(), ids=[each.replace(" ", "_") for each in BAD_VERSIONS]
)
async def test_a_bad_version_gives_its_calls_back_and_nobody_reads_of_it(
    fresh: FreshStage, tmp_path: Path, bad: BadVersion
) -> None:
    """Every question is answered once and whole; the old version answers those asked later."""
    folder = bad.copy(BOT_CHECKOUT, tmp_path / "bad")
    async with (
        two(fresh, tmp_path, SKY_LEASE__REVISION="old") as scene,
        newer(scene, folder) as successor,
    ):
        asking = asyncio.create_task(ask(scene, 5))
        await successor.logged("trial begun")
        await scene.bot.logged("lease acquired", seconds=20, how="let go")
        questions = await asking

        await whole(scene, questions)
        failed = json.loads((await lease(scene))["trial-failed"])
        assert bad.reason in failed["reason"]
        if successor.running:
            await until_it_responds(successor)
            status, why = await successor.get("/readyz")
            assert (status, why.strip()) == (503, failed["reason"])
        assert await scene.bot.metric("speaking") == 1


async def test_the_same_revision_is_not_tried(fresh: FreshStage, tmp_path: Path) -> None:
    async with (
        two(fresh, tmp_path, SKY_LEASE__REVISION="same") as scene,
        newer(scene, SKY_LEASE__REVISION="same") as standby,
    ):
        await asyncio.sleep(4)

        assert await scene.bot.metric("speaking") == 1
        assert await standby.metric("trials_total") == 0


async def test_without_a_predecessor_a_person_is_told_of_a_failure(
    fresh: FreshStage, tmp_path: Path
) -> None:
    """The old version is killed while the new one is on trial."""
    folder = BAD_VERSIONS["raises in one of five"].copy(BOT_CHECKOUT, tmp_path / "bad")
    async with (
        two(fresh, tmp_path, SKY_LEASE__REVISION="old") as scene,
        newer(scene, folder) as successor,
    ):
        await successor.logged("trial begun")
        scene.bot.kill()
        await successor.logged("trial passed")

        questions = await ask(scene, 1)
        for question in questions:
            seen = await scene.until(question, lambda seen: bool(seen.parts))
            assert len(seen.parts) == 1
        assert await successor.metric("answers_total", outcome="unexpected") == 1


async def test_a_failed_version_is_better_than_none(fresh: FreshStage, tmp_path: Path) -> None:
    """It leaves a free Lease to others for a while, and then it answers."""
    folder = BAD_VERSIONS["raises in one of five"].copy(BOT_CHECKOUT, tmp_path / "bad")
    async with (
        two(fresh, tmp_path, SKY_LEASE__REVISION="old") as scene,
        newer(scene, folder) as successor,
    ):
        await successor.logged("trial begun")
        await whole(scene, await ask(scene, 2))
        scene.bot.kill()
        began = time.monotonic()

        question = await scene.call("is anybody there?")
        await scene.answer(question, seconds=40)
        assert time.monotonic() - began > 15
        assert (await successor.get("/readyz"))[0] == 503
