"""The daemon that starts every process of the loop, watches it and starts it again.

`up` runs it in a session of its own: `python -m tests.loop.supervisor.supervisor`, with the lock
and one end of a pipe. It tells its progress through the pipe and its log, rewrites loop.json at
each change, and answers requests on a socket (control.py). TERM ends it and all it started.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.loop.cluster import git_server
from tests.loop.supervisor import bring_up, control, network, process, state

_PATIENCE = 240.0  # for the whole start; a loaded machine needs 40 s
_CRASHES_ALLOWED = 2  # of one process, while the loop starts
_LOG_LINES = 15
_LAST_PATIENCE = 2.0  # from TERM to KILL when all goes down: nothing has to be saved


class Crashing(RuntimeError):
    """A process does not stay up; the message has its last words."""


class Supervisor:
    """The processes, and what is said about them."""

    def __init__(self, checkout: Path, left_out: frozenset[str], progress: int) -> None:
        self._progress = progress
        self.stop = asyncio.Event()
        self._crashing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.children: dict[str, process.Child] = {}
        self._loop = state.Loop(
            id=os.environ[state.MARKER],
            checkout=checkout,
            phase="starting",
            supervisor=os.getpid(),
            supervisor_ticks=state.start_ticks(os.getpid()),
            started=time.time(),
            left_out=left_out,
            processes={},
        )

    def say(self, text: str) -> None:
        """Tell the log, and the `up` that waits, if it still does."""
        now = time.strftime("%H:%M:%S")
        print(f"{now} {text}", flush=True)
        self._tell({"say": text})

    async def run(self) -> int:
        """Bring the loop up, keep it up, take its processes down; return the exit code."""
        state.write(self._loop)
        try:
            revision = await self._bring_up()
        except (bring_up.StepFailed, Crashing, TimeoutError) as error:
            self.say(f"The loop did not come up: {error}")
            await self._take_down()
            self._tell({"end": 1})
            return 1
        if not self.stop.is_set():
            self._note(phase="up", revision=revision)
            self.say(f"The loop is up: Flux fetched {revision}")
            self._tell({"end": 0})
            os.close(self._progress)
            self._progress = -1
            await self.stop.wait()
        self.say("The loop goes down")
        await self._take_down()
        return 0

    async def _bring_up(self) -> str:
        """Return the revision; empty when the loop is stopped meanwhile."""
        try:
            bring_up.prepare()
            git_server.seed(self._loop.checkout)
        except (OSError, network.CommandFailed, git_server.SeedFailed) as error:
            raise bring_up.StepFailed(f"while preparing: {error}") from error
        base = process.environment(self._loop.id)
        for spec in bring_up.specs(self._loop.left_out):
            self.children[spec.name] = process.Child(spec, base, state.LOGS, self._changed)
        await control.serve(self.children)
        self._note()
        walk = asyncio.create_task(bring_up.walk(self.children, self.say))
        stop = asyncio.create_task(self.stop.wait())
        waits: set[asyncio.Future[object]] = {walk, stop, self._crashing}  # type: ignore[arg-type]  # only waited for
        try:
            done, _ = await asyncio.wait(
                waits, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise TimeoutError(f"not ready after {_PATIENCE:.0f} s: {self._unready()}")
            if self._crashing.done():
                self._crashing.result()
            return _first_error(walk) if walk.done() else ""
        finally:
            for task in (walk, stop):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    def _unready(self) -> str:
        """Name what is not ready, with the end of its log."""
        late = [child for child in self.children.values() if child.state != "ready"]
        started = [child for child in late if child.pid]
        names = ", ".join(child.spec.name for child in late) or "the node or Flux's first fetch"
        return "\n".join([names, *(tail(child.log) for child in started)])

    def _changed(self, child: process.Child, why: str) -> None:
        if child.state == "crashed":
            self.say(f"{child.spec.name} {why}")
            starting = self._loop.phase == "starting"
            if starting and child.restarts > _CRASHES_ALLOWED and not self._crashing.done():
                self._crashing.set_exception(
                    Crashing(f"{child.spec.name} {child.last_exit}\n{tail(child.log)}")
                )
        elif self._loop.phase == "up":
            self.say(f"{child.spec.name} {child.state}: {why}")
        self._note()

    def _note(self, **changes: str) -> None:
        pictures = {name: child.picture() for name, child in self.children.items()}
        self._loop = dataclasses.replace(self._loop, processes=pictures, **changes)  # type: ignore[arg-type]  # phase and revision
        state.write(self._loop)

    def _tell(self, line: dict[str, object]) -> None:
        if self._progress >= 0:
            # A terminal that is gone, or does not read, is no reason to stop or to wait.
            with contextlib.suppress(OSError):
                os.write(self._progress, json.dumps(line).encode() + b"\n")

    async def _take_down(self) -> None:
        """End every process; etcd last, so the others can still end in order."""
        self._note(phase="stopping")
        for child in self.children.values():
            child.patience = _LAST_PATIENCE
        others = [child for name, child in self.children.items() if name != "etcd"]
        await asyncio.gather(*(child.stop() for child in others))
        if "etcd" in self.children:
            await self.children["etcd"].stop()


def _first_error(walk: asyncio.Task[str]) -> str:
    """Return the result of WALK, or raise the first of the errors that ended it."""
    try:
        return walk.result()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


def tail(log: Path, lines: int = _LOG_LINES) -> str:
    """Return the end of a log, indented, under its name."""
    try:
        last = log.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        last = []
    return "\n".join([f"the last lines of {log}:", *(f"    {line}" for line in last)])


async def _main(arguments: argparse.Namespace) -> int:
    left_out = frozenset(filter(None, arguments.without.split(",")))
    supervisor = Supervisor(arguments.checkout, left_out, arguments.progress)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop.set)
    return await supervisor.run()


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, required=True)
    parser.add_argument("--without", default="")
    parser.add_argument("--progress", type=int, required=True, help="the pipe to write to")
    parser.add_argument("--lock", type=int, required=True, help="the bound socket to keep open")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for descriptor in (arguments.progress, arguments.lock):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - of the library
    os.set_blocking(arguments.progress, False)
    return asyncio.run(_main(arguments))


if __name__ == "__main__":
    sys.exit(main())
