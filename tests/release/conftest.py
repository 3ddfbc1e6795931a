"""Fixtures of the release tests: a clone, and the real registry program on a port of its own."""

import io
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from release.registry import Registry

from tests.release.clone import Clone
from tests.servers.ports import free_port
from tests.tools import tool

CONFIG = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
log: {{level: error, accesslog: {{disabled: true}}}}
"""


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """An empty repository."""
    return Clone.new(tmp_path / "clone")


@pytest.fixture(scope="session")
def registry_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of a running registry."""
    root = tmp_path_factory.mktemp("registry")
    port = free_port()
    config = root / "config.yaml"
    config.write_text(CONFIG.format(root=root / "data", port=port))
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(
            [tool("registry"), "serve", str(config)], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait(f"http://127.0.0.1:{port}/v2/", process)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - an http:// URL of our own
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail("the registry did not start")


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
