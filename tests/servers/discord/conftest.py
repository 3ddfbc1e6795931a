"""A seeded server on free ports for each test, and its clients."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
import yarl

from tests.servers.discord.control import DiscordControl
from tests.servers.discord.harness import TOKEN, Rest
from tests.servers.discord.library import DiscordWebSocket, discord
from tests.servers.discord.server import Address, DiscordServer
from tests.servers.discord.settings import Settings
from tests.servers.discord.tokens import Tokens


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DiscordServer]:
    """Run the server, with discord.py pointed at it."""
    anywhere = Address("127.0.0.1", 0)
    settings = Settings(identify_seconds=0.0)
    async with DiscordServer(anywhere, anywhere, Tokens(TOKEN), settings=settings) as running:
        monkeypatch.setattr(discord.http.Route, "BASE", f"{running.base_url}/api/v10")
        monkeypatch.setattr(
            DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(running.state.gateway_url)
        )
        yield running


@pytest.fixture
async def people(server: DiscordServer) -> AsyncIterator[DiscordControl]:
    """Return a client of the control API. Unsupported requests fail the test at its end."""
    async with DiscordControl(server.control_url) as control:
        yield control
        assert not server.state.counts.unknown


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Return an HTTP client."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def rest(server: DiscordServer, http: aiohttp.ClientSession) -> Rest:
    """Return a client for plain REST calls as the bot."""
    return Rest(server, http)
