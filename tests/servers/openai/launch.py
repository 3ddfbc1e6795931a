"""Starts the server as a process on free ports, for tests of the server and the bot."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
LINE = re.compile(r"listening on (\S+), control on (\S+)")
START_SECONDS = 30  # for a busy machine; a server that exits is noticed at once
STOP_SECONDS = 10


def environment() -> dict[str, str]:
    """Return a test server's environment: `make coverage` measures only the bot."""
    return {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE_")}


@dataclass(frozen=True)
class Running:
    """The addresses of a running server."""

    url: str  # ends in /v1
    control_url: str
    key_file: Path
    log: Path


@contextmanager
def running(directory: Path) -> Iterator[Running]:
    """Run a server with its files in `directory`; stop it at the end."""
    log = directory / "openai.log"
    key_file = directory / "openai-keys"
    command = [sys.executable, "-m", "tests.servers.openai", "--key-file", str(key_file)]
    free = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, *free],
            cwd=REPOSITORY,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment(),
        )
    try:
        url, control_url = _addresses(process, log)
        yield Running(url, control_url, key_file, log)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _addresses(process: subprocess.Popen[bytes], log: Path) -> tuple[str, str]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = LINE.search(log.read_text())
        if found:
            return found[1], found[2]
        time.sleep(0.02)
    raise RuntimeError(f"The OpenAI test server did not start: {log.read_text()}")
