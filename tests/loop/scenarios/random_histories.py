"""Random histories on the real loop: people, late images, lost races and skipped guard runs.

Only tags and digests matter here, so no image is built: see relabel.py. Every tag, commit, scan,
reconcile and rollout is real.
"""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from release.history import Deployed

from tests.loop.cluster import nudge
from tests.loop.people.account import Account, number
from tests.loop.people.guard import Guard
from tests.loop.people.merge import GitFailed, ReleaseFailed, release
from tests.loop.people.observe import NotSeen
from tests.loop.people.releases import Releases, Said
from tests.loop.supervisor import control, state

T = TypeVar("T")
STEPS = 10


class History:
    """One history; `told` says what happened, in order."""

    def __init__(self, releases: Releases, seed: int) -> None:
        self._on = releases
        self._random = random.Random(seed)
        self._start = ""
        self._merges: list[str] = []
        self._building: list[str] = []
        self._arrived: dict[int, Deployed] = {}
        self.told: list[str] = []

    async def live(self, steps: int = STEPS) -> Said:
        """Let STEPS things happen, then everything that is pending; check; return what runs."""
        self._start = await asyncio.to_thread(self._on.clone.head)
        for _ in range(2):
            await self.merge()
            await self.image_arrives()
        await self._quiet()
        for _ in range(steps):
            step = self._random.choice(_STEPS)
            await step(self)
        while self._building:
            await self.image_arrives()
        return await self._quiet()

    def _pick(self, options: Sequence[T]) -> T:
        return self._random.choice(options)

    def _tell(self, what: str) -> None:
        self.told.append(what)

    def _account(self) -> Account:
        return Account.since(self._start)

    # -- people

    async def merge(self) -> None:
        """Merge a change; its image is being built from now on."""
        commit = await self._on.merge()
        self._merges.append(commit)
        self._building.append(commit)
        self._tell(f"merge {commit[:7]}")

    async def revert_a_merge(self) -> None:
        """`git revert` of a merge; the image of before is found by its inputs."""
        if self._merges:
            commit = self._merges.pop(self._random.randrange(len(self._merges)))
            self._building.append(await self._on.revert(commit))
            self._tell(f"revert of the merge {commit[:7]}")

    async def _undo(self, commit: str) -> None:
        try:
            await self._on.revert(commit)
        except GitFailed as error:
            if "nothing to commit" not in str(error):
                raise
            self._tell(f"revert of {commit[:7]}, which changes nothing")
        else:
            self._tell(f"revert of {commit[:7]}: {(await self._on.said()).deployed.tag}")

    async def undo_a_move(self) -> None:
        """`git revert` of any commit that moved the tag; its way where it conflicts."""
        if moves := self._account().moves:
            await self._undo(self._pick(moves))

    async def undo_the_last(self) -> None:
        """`git revert` of the last commit that moved the tag, a person's or the automation's."""
        if moves := self._account().moves:
            await self._undo(moves[-1])

    async def edit(self) -> None:
        """Edit tag and digest by hand: any image that has arrived."""
        to = self._pick(list(self._arrived.values()))
        if to != (await self._on.said()).deployed:
            await self._on.set_by_hand(to)
            self._tell(f"{to.tag} set by hand")

    async def roll_back(self) -> None:
        """Use the `rollback` command."""
        try:
            await asyncio.to_thread(release, self._on.clone.folder, "rollback", "--last", "--yes")
        except ReleaseFailed as error:
            self._tell(f"rollback refused: {error}")
        else:
            self._tell(f"rollback to {(await self._on.said()).deployed.tag}")

    # -- chance

    async def image_arrives(self) -> None:
        """Let one of the builds end, not always the oldest."""
        if self._building:
            commit = self._building.pop(self._random.randrange(len(self._building)))
            image = await self._on.run(commit)
            arrived = Deployed(image.tag, image.digest)
            self._arrived[number(arrived)] = arrived
            self._tell(f"image {image.tag} arrives")

    async def automation_wins(self) -> None:
        """Go back, and let the automation run before Flux or any guard knows of it."""
        await self._pick([self.undo_the_last, self.roll_back])()
        await nudge.automate(self._on.api)
        self._tell(f"the automation runs first: {(await self._on.said()).deployed.tag}")

    async def restart(self) -> None:
        """Restart the image controllers."""
        for name in ("image-reflector-controller", "image-automation-controller"):
            await asyncio.to_thread(control.restart, name)
        self._tell("the image controllers restart")

    async def guard(self) -> None:
        """Run the guard; between two of these, its runs were skipped."""
        said = await self._on.guard.run()
        self._tell(f"guard: {said.splitlines()[0] if said else 'nothing to do'}")

    async def two_guards_and_a_push(self) -> None:
        """Push while two runs of the guard, in two clones, race for main."""
        other = Guard(folder=state.STATE / "guard-2")
        push = self._pick([self.merge, self.undo_the_last])
        await asyncio.gather(self._on.guard.run(), push(), other.run())
        self._tell("… while two guards ran")

    async def _quiet(self) -> Said:
        """Let a day pass: all agree, and nothing that a person reverted runs."""
        said = await self._on.settle()
        self._account().check(said, list(self._arrived))
        self._tell(f"quiet: {said.deployed.tag} runs")
        return said

    async def a_day_passes(self) -> None:
        """Let everything settle, and check."""
        await self._quiet()


# Each as often as it is drawn.
_STEPS: Sequence[Callable[[History], Awaitable[None]]] = [
    History.merge, History.merge, History.merge,
    History.image_arrives, History.image_arrives, History.image_arrives, History.image_arrives,
    History.revert_a_merge,
    History.undo_a_move, History.undo_a_move, History.undo_the_last, History.undo_the_last,
    History.edit, History.roll_back,
    History.automation_wins, History.automation_wins, History.restart,
    History.guard, History.guard, History.two_guards_and_a_push,
    History.a_day_passes,
]  # fmt: skip


class HistoryFailed(NotSeen):
    """A history did not end in what people asked for; the seed repeats it."""


async def live(releases: Releases, seed: int, steps: int = STEPS) -> History:
    """Live one history. Raises HistoryFailed with its seed and what happened in it."""
    history = History(releases, seed)
    try:
        await history.live(steps)
    except (AssertionError, NotSeen, GitFailed, ReleaseFailed, TimeoutError) as error:
        told = "\n  ".join(["", *history.told])
        what = f"what people asked for (LOOP_SEED={seed}): {error}{told}"
        part = getattr(error, "part", "image-automation-controller")
        raise HistoryFailed(what, part, 0) from error
    return history


def new_seed() -> int:
    """Return the environment's LOOP_SEED, or a random one."""
    return int(os.environ.get("LOOP_SEED") or random.SystemRandom().getrandbits(32))
