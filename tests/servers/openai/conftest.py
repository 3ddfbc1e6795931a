"""One server for all tests of this package, used by the real client over sockets."""

from collections.abc import AsyncIterator, Iterator

import pytest
from openai import AsyncOpenAI

from .control import OpenAIControl
from .launch import Running, running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run the server in its own process."""
    with running(tmp_path_factory.mktemp("openai")) as started:
        yield started


@pytest.fixture
async def control(server: Running) -> AsyncIterator[OpenAIControl]:
    """Return a client of the control API."""
    async with OpenAIControl(server.control_url) as client:
        yield client


@pytest.fixture
async def openai(server: Running) -> AsyncIterator[AsyncOpenAI]:
    """Return the real client, with the accepted key and no retries."""
    key = server.key_file.read_text().strip()
    async with AsyncOpenAI(api_key=key, base_url=server.url, max_retries=0, timeout=5) as client:
        yield client
