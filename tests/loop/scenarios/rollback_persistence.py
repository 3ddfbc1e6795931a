"""A bump that a person reverted, and everything that could bring it back."""

import asyncio
import time
from dataclasses import dataclass

from release.history import Deployed

from tests.loop.cluster import nudge
from tests.loop.people.observe import NotSeen
from tests.loop.people.releases import Releases, Said
from tests.loop.supervisor import control

FORCED_RUNS = 3
RESTARTED = (
    "source-controller",
    "kustomize-controller",
    "image-reflector-controller",
    "image-automation-controller",
    "notification-controller",
)


class CameBack(NotSeen):
    """A tag that a person reverted was selected, written or run again."""


@dataclass(frozen=True)
class Stayed:
    """How it went, in seconds."""

    reverted: float  # `git revert` pushed, to the older image Ready
    quiet: float  # forced runs, restarts and the wait: so long was the tag seen nowhere
    newer: float  # the next merge's tag pushed, to it Ready


async def stays_out(releases: Releases, tag: str, seconds: float) -> None:
    """Watch for SECONDS that nothing selects, writes or runs TAG. Raises CameBack."""

    def back() -> bool:
        now = releases.seen.now
        return (
            now.tag == tag
            or Said.by(now.revision).deployed.tag == tag
            or any(f":{tag}@" in pod.image and not pod.leaving for pod in now.pods.values())
        )

    try:
        await releases.seen.until(
            f"{tag} comes back", "image-automation-controller", lambda _: back(), seconds
        )
    except NotSeen:
        return
    raise CameBack(f"{tag} stays out", "image-automation-controller", seconds)


async def disturb(releases: Releases) -> None:
    """Force the automation to run three times, and restart each controller."""
    for _ in range(FORCED_RUNS):
        await nudge.scan(releases.api)
        await nudge.automate(releases.api)
    for name in RESTARTED:
        await asyncio.to_thread(control.restart, name)
    await nudge.automate(releases.api)


async def revert_stays(releases: Releases, seconds: float) -> Stayed:
    """Deploy, revert the automation's commit, disturb, watch for SECONDS, deploy the next merge.

    The guard runs at each push, as its workflow does, and nobody does anything else. A merge of
    before the revert, whose image was built, gets its tag in the middle of it. Raises CameBack.
    """
    early = await releases.merge()
    await releases.run(early, tag=False)
    before = (await releases.settle()).deployed
    bad = await releases.deploy()
    bump = await releases.bumped(bad.tag)
    async with releases.guard.at_each_push(releases.seen):
        began = time.monotonic()
        await releases.revert(bump)
        ready = await releases.running(before.tag)
        await _still(releases, before)
        quiet = await _watch(releases, bad, early, seconds)
        await _still(releases, before)
        newer = await releases.merge()
        await releases.run(newer, tag=False)
        tagged = time.monotonic()
        image = await releases.run(newer)
        running = await releases.running(image.tag)
        await releases.agree()
    return Stayed(ready - began, quiet, running - tagged)


async def _still(releases: Releases, before: Deployed) -> None:
    """Raise CameBack unless everything agrees on BEFORE."""
    said = await releases.agree()
    if said.deployed != before:
        what = f"{before.tag} stays, not {said.deployed.tag}"
        raise CameBack(what, "image-automation-controller", 0)


async def _watch(releases: Releases, bad: Deployed, early: str, seconds: float) -> float:
    """Return how long neither BAD nor the image of EARLY, which arrives now, was seen."""
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(stays_out(releases, bad.tag, seconds))
        late = await releases.run(early)
        group.create_task(stays_out(releases, late.tag, seconds))
        await disturb(releases)
        await watch
    await nudge.automate(releases.api)
    return time.monotonic() - began
