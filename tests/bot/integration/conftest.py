"""The stages of the stories: one bot for most of them, one on Chat Completions, and fresh ones."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from tests.servers.discord.control import DiscordControl
from tests.servers.keyvault.harness import Harness
from tests.servers.keyvault.harness import running as running_vault
from tests.servers.openai.control import OpenAIControl
from tests.servers.openai.launch import Running
from tests.servers.openai.launch import running as running_openai

from .environment import Stage
from .environment import stage as set_stage
from .scenario import Scene
from .scenario import scene as open_scene
from .servers import Servers
from .servers import servers as run_servers

FreshStage = Callable[..., Stage]


LONG_ENOUGH = 12  # shorter texts are words that a log may have for reasons of its own


def _clean(stage: Stage) -> None:
    """Whatever happened: no content and no credential in the log, nothing unknown asked for."""
    log = stage.bot.log.read_text()
    for secret in [*stage.token.all_values, *stage.api_key.all_values]:
        assert secret not in log, "a credential is in the bot's log"
    for text in stage.said:
        assert len(text) < LONG_ENOUGH or text not in log, "what people said is in the bot's log"
    assert asyncio.run(_unknown(stage)) == {}


async def _unknown(stage: Stage) -> dict[str, int]:
    """Give what was asked of either server that it does not speak."""
    async with (
        DiscordControl(stage.servers.discord.control_url) as discord,
        OpenAIControl(stage.servers.openai.control_url) as openai,
    ):
        asked = dict((await discord.counts()).unknown)
        asked |= {r.path: 1 for r in await openai.requests() if r.endpoint == "unknown"}
    return asked


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the three logs with a test that failed."""
    report = yield
    if report.failed and call.when == "call":
        for value in item.funcargs.values():
            stage = value.stage if isinstance(value, Scene) else value
            if isinstance(stage, Stage):
                report.sections.append(("logs of the stage", stage.logs()))
    return report


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The bot as most people run it."""
    directory = tmp_path_factory.mktemp("integration")
    with run_servers(directory) as both, set_stage(both, directory) as started:
        yield started
        _clean(started)


@pytest.fixture(scope="session")
def chat_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The bot on Chat Completions."""
    chat = {"SKY_OPENAI__API": "chat", "SKY_OPENAI__MODEL": "gpt-4o-mini"}
    directory = tmp_path_factory.mktemp("chat")
    with run_servers(directory) as both, set_stage(both, directory, **chat) as started:
        yield started
        _clean(started)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The servers of the stories that need a bot for themselves."""
    with run_servers(tmp_path_factory.mktemp("fresh")) as both:
        yield both


async def _begin(servers: Servers) -> None:
    """Leave a new story nothing of another: no words, names, channels, faults or settings.

    Lift Discord's five seconds between two logins, which are meant for one bot.
    """
    async with (
        DiscordControl(servers.discord.control_url) as discord,
        OpenAIControl(servers.openai.control_url) as openai,
    ):
        await discord.reset()
        await discord.set(identify_seconds=0)
        await openai.reset()


async def _end_faults(scene: Scene) -> None:
    """Leave the next story of a shared bot no fault that did not strike, no script, no AutoMod."""
    await scene.discord.end_faults()
    await scene.discord.block_words()
    await scene.openai.clear()
    await scene.openai.script()


@pytest.fixture
def fresh(servers: Servers, tmp_path: Path) -> Iterator[FreshStage]:
    """A bot for one story alone: `fresh(token="…", SKY_…="…")`."""
    asyncio.run(_begin(servers))
    with ExitStack() as stack:

        def make(**options: str) -> Stage:
            made: AbstractContextManager[Stage] = set_stage(servers, tmp_path, **options)
            started = stack.enter_context(made)
            stack.callback(_clean, started)
            return started

        yield make


@pytest.fixture
async def azure(servers: Servers, tmp_path: Path) -> AsyncIterator[Harness]:
    """A vault with the two credentials that the servers accept."""
    (tmp_path / "azure").mkdir()
    secrets = {"discord-token": servers.token, "openai-api-key": servers.key}
    async with running_vault(tmp_path / "azure", secrets) as harness:
        yield harness


@pytest.fixture
async def scene(stage: Stage) -> AsyncIterator[Scene]:
    """A channel of one's own with the bot in it, Ready."""
    await stage.bot.ready()
    async with open_scene(stage) as opened:
        yield opened
        await _end_faults(opened)


@pytest.fixture
async def chat_scene(chat_stage: Stage) -> AsyncIterator[Scene]:
    """The same, on Chat Completions."""
    await chat_stage.bot.ready()
    async with open_scene(chat_stage) as opened:
        yield opened
        await _end_faults(opened)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run an OpenAI server alone for the tests of one file."""
    with running_openai(tmp_path_factory.mktemp("openai")) as started:
        yield started


@pytest.fixture
async def control(server: Running) -> AsyncIterator[OpenAIControl]:
    """Give the server's control, with nothing left of the test before."""
    async with OpenAIControl(server.control_url) as client:
        await client.clear()
        await client.script()
        await client.forget()
        yield client
