"""A registry for the tests of this folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.loop.image_controllers import harness
from tests.tools import ToolMissing, tool


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[str]:
    """Run distribution on a free port; host:port."""
    try:
        tool("registry")
    except ToolMissing as error:
        pytest.skip(str(error))
    async with harness.registry(tmp_path) as host:
        yield host
