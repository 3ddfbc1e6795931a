"""Build the families that are not in the cache: several at once, the long ones first.

One build at a time works on a cache; a second one waits for it and then finds its results.
"""

import contextlib
import fcntl
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import FrameType

from tests.tools import cache, golang, recipe
from tests.tools.families import Family
from tests.tools.progress import Progress
from tests.tools.running import GoFailed, Runner

# Each family has times when it uses one core or none (modules are fetched, a large program is
# linked); a second family fills them. More only makes each of them wait longer.
AT_ONCE = 2


class BuildFailed(RuntimeError):
    """A family could not be built."""

    def __init__(self, family: Family, error: GoFailed | OSError) -> None:
        super().__init__(family.name)
        self.family = family
        self.lines = error.lines if isinstance(error, GoFailed) else [str(error)]


def missing(families: Sequence[Family], toolchain: golang.Toolchain) -> list[Family]:
    """Return those that are not in the cache, the long ones first."""
    absent = [family for family in families if not cache.entry(family, toolchain).is_dir()]
    return sorted(absent, key=lambda family: -family.seconds)


def build(families: Sequence[Family], toolchain: golang.Toolchain) -> None:
    """Build what is missing of FAMILIES. Raises BuildFailed for the first that fails.

    After a failure nothing new is started; what runs is stopped.
    """
    with _lock():
        cache.remove_leftovers()
        wanted = missing(families, toolchain)  # another run may have built some meanwhile
        runner = Runner()
        with _stopped_by_signals(runner), Progress(len(wanted)) as progress:
            _build(wanted, toolchain, runner, progress)


def _build(
    wanted: Sequence[Family], toolchain: golang.Toolchain, runner: Runner, progress: Progress
) -> None:
    def one(family: Family) -> None:
        progress.started(family.name, [name for name, _ in family.tools])
        try:
            recipe.build(
                family, toolchain, runner, lambda phrase: progress.doing(family.name, phrase)
            )
        except (GoFailed, OSError) as error:
            progress.finished(family.name, "stopped" if runner.stopped else "failed")
            raise BuildFailed(family, error) from error
        progress.finished(family.name)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        running: set[Future[None]] = set()
        waiting = list(wanted)
        try:
            while waiting or running:
                while waiting and len(running) < AT_ONCE:
                    running.add(pool.submit(one, waiting.pop(0)))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        except BaseException:
            runner.stop()
            raise


def clean(toolchain: golang.Toolchain) -> list[Path]:
    """Remove entries that no family names with its present key. Returns what was removed."""
    if not cache.tools_root().is_dir():
        return []
    with _lock():
        old = cache.stale(toolchain)
        for path in old:
            # Renamed first: an entry that is there must be whole.
            doomed = path.with_name(f"{cache.TEMPORARY}{path.name}")
            if path.name.startswith(cache.TEMPORARY):
                doomed = path
            else:
                path.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)
    return old


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """Hold the build lock of this cache; it ends with the process, however that ends."""
    root = cache.tools_root()
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        began = time.monotonic()
        said = -1.0
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                elapsed = time.monotonic() - began
                if said < 0 or elapsed - said >= 10:  # noqa: PLR2004 - as the heartbeat
                    said = elapsed
                    print(f"tools: another build is running; waiting, {elapsed:.0f} s", flush=True)
                time.sleep(0.2)
            else:
                break
        yield


@contextlib.contextmanager
def _stopped_by_signals(runner: Runner) -> Iterator[None]:
    """Make SIGTERM and SIGINT stop the compilers too, and leave the cache without half a build."""

    def stop(number: int, _frame: FrameType | None) -> None:
        runner.stop()
        raise KeyboardInterrupt(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
