"""One supervised process: started, watched, started again when it ends unasked."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.loop.supervisor import state

# systemd starts a service again after 0.1 s; a loop that crashes at once need not burn a core.
_BACKOFF_FIRST, _BACKOFF_LAST = 0.2, 10.0
_STEADY = 30.0  # after so many seconds of life the backoff starts over
_POLL_FIRST, _POLL_LAST = 0.02, 0.25


@dataclass(frozen=True)
class Spec:
    """How one process is started, and how to see that it serves.

    `ready` is asked until it says yes; it must not raise and should answer within a second.
    `needs` names what has to be ready before the first start.
    """

    name: str
    argv: tuple[str | Path, ...]
    ready: Callable[[], Awaitable[bool]]
    needs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


class Child:
    """A process under supervision; its output goes to a file in LOGS.

    `on_change` is called at each change of its state, with a reason in words.
    """

    def __init__(
        self,
        spec: Spec,
        base: Mapping[str, str],
        logs: Path,
        on_change: Callable[["Child", str], None],
    ) -> None:
        self.spec = spec
        self.log = logs / f"{spec.name}.log"
        self.state = "stopped"
        self.pid = 0
        self.ticks = 0
        self.started = 0.0
        self.restarts = 0  # those nobody asked for
        self.last_exit = ""
        self.patience = 5.0  # seconds from TERM to KILL
        self._environment = {**base, **spec.environment}
        self._on_change = on_change
        self._wanted = asyncio.Event()
        self._wake = asyncio.Event()  # cuts a backoff short
        self._ready = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._task: asyncio.Task[None] | None = None

    def picture(self) -> state.Process:
        """What loop.json says of it."""
        return state.Process(
            name=self.spec.name,
            state=self.state,
            pid=self.pid,
            ticks=self.ticks,
            started=self.started,
            restarts=self.restarts,
            last_exit=self.last_exit,
        )

    async def start(self) -> None:
        """Start it, if it does not run, and wait until it is ready."""
        self._wanted.set()
        self._wake.set()
        if self._task is None:
            self._task = asyncio.create_task(self._keep(), name=self.spec.name)
        await self._ready.wait()

    async def ready(self) -> None:
        """Wait until it is ready; for ever, when it is stopped."""
        await self._ready.wait()

    async def stop(self) -> None:
        """End it and keep it down: TERM, and KILL when it does not listen."""
        self._wanted.clear()
        self._wake.set()
        if not self._ended.is_set():
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)  # a frozen process does not hear the first
            try:
                async with asyncio.timeout(self.patience):
                    await self._ended.wait()
            except TimeoutError:
                self.signal(signal.SIGKILL)
                await self._ended.wait()

    async def kill(self) -> None:
        """End it as a crash would; it is started again by itself."""
        if not self._ended.is_set():
            self.signal(signal.SIGKILL)
            await self._ended.wait()

    async def lose(self) -> None:
        """End it as the loss of its machine would, and keep it down."""
        self._wanted.clear()
        self._wake.set()
        await self.kill()

    async def close(self) -> None:
        """Watch no longer. For a process that is stopped."""
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task})

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, not to what it has started."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def _keep(self) -> None:
        pause = _BACKOFF_FIRST
        while True:
            await self._wanted.wait()
            await self._run()
            if not self._wanted.is_set():
                self._change("stopped", "stopped on request")
                continue
            self.restarts += 1
            pause = _BACKOFF_FIRST if time.time() - self.started > _STEADY else pause
            self._change("crashed", f"{self.last_exit}; started again in {pause:.1f} s")
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            if not self._wanted.is_set():
                self._change("stopped", "stopped on request")
            pause = min(pause * 2, _BACKOFF_LAST)

    async def _run(self) -> None:
        """Start the process and return when it has ended."""
        self.started = time.time()
        try:
            process = self._launch()
        except OSError as error:
            self.last_exit = f"could not be started: {error.strerror} ({self.spec.argv[0]})"
            return
        self.pid = process.pid
        self.ticks = state.start_ticks(process.pid)
        self._ended.clear()
        self._change("starting", f"pid {process.pid}")
        watcher = asyncio.create_task(self._become_ready())
        await _exit_of(process)
        watcher.cancel()
        self.last_exit = _in_words(process.returncode)
        self.pid = self.ticks = 0
        self._ready.clear()
        self._ended.set()

    def _launch(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [str(word) for word in self.spec.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,  # a Ctrl-C in the terminal is not for it
            )

    async def _become_ready(self) -> None:
        """Ask until it serves. There is no event to wait for: a port opens without a word."""
        pause = _POLL_FIRST
        while not await self.spec.ready():
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _POLL_LAST)
        self._ready.set()
        self._change("ready", f"ready after {time.time() - self.started:.1f} s")

    def _change(self, state_now: str, why: str) -> None:
        self.state = state_now
        self._on_change(self, why)


async def _exit_of(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of PROCESS by its pidfd, so nothing polls and no thread waits."""
    descriptor = os.pidfd_open(process.pid)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    process.wait()


def _in_words(code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"ended with {code}"


def environment(loop_id: str) -> dict[str, str]:
    """Return what every process of the loop sees: nothing of the terminal that started it.

    A proxy setting of the person's, for one, would send the kubelet to the proxy.
    """
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(state.STATE / "home"),
        "TMPDIR": str(state.STATE / "tmp"),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        state.MARKER: loop_id,
    }


def python(module: str, *arguments: str | Path) -> tuple[str | Path, ...]:
    """Return the command line of a stand-in: a module run by this Python, as its children are."""
    return (sys.executable, "-m", module, *arguments)
