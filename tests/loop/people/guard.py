"""The rollback guard on the loop: what the `rollback-guard` workflow does, without GitHub.

    python -m tests.loop.people.guard            run it once, as a workflow that was started by hand
    python -m tests.loop.people.guard --follow   at each push to main, until Ctrl-C

It is the program that the workflow calls (`release guard`), in a clone of its own, and it pushes to
the loop's Git like everybody else. The loop does not start it by itself, because a skipped run is
one of the things to try.
"""

import argparse
import asyncio
import contextlib
import math
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.loop.people.merge import release
from tests.loop.people.observe import Observer
from tests.loop.supervisor import state

_NOTHING = "nothing to do"


class Guard:
    """A clone for the guard alone, and the runs in it."""

    def __init__(self, url: str = state.GIT_URL, folder: Path = state.STATE / "guard") -> None:
        self._folder = folder
        self._turn = asyncio.Lock()  # runs in one clone would share FETCH_HEAD
        if not (folder / ".git").exists():
            shutil.rmtree(folder, ignore_errors=True)
            clone = ["git", "clone", "--quiet", "--no-checkout", url, str(folder)]
            subprocess.run(clone, check=True, capture_output=True)

    async def run(self) -> str:
        """Run it once; return what it said, or "" when there was nothing to do."""
        async with self._turn:
            said = await asyncio.to_thread(release, self._folder, "guard")
        return "" if said.startswith(_NOTHING) else said

    @asynccontextmanager
    async def at_each_push(
        self, seen: Observer, tell: Callable[[str], None] = lambda _: None
    ) -> AsyncIterator[None]:
        """Within the block, run it whenever main has moved, and once at the beginning."""

        async def follow() -> None:
            while True:
                revision = seen.now.revision
                if said := await self.run():
                    tell(said)
                await _moved(seen, revision)

        following = asyncio.create_task(follow())
        try:
            yield
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following


async def _moved(seen: Observer, revision: str) -> None:
    """Wait until main is not at REVISION any more, however long that takes."""
    what = f"main moves on from {revision[:7]}"
    await seen.until(what, "source-controller", lambda now: now.revision != revision, math.inf)


async def _main(*, follow: bool) -> None:
    guard = Guard()
    if not follow:
        print(await guard.run() or _NOTHING)
        return
    async with Observer(str(state.KUBECONFIG)) as seen, guard.at_each_push(seen, print):
        await asyncio.Event().wait()


def main() -> int:
    """Run once, or follow main."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.loop.people.guard",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--follow", action="store_true", help="run at each push to main")
    try:
        state.load()
    except state.LoopDown as error:
        sys.stderr.write(f"{error}\n")
        return 1
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(follow=parser.parse_args().follow))
    return 0


if __name__ == "__main__":
    sys.exit(main())
