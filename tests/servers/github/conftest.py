"""The server with a token for commit statuses and one for contents."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.servers.github.server import GitHubServer


@pytest.fixture
async def github(tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    """Return a client of the server, which writes events to `events`."""
    (tmp_path / "token").write_text("right\n")
    (tmp_path / "dispatch-token").write_text("contents\n")
    server = GitHubServer(
        "somebody/discord-sky",
        tmp_path / ".git",
        tmp_path / "token",
        tmp_path / "dispatch-token",
        tmp_path / "events",
    )
    async with TestClient(TestServer(server.application())) as client:
        yield client
