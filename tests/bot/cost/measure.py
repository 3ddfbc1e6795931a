"""One run at so many cores: a bot in one server, then one in many; each figure into its row."""

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bot.integration.servers import Servers
from tests.loop.bench.table import Row, say
from tests.servers.keyvault.harness import VAULT_URL
from tests.servers.keyvault.harness import running as key_vault

from .bot import Bot, running
from .cgroup import Cgroup
from .crowd import LONG_ANSWER, Crowd
from .place import MANY, Place
from .runtime import Runtime

LOADS = {1: 60, 5: 200, 20: 300}  # messages at each rate: enough for a percentile, and to settle
_FIRST_QUESTIONS = 10  # a second, one in each server
_STREAMED_RATE, _STREAMED = 5, 200  # a second, and in all: answers of 5 s
_IN_TIME = 5.0  # seconds for a whole answer
_FIRST_TRIED, _HIGHEST = 16, 32  # messages a second; Discord takes 50 requests, two for each
_TRIAL_SECONDS = 30  # so long that what is too much has piled up
MOST = f"most a second for {_TRIAL_SECONDS} s, all whole in {_IN_TIME:.0f} s"
ASKED = "resident memory idle, after Key Vault was asked"
FIRST_WORDS = f"first words after first token at {_STREAMED_RATE}/s"
REQUESTS = "requests for an answer of 5 s, most"
REFUSED = "429s from Discord during these"
_IMPORTS = """
import time
began = time.process_time()
import bot.app
print(time.process_time() - began)
began = time.process_time()
from openai import AsyncOpenAI, DefaultAioHttpClient
print(time.process_time() - began)
"""


