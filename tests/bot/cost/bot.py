"""The bot under measurement: a process in a cgroup, and its figures as the kernel has them."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import aiohttp

from tests.bot.integration.environment import Mounted
from tests.bot.integration.servers import Servers
from tests.servers.ports import free_port

from .cgroup import Cgroup
from .runtime import Runtime

_START_SECONDS = 60.0
_LOOK = 0.1  # seconds: a probe costs the bot a millisecond
_SETTLED = 0.2  # MiB by which resident memory still moves when it is at rest
_MIB = 2**20
_LOOKED = re.compile(r'discord_sky_keyvault_requests_total{operation="look",outcome="ok".*} 1')


class Broke(Exception):
    """The bot did not do what is measured; the message holds the end of its log."""


@dataclass(frozen=True)
class Bot:
    """One run of the bot. Seconds are since the process was started."""

    process: subprocess.Popen[bytes]
    cgroup: Cgroup
    log: Path
    port: int
    began: float

    async def ready(self) -> float:
        """Wait until /readyz says so; gives the seconds that it took."""
        url = f"http://127.0.0.1:{self.port}/readyz"
        async with aiohttp.ClientSession() as session:
            while time.time() - self.began < _START_SECONDS and self.process.poll() is None:
                await asyncio.sleep(_LOOK)
                try:
                    async with session.get(url) as response:
                        if response.status == 200:  # noqa: PLR2004  HTTP
                            return time.time() - self.began
                except aiohttp.ClientError:
                    continue
        raise Broke(f"the bot was not Ready in time:\n{self.log.read_text()[-2000:]}")

    def logged_in(self) -> float:
        """Tell when READY came, by the bot's log."""
        for line in map(json.loads, self.log.read_text().splitlines()):
            if line["message"] == "gateway ready":
                return datetime.fromisoformat(line["time"]).timestamp() - self.began
        raise Broke(f"the bot did not log in:\n{self.log.read_text()[-2000:]}")

    def cpu_seconds(self) -> float:
        """Give the CPU time of all that ran in its cgroup."""
        return self.cgroup.cpu_seconds()

    def memory(self) -> float:
        """Give resident memory now, in MiB."""
        return self._memory("VmRSS")

    def peak(self) -> float:
        """Give the most resident memory there was since `forget_peak`, in MiB."""
        return self._memory("VmHWM")

    def _memory(self, name: str, pid: int | None = None) -> float:
        status = Path(f"/proc/{pid or self.process.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        if found is None:
            raise Broke(f"the bot ended:\n{self.log.read_text()[-2000:]}")
        return int(found[1]) * 1024 / _MIB

    async def knows_the_vault(self) -> None:
        """Wait until it has asked Key Vault about both secrets."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        async with aiohttp.ClientSession() as session, asyncio.timeout(_START_SECONDS):
            while True:
                await asyncio.sleep(1)
                async with session.get(url) as response:
                    if len(_LOOKED.findall(await response.text())) == 2:  # noqa: PLR2004  secrets
                        return

    def memory_of_all(self) -> float:
        """Give what was resident at most of each process in its cgroup, added up, in MiB."""
        return sum(self._memory("VmHWM", pid) for pid in self.cgroup.processes())

    async def alone(self) -> None:
        """Wait until no other process runs in its cgroup."""
        async with asyncio.timeout(_START_SECONDS):
            while self.cgroup.processes() != [self.process.pid]:  # noqa: ASYNC110  # the kernel's
                await asyncio.sleep(1)

    async def at_rest(self, seconds: float = 3.0) -> float:
        """Give resident memory once it no longer moves."""
        before = self.memory()
        while True:
            await asyncio.sleep(seconds)
            now = self.memory()
            if abs(now - before) < _SETTLED:
                return now
            before = now

    def forget_peak(self) -> None:
        """Let the most memory there was be counted from now on."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


@contextmanager
def running(
    runtime: Runtime, servers: Servers, files: Path, cgroup: Cgroup, **settings: str
) -> Iterator[Bot]:
    """Run the bot with the servers' credentials in FILES; it is ended at the end.

    `settings` are further variables of its environment.
    """
    files.mkdir(exist_ok=True)
    port = free_port()
    environment = {
        "SKY_DISCORD__API_URL": servers.discord.api_url,
        "SKY_DISCORD__GATEWAY_URL": servers.discord.gateway_url,
        "SKY_DISCORD__TOKEN_FILE": str(Mounted(files / "token", "token", servers.token).path),
        "SKY_OPENAI__BASE_URL": servers.openai.url,
        "SKY_OPENAI__API_KEY_FILE": str(Mounted(files / "key", "key", servers.key).path),
        "SKY_HTTP__HOST": "127.0.0.1",
        "SKY_HTTP__PORT": str(port),
    }
    log = files / "bot.observability.log"
    began = time.time()
    with log.open("wb") as out:
        process = subprocess.Popen(
            cgroup.within(*runtime.command(files, "-m", "bot")),
            cwd=runtime.cwd,
            env={**runtime.environment, **environment, **settings},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Bot(process, cgroup, log, port, began)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
