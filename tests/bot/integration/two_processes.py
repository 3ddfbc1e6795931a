"""Two processes of one bot, as in a rollout."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from .conftest import FreshStage
from .process import BotProcess
from .scenario import Scene
from .scenario import scene as open_scene


@asynccontextmanager
async def two(
    fresh: FreshStage,
    tmp_path: Path,  # noqa: ARG001  # the folder of the Lease, which says what a story needs
    **settings: str,
) -> AsyncIterator[Scene]:
    """A speaker that is Ready; `another` starts the next one."""
    stage = fresh(start="", **settings)
    async with open_scene(stage) as scene:
        await scene.discord.set(max_concurrency=16)  # as Discord grants to a bot of many shards
        stage.bot.start()
        await stage.bot.ready()
        await stage.bot.logged("lease acquired")
        yield scene


@asynccontextmanager
async def another(scene: Scene, name: str = "next") -> AsyncIterator[BotProcess]:
    """One more process of the same bot, Ready; ended at the end."""
    first = scene.stage.bot
    bot = BotProcess(dict(first.environment), first.log.with_name(f"{name}.log"))
    bot.start()
    try:
        await bot.ready()
        yield bot
    finally:
        bot.kill()


async def answered_once(scene: Scene, questions: list[str], seconds: float = 30) -> None:
    """Wait for every answer; each is whole, and there is one of it."""
    for question in questions:
        seen = await scene.answer(question, seconds=seconds)
        assert len(seen.parts) == 1, [part.content for part in seen.parts]
