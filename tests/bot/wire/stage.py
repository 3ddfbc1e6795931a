"""A stage: Discord's and OpenAI's stand-ins and the bot, each a process of its own."""

import os
import secrets
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.loop.openai_server.launch import Running as OpenAIRunning
from tests.loop.openai_server.launch import running as openai_running

from .process import LOOK, REPOSITORY, BotProcess, free_port

START_SECONDS = 15
_BOT_ID = 1_456_000_000_000_000_001

# Quick where production is patient: the wait for a provider that says nothing, and retries.
QUICK = {"SKY_OPENAI__SILENCE_SECONDS": "1.5", "SKY_OPENAI__ATTEMPTS": "2"}


def new_token() -> str:
    """Make up a token of Discord's form."""
    head = urlsafe_b64encode(str(_BOT_ID).encode()).decode().rstrip("=")
    return f"{head}.{secrets.token_urlsafe(5)[:6]}.{secrets.token_urlsafe(29)[:38]}"


class Mounted:
    """A credential in a directory as the kubelet mounts it: links, swapped in one step."""

    def __init__(self, directory: Path, name: str, value: str | None) -> None:
        directory.mkdir()
        self._directory = directory
        self._versions = count(1)
        self.path = directory / name
        self.value = ""
        self.all_values: list[str] = []
        if value is not None:
            self.swap(value)

    def swap(self, value: str) -> None:
        """Put a new value in place, with the trailing newline that people leave there."""
        self.value = value
        self.all_values.append(value)
        version = self._directory / f"..{next(self._versions)}"
        version.mkdir()
        (version / self.path.name).write_text(value + "\n")
        fresh = self._directory / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.replace(self._directory / "..data")
        if not self.path.is_symlink():
            self.path.symlink_to(Path("..data") / self.path.name)


@dataclass(frozen=True)
class DiscordRunning:
    """Where Discord's stand-in is."""

    api_url: str
    gateway_url: str
    control_url: str
    log: Path


@contextmanager
def discord_running(directory: Path, token: str) -> Iterator[DiscordRunning]:
    """Run Discord's stand-in with a seeded world; stops it at the end."""
    token_file = directory / "accepted-token"
    token_file.write_text(token)
    listen, control = (f"127.0.0.1:{free_port()}" for _ in range(2))
    addresses = ["--listen", listen, "--control", control, "--token-file", str(token_file)]
    log = directory / "discord.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.loop.discord_server", "--seed", *addresses],
            cwd=REPOSITORY,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "control:" not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Discord's stand-in did not start: {log.read_text()}")
            time.sleep(LOOK)
        gateway = f"ws://{listen}/gateway"
        yield DiscordRunning(f"http://{listen}/api/v10", gateway, f"http://{control}", log)
    finally:
        process.terminate()
        process.wait(10)


@dataclass(frozen=True)
class Stage:
    """The three processes, what they were given, and where their files are."""

    discord: DiscordRunning
    openai: OpenAIRunning
    bot: BotProcess
    token: Mounted
    api_key: Mounted
    accepted_token: str
    accepted_key: str
    said: list[str] = field(default_factory=list)

    def logs(self) -> str:
        """Give the ends of all three logs, for a failure's report."""
        others = [
            (each.name, each.read_text()[-2000:]) for each in (self.discord.log, self.openai.log)
        ]
        return "\n".join(
            f"--- {name}\n{text}" for name, text in [*others, ("bot", self.bot.tail())]
        )


@contextmanager
def stage(
    directory: Path, *, token: str = "", key: str = "", start: str = "bot", **settings: str
) -> Iterator[Stage]:
    """Set a stage; `token` and `key` are what the bot is given where it is not what is accepted.

    "-" leaves the credential's file out; `start=""` leaves the bot to be started by the story.
    `settings` are further variables of the environment.
    """
    accepted = new_token()
    with discord_running(directory, accepted) as discord, openai_running(directory) as openai:
        accepted_key = openai.key_file.read_text().strip()
        mounted = Mounted(directory / "discord", "discord-token", _given(token, accepted))
        api_key = Mounted(directory / "openai", "openai-api-key", _given(key, accepted_key))
        environment = {
            "SKY_DISCORD__API_URL": discord.api_url,
            "SKY_DISCORD__GATEWAY_URL": discord.gateway_url,
            "SKY_DISCORD__TOKEN_FILE": str(mounted.path),
            "SKY_OPENAI__BASE_URL": openai.url,
            "SKY_OPENAI__API_KEY_FILE": str(api_key.path),
            **QUICK,
            **settings,
        }
        bot = BotProcess(environment, directory / "bot.log")
        if start:
            bot.start()
        try:
            yield Stage(discord, openai, bot, mounted, api_key, accepted, accepted_key)
        finally:
            bot.kill()


def _given(chosen: str, accepted: str) -> str | None:
    return None if chosen == "-" else chosen or accepted
