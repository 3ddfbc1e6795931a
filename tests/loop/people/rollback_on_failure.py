"""What the workflow `rollback-on-failure` does on GitHub, for the events that Flux dispatches here.

    python -m tests.loop.people.rollback_on_failure    for each event, until Ctrl-C

It runs the program that the workflow runs (`release rollback-failed`), in a clone of its own, for
the types of event that the workflow names. The loop does not start it by itself, as the alert is
off until somebody turns it on.
"""

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.loop.people.merge import ROOT, release
from tests.loop.supervisor import state

WORKFLOW = ROOT / ".github/workflows/rollback-on-failure.yaml"
_LOOK = 0.25  # seconds between looks into the folder
# In the loop everything is minutes old; without this each image would be passed over.
_PROVEN = ("--proven", "0")


def event_types() -> list[str]:
    """Return the types of event that start the workflow."""
    workflow: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text())
    found: list[str] = workflow[True]["repository_dispatch"]["types"]  # YAML 1.1 reads `on` so
    return found


class RollbackOnFailure:
    """A clone for the workflow's runs, the events that came, and what each run said."""

    def __init__(
        self,
        url: str = state.GIT_URL,
        folder: Path = state.STATE / "rollback-on-failure",
        events: Path = state.GITHUB_EVENTS,
    ) -> None:
        self._folder = folder
        self._events = events
        self._done = set(self.events())  # those of before are nobody's business
        self.said: list[str] = []
        if not (folder / ".git").exists():
            shutil.rmtree(folder, ignore_errors=True)
            clone = ["git", "clone", "--quiet", "--no-checkout", url, str(folder)]
            subprocess.run(clone, check=True, capture_output=True)

    def events(self) -> list[Path]:
        """List the events that Flux dispatched, oldest first."""
        return sorted(self._events.glob("*.json"))

    async def run(self, event: Path) -> str:
        """Run the program for one event; return what it said."""
        arguments = ("rollback-failed", "--event", str(event), *_PROVEN)
        said = await asyncio.to_thread(release, self._folder, *arguments)
        self.said.append(said)
        return said

    @asynccontextmanager
    async def at_each_event(
        self, tell: Callable[[str], None] = lambda _: None
    ) -> AsyncIterator[None]:
        """Within the block, run it for each event that comes."""
        types = event_types()

        async def follow() -> None:
            while True:
                for event in self.events():
                    if event not in self._done and json.loads(event.read_text())["action"] in types:
                        tell(await self.run(event))
                    self._done.add(event)
                await asyncio.sleep(_LOOK)

        following = asyncio.create_task(follow())
        try:
            yield
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following


async def _main() -> None:
    async with RollbackOnFailure().at_each_event(print):
        await asyncio.Event().wait()


def main() -> int:
    """Follow the events."""
    try:
        state.load()
    except state.LoopDown as error:
        sys.stderr.write(f"{error}\n")
        return 1
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
    return 0


if __name__ == "__main__":
    sys.exit(main())
