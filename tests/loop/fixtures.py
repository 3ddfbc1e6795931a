"""Fixtures for tests that need the loop, wherever they lie: a conftest.py imports them.

    from tests.loop.fixtures import api, loop  # noqa: F401

Tests that use them carry `@pytest.mark.loop`.
"""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
from lightkube import AsyncClient

from tests.loop.cluster import kube
from tests.loop.supervisor import state


def command(*arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run one of the loop's commands as a person does, and return what it printed."""
    return subprocess.run(
        [sys.executable, "-m", "tests.loop", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def loop_is_up() -> bool:
    """Whether a loop is up."""
    try:
        state.load()
    except state.LoopDown:
        return False
    return True


@pytest.fixture(scope="session", autouse=True)
def loop_was_up() -> bool:
    """Whether a loop was up before the first test, and so is not the tests' to take down."""
    return loop_is_up()


@pytest.fixture(scope="session")
def loop(loop_was_up: bool) -> Iterator[state.Loop]:  # noqa: FBT001 - a fixture's value
    """The loop, up. One that was up before stays up; one that this session started goes down."""
    if not loop_was_up:
        started = command("up")
        assert started.returncode == 0, started.stdout + started.stderr
    yield state.load()
    if not loop_was_up:
        ended = command("down")
        assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.fixture
async def api(loop: state.Loop) -> AsyncIterator[AsyncClient]:
    """A client of the loop's API server, as its administrator."""
    async with kube.async_client(loop.kubeconfig) as client:
        yield client
