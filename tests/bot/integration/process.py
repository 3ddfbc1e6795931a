"""The bot as the operator runs it: `python -m bot`, a process with an environment and a log."""

import asyncio
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.servers.ports import free_port

REPOSITORY = Path(__file__).parents[3]
# The checkout whose bot is tested: an older one shows whether a test would have failed then.
BOT_CHECKOUT = Path(os.environ.get("SKY_BOT_CHECKOUT") or REPOSITORY)
READY_SECONDS = 60.0  # as all waits here: on a busy machine, too
STOP_SECONDS = 30.0  # as terminationGracePeriodSeconds
LOOK = 0.02
# What a process of the bot has beside its settings: nothing of the developer's own environment, but
# what `make coverage` hands to each process.
BARE_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_PROCESS_")},
}


@dataclass
class BotProcess:
    """One run of the bot. Its log is kept in `log`, whole, for the test that fails."""

    environment: dict[str, str]
    log: Path
    port: int = field(default_factory=free_port)
    program: tuple[str, ...] = ("-m", "bot")
    folder: Path = BOT_CHECKOUT  # with the bot's code
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; a run that was stopped may be started again and adds to the same log."""
        http = {"SKY_HTTP__HOST": "127.0.0.1", "SKY_HTTP__PORT": str(self.port)}
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, *self.program],
                cwd=self.folder,
                env={**BARE_ENVIRONMENT, **http, **self.environment},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def terminate(self) -> None:
        """Send SIGTERM, as the kubelet does."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End it at once if it still runs, for the end of a test."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def ended(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for its end; gives the exit code, raises TimeoutExpired."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, seconds)

    async def get(self, path: str) -> tuple[int, str]:
        """Ask the probes' port; status 0 where nobody listens."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(f"http://127.0.0.1:{self.port}{path}") as response,
            ):
                return response.status, await response.text()
        except aiohttp.ClientConnectionError as error:
            return 0, str(error)

    async def probe(self, path: str, status: int, seconds: float = READY_SECONDS) -> str:
        """Wait until a probe answers with `status`; gives its text."""
        seen: tuple[int, str] = (0, "")
        try:
            async with asyncio.timeout(seconds):
                while self.running:
                    seen = await self.get(path)
                    if seen[0] == status:
                        return seen[1]
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            pass
        raise AssertionError(f"{path} gave {seen} and not {status}; log:\n{self.tail()}")

    async def ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until it is Ready."""
        await self.probe("/readyz", 200, seconds)

    async def metric(self, name: str, **labels: str) -> float:
        """Give a metric's value, added up over the series that have these labels."""
        _, text = await self.get("/metrics")
        return sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if re.match(rf"discord_sky_{name}(\{{|\s)", line)
            and all(f'{key}="{value}"' in line for key, value in labels.items())
        )

    async def until_metric(
        self, name: str, least: float, seconds: float = READY_SECONDS, **labels: str
    ) -> None:
        """Wait until a metric has come to `least`."""
        seen = 0.0
        try:
            async with asyncio.timeout(seconds):
                while (seen := await self.metric(name, **labels)) < least:  # noqa: ASYNC110 - HTTP
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            raise AssertionError(f"{name} came to {seen} and not to {least}") from None

    def lines(self) -> list[dict[str, Any]]:
        """Give the log; a line that is not JSON fails the test that asks."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    async def logged(
        self, message: str, seconds: float = READY_SECONDS, **fields: str
    ) -> dict[str, Any]:
        """Wait for a log line whose message contains `message`, with these fields."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for line in self.lines():
                        if message in line["message"] and fields.items() <= line.items():
                            return line
                    await asyncio.sleep(LOOK)
        except TimeoutError:
            raise AssertionError(f"no line {message!r} in:\n{self.tail()}") from None

    def tail(self, lines: int = 60) -> str:
        """Give the log's end, to show with a failure."""
        return "\n".join(self.log.read_text().splitlines()[-lines:])
