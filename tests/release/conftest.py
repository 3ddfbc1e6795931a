"""Fixtures of the release tests: a clone, and the real registry program on a port of its own."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from release.registry import Registry

from tests.release.clone import Clone
from tests.tools import registry_process, tool


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """An empty repository."""
    return Clone.new(tmp_path / "clone")


@pytest.fixture(scope="session")
def registry_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of a running registry."""
    with registry_process.running(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture
def registry(registry_address: str, request: pytest.FixtureRequest) -> Registry:
    """A repository in the registry, one for each test."""
    name = request.node.name.lower().replace("[", "-").replace("]", "")
    return Registry(f"{registry_address}/{name}", crane=str(tool("crane")), insecure=True)


@pytest.fixture
def push(registry: Registry, tmp_path: Path) -> Callable[[str, str], str]:
    """A function that pushes an image with that content under a tag and returns its digest."""

    def push_image(content: str, tag: str) -> str:
        layer = tmp_path / "layer.tar"
        with tarfile.open(layer, "w") as tar:
            data = content.encode()
            info = tarfile.TarInfo("content")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        reference = f"{registry.repository}:{tag}"
        subprocess.run(
            [registry.crane, "append", "--insecure", "-f", str(layer), "-t", reference],
            check=True,
            capture_output=True,
        )
        digest = registry.digest(tag)
        assert digest is not None
        return digest

    return push_image


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what repeats the random histories."""
    if random_histories := sys.modules.get("tests.release.test_random_histories"):
        terminalreporter.write_line(
            f"rollback guard: {random_histories.HISTORIES} random histories for each property; "
            f"RELEASE_SEED={random_histories.SEED} repeats them"
        )
