"""Supervision of one process, tried on small programs."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.loop.supervisor import readiness
from tests.loop.supervisor.process import Child, Spec

_SLEEPS = "import signal; print('hello', flush=True); signal.pause()"
_STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"
_ENDS = "print('no disk left', flush=True); raise SystemExit(3)"


@asynccontextmanager
async def _child(
    folder: Path, program: str, ready: readiness.Check = readiness.started
) -> AsyncIterator[tuple[Child, list[str]]]:
    """Supervise a Python program; yield it and the list of what is said about it."""
    said: list[str] = []
    spec = Spec("small", (sys.executable, "-c", program), ready)
    child = Child(
        spec, dict(os.environ), folder, lambda one, why: said.append(f"{one.state}: {why}")
    )
    try:
        yield child, said
    finally:
        await child.stop()
        await child.close()


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - many conditions, one helper
            await asyncio.sleep(0.01)


async def test_it_is_ready_when_the_check_says_so_and_not_before(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def open_gate() -> bool:
        return gate.is_set()

    async with _child(tmp_path, _SLEEPS, open_gate) as (child, said):
        starting = asyncio.create_task(child.start())
        await _until(lambda: child.state == "starting")
        assert not starting.done()

        gate.set()
        await starting

        assert child.state == "ready"
        assert said[0].startswith("starting: pid")
        await _until(lambda: child.log.read_text() == "hello\n")


async def test_a_crash_is_said_counted_and_mended(tmp_path: Path) -> None:
    async with _child(tmp_path, _SLEEPS) as (child, said):
        await child.start()
        first = child.pid

        await child.kill()
        await child.ready()

        assert child.pid != first
        assert (child.restarts, child.last_exit) == (1, "killed by SIGKILL")
        assert any(line.startswith("crashed: killed by SIGKILL") for line in said)


async def test_what_ends_by_itself_is_started_again_later_and_later(tmp_path: Path) -> None:
    async with _child(tmp_path, _ENDS) as (child, said):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.start(), 0.05)
        await _until(lambda: child.restarts >= 2)

        crashes = [line for line in said if line.startswith("crashed")]
        assert crashes[:2] == [
            "crashed: ended with 3; started again in 0.2 s",
            "crashed: ended with 3; started again in 0.4 s",
        ]
        assert child.log.read_text().startswith("no disk left\n")


async def test_what_is_stopped_stays_down_and_can_be_started(tmp_path: Path) -> None:
    async with _child(tmp_path, _SLEEPS) as (child, _):
        await child.start()

        await child.stop()
        await _until(lambda: child.state == "stopped")
        await child.start()

        assert child.state == "ready"
        assert child.restarts == 0


async def test_what_is_lost_hears_no_term_and_stays_down(tmp_path: Path) -> None:
    async with _child(tmp_path, _SLEEPS) as (child, said):
        await child.start()

        await child.lose()
        await _until(lambda: child.state == "stopped")

        assert child.last_exit == "killed by SIGKILL"
        assert child.restarts == 0
        assert not any(line.startswith("crashed") for line in said)
        await child.start()
        assert child.state == "ready"


async def test_what_does_not_listen_to_term_is_killed(tmp_path: Path) -> None:
    async with _child(tmp_path, _STUBBORN) as (child, _):
        child.patience = 0.1
        await child.start()
        await asyncio.sleep(0.2)  # until it ignores TERM

        await child.stop()

        assert child.pid == 0


async def test_a_frozen_process_can_be_stopped(tmp_path: Path) -> None:
    async with _child(tmp_path, _SLEEPS) as (child, _):
        await child.start()
        child.signal(signal.SIGSTOP)

        await child.stop()

        assert child.pid == 0


async def test_a_program_that_cannot_be_started_counts_as_a_crash(tmp_path: Path) -> None:
    said: list[str] = []
    spec = Spec("none", ("/nonexistent/program",), readiness.started)
    child = Child(spec, {}, tmp_path, lambda one, why: said.append(f"{one.state}: {why}"))

    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(child.start(), 0.1)
    await child.stop()
    await child.close()

    assert child.restarts >= 1
    assert "No such file" in said[0]
