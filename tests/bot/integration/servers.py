"""The Discord and OpenAI test servers as processes, on free ports of this machine."""

import secrets
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.openai.launch import START_SECONDS, environment
from tests.servers.openai.launch import Running as OpenAIRunning
from tests.servers.openai.launch import running as openai_running
from tests.servers.ports import free_port

from .process import LOOK, REPOSITORY

_BOT_ID = 1_456_000_000_000_000_001


def new_token() -> str:
    """Make up a token of Discord's form."""
    head = urlsafe_b64encode(str(_BOT_ID).encode()).decode().rstrip("=")
    return f"{head}.{secrets.token_urlsafe(5)[:6]}.{secrets.token_urlsafe(29)[:38]}"


@dataclass(frozen=True)
class DiscordRunning:
    """Where the Discord test server is."""

    api_url: str
    gateway_url: str
    control_url: str
    log: Path


@contextmanager
def discord_running(directory: Path, token: str) -> Iterator[DiscordRunning]:
    """Run the Discord test server with a seeded world; stops it at the end."""
    token_file = directory / "accepted-token"
    token_file.write_text(token)
    listen, control = (f"127.0.0.1:{free_port()}" for _ in range(2))
    addresses = ["--listen", listen, "--control", control, "--token-file", str(token_file)]
    log = directory / "discord.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.discord", "--seed", *addresses],
            cwd=REPOSITORY,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**environment(), "PYTHONUNBUFFERED": "1"},
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "control:" not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The Discord test server did not start: {log.read_text()}")
            time.sleep(LOOK)
        gateway = f"ws://{listen}/gateway"
        yield DiscordRunning(f"http://{listen}/api/v10", gateway, f"http://{control}", log)
    finally:
        process.terminate()
        process.wait(10)


@dataclass(frozen=True)
class Servers:
    """Both, and the credentials that they accept."""

    discord: DiscordRunning
    openai: OpenAIRunning
    token: str
    key: str


@contextmanager
def servers(directory: Path) -> Iterator[Servers]:
    """Run both; stops them at the end."""
    token = new_token()
    with discord_running(directory, token) as discord, openai_running(directory) as openai:
        yield Servers(discord, openai, token, openai.key_file.read_text().strip())
