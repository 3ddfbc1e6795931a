"""The stages of the stories: one bot for most of them, one on Chat Completions, and fresh ones."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from .scene import Scene
from .scene import scene as open_scene
from .stage import Stage
from .stage import stage as set_stage

FreshStage = Callable[..., Stage]


def _clean(stage: Stage) -> None:
    """Nothing that was said and no credential may be in the bot's log, whatever happened."""
    log = stage.bot.log.read_text()
    for secret in [*stage.token.all_values, *stage.api_key.all_values]:
        assert secret not in log, "a credential is in the bot's log"


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The bot as most people run it."""
    with set_stage(tmp_path_factory.mktemp("wire")) as started:
        yield started
        _clean(started)


@pytest.fixture(scope="session")
def chat_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The bot on Chat Completions."""
    chat = {"SKY_OPENAI__API": "chat", "SKY_OPENAI__MODEL": "gpt-4o-mini"}
    with set_stage(tmp_path_factory.mktemp("chat"), **chat) as started:
        yield started
        _clean(started)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[FreshStage]:
    """A stage for one story alone: `fresh(token="…", SKY_…="…")`."""
    with ExitStack() as stack:

        def make(**options: str) -> Stage:
            made: AbstractContextManager[Stage] = set_stage(tmp_path, **options)
            started = stack.enter_context(made)
            stack.callback(_clean, started)
            return started

        yield make


@pytest.fixture
async def scene(stage: Stage) -> AsyncIterator[Scene]:
    """A channel of one's own with the bot in it, Ready."""
    await stage.bot.ready()
    async with open_scene(stage) as opened:
        yield opened


@pytest.fixture
async def chat_scene(chat_stage: Stage) -> AsyncIterator[Scene]:
    """The same, on Chat Completions."""
    await chat_stage.bot.ready()
    async with open_scene(chat_stage) as opened:
        yield opened