class Measurement:
    """The rows for one bound of the CPU, filled run by run; `targets` by the rows' names."""

    def __init__(
        self, runtime: Runtime, cores: float, stand_ins: Cgroup, targets: Mapping[str, str]
    ) -> None:
        self._runtime = runtime
        self._cores = cores
        self._stand_ins = stand_ins
        self._targets = targets
        self.rows: dict[str, Row] = {}

    async def run(self, one: Place, many: Place) -> None:
        """Measure everything once. Raises Broke."""
        cgroup = Cgroup.make("bot", self._cores)
        try:
            with TemporaryDirectory() as name:
                files = Path(name)
                self._imports(cgroup, files)
                with running(self._runtime, one.servers, files / "one", cgroup) as bot:
                    await self._start(bot, "1 server")
                with running(self._runtime, many.servers, files / "many", cgroup) as bot:
                    await self._start(bot, f"{MANY} servers")
                    await self._first(many.crowd)
                    for per_second in LOADS:
                        await self._load(bot, many.crowd, per_second)
                    await self._first_words(many.crowd)
                    await self._most(many.crowd)
                await self._vaulted(many.servers, files, cgroup)
        finally:
            cgroup.remove()

    async def run_first_words(self, many: Place) -> None:
        """Measure the first words alone. Raises Broke."""
        cgroup = Cgroup.make("bot", self._cores)
        try:
            with (
                TemporaryDirectory() as name,
                running(self._runtime, many.servers, Path(name), cgroup) as bot,
            ):
                await bot.ready()
                await self._first(many.crowd)
                await self._first_words(many.crowd)
        finally:
            cgroup.remove()

    def _put(self, what: str, unit: str, figure: float) -> None:
        row = self.rows.setdefault(what, Row(what, unit, self._targets.get(what, "")))
        row.figures.append(figure)

    def _imports(self, cgroup: Cgroup, files: Path) -> None:
        done = subprocess.run(
            cgroup.within(*self._runtime.command(files, "-c", _IMPORTS)),
            cwd=self._runtime.cwd,
            env=dict(self._runtime.environment),
            check=True,
            capture_output=True,
            text=True,
        )
        login, model = (1000 * float(word) for word in done.stdout.split())
        self._put("CPU time of imports before the login", "ms", login)
        self._put("CPU time of the model client's, after it", "ms", model)
        say(f"imports: {login:.0f} ms of CPU time, and {model:.0f} ms after the login")

    async def _start(self, bot: Bot, where: str) -> None:
        seconds = await bot.ready()
        logged_in = bot.logged_in()
        memory = await bot.at_rest()
        self._put(f"start to READY, {where}", "s", logged_in)
        self._put(f"start to /readyz, {where}", "s", seconds)
        self._put(f"resident memory idle, {where}", "MiB", memory)
        say(f"{where}: READY {logged_in:.2f} s, /readyz {seconds:.2f} s, idle {memory:.1f} MiB")

    async def _vaulted(self, servers: Servers, files: Path, cgroup: Cgroup) -> None:
        """Measure a pod on Azure: 20 s after its start, and each hour, it asks Key Vault."""
        secrets = {"discord-token": servers.token, "openai-api-key": servers.key}
        async with key_vault(files, secrets) as azure:
            where = {**azure.environment, **azure.workload}
            where["SKY_CREDENTIALS__KEYVAULT_URL"] = VAULT_URL
            with running(self._runtime, servers, files, cgroup, **where) as bot:
                await bot.ready()
                await bot.knows_the_vault()
                asking = bot.memory_of_all()
                await bot.alone()
                memory = await bot.at_rest()
        self._put("resident memory of all, while Key Vault is asked", "MiB", asking)
        self._put(ASKED, "MiB", memory)
        say(f"{MANY} servers, Key Vault asked: {asking:.1f} MiB, then idle {memory:.1f} MiB")

    async def _first(self, crowd: Crowd) -> None:
        """Ask once in each place: the bot reads there what was said before, as after each start."""
        load = await crowd.ask(MANY, _FIRST_QUESTIONS)
        name = "event to OpenAI request, first in a channel"
        self._put(f"{name}, p50", "ms", load.reaction(50))
        self._put(f"{name}, p99", "ms", load.reaction(99))
        say(f"first in each channel, {_FIRST_QUESTIONS}/s: {load}")

    async def _load(self, bot: Bot, crowd: Crowd, per_second: int) -> None:
        bot.forget_peak()
        began, used, others = time.monotonic(), bot.cpu_seconds(), self._stand_ins.cpu_seconds()
        load = await crowd.ask(LOADS[per_second], per_second)
        each = 1000 * (bot.cpu_seconds() - used) / max(1, len(load.answers))
        busy = (self._stand_ins.cpu_seconds() - others) / (time.monotonic() - began)
        self._put(f"event to OpenAI request, p50 at {per_second}/s", "ms", load.reaction(50))
        self._put(f"event to OpenAI request, p99 at {per_second}/s", "ms", load.reaction(99))
        self._put(f"CPU time per answered message at {per_second}/s", "ms", each)
        self._put(f"resident memory, peak at {per_second}/s", "MiB", bot.peak())
        say(f"{per_second}/s: {load}, {each:.1f} ms of CPU time each, peak {bot.peak():.1f} MiB")
        say(f"  stand-ins and people: {busy:.0%} of a core")

    async def _first_words(self, crowd: Crowd) -> None:
        load = await crowd.ask(_STREAMED, _STREAMED_RATE, LONG_ANSWER)
        each = load.all_requests / max(1, len(load.answers))
        for name, percentile in (("min", 0), ("p50", 50), ("p99", 99), ("max", 100)):
            self._put(f"{FIRST_WORDS}, {name}", "ms", load.first_word(percentile))
        self._put(REQUESTS, "", max(load.requests, default=0))
        self._put("all requests for an answer of 5 s, mean", "", each)
        self._put(REFUSED, "", load.refused)
        first, last = load.first_word(50), load.first_word(99)
        say(f"answers of 5 s, {_STREAMED_RATE}/s: {load}")
        say(f"  first words p50 {first:.0f} ms, p99 {last:.0f} ms; {each:.1f} requests each,")
        say(f"  {max(load.requests, default=0)} at most; {load.refused} with a 429")

    async def _most(self, crowd: Crowd) -> None:
        """Find the highest rate at which each answer is whole in time, by halving."""
        holds, fails = 0, _HIGHEST + 1
        rate = _FIRST_TRIED
        while fails - holds > 1:
            load = await crowd.ask(rate * _TRIAL_SECONDS, rate)
            good = load.within(_IN_TIME) == load.asked
            say(f"{rate}/s: {load}: {'holds' if good else 'too many'}")
            holds, fails = (rate, fails) if good else (holds, rate)
            rate = (holds + fails) // 2
        self._put(MOST, "1/s", holds)
