"""Images that must not be deployed: what makes them bad, and what happens while they roll out."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from lightkube.resources.core_v1 import Event

from tests.loop.cluster.images import Builder
from tests.loop.people.observe import BOT, FLUX
from tests.loop.people.releases import Releases
from tests.loop.scenarios.load import Outcome, messages

HANGS = ("/opt/venv/bin/python", "-c", "import time; time.sleep(3600)")  # an entry point
CRASHES = ("CrashLoopBackOff",)
PULL_FAILURES = ("ErrImagePull", "ImagePullBackOff")
WOULD_WAIT = 120.0  # seconds: progressDeadlineSeconds of apps/discord-sky/deployment.yaml
FAILED = "HealthCheckFailed"  # Flux's reason, of the condition and of the Event

_DEADLINE = "progressDeadlineSeconds:"
_MANIFEST = Path("apps/discord-sky/deployment.yaml")
_PACKAGE = Path("bot/__init__.py")
_CRASH = "raise SystemExit('a merge that should not have been')\n"
_MOST = 1000  # messages; they end when the fix is Ready
_PATIENCE = 60.0


@dataclass(frozen=True)
class Crash:
    """A crashing image under load; times in seconds."""

    load: Outcome
    waited: float  # the crashing image seen in its back-off, to the fix Ready
    fixed: float  # the fix's tag pushed, to the fix Ready


async def crash_under_messages(releases: Releases, per_second: float = 2) -> Crash:
    """Merge what crashes at its start, and then its revert, while people go on asking the bot."""

    def broken(tree: Path) -> None:
        with (tree / _PACKAGE).open("a") as file:
            file.write(_CRASH)

    enough = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        load = group.create_task(messages(_MOST, per_second, enough=enough))
        merge = await asyncio.to_thread(releases.clone.merge, "Crash at the start", broken)
        try:
            bad = await releases.run(merge, Builder(lambda _: None))
            await waiting(releases, bad.tag, CRASHES)
        finally:  # main is repaired, whatever was seen
            seen = time.monotonic()
            fix = await releases.revert(merge)
        await releases.run(fix, tag=False)
        tagged = time.monotonic()
        ready = await releases.running((await releases.run(fix)).tag)
        await releases.agree()
        enough.set()
    return Crash(load.result(), ready - seen, ready - tagged)


async def waiting(releases: Releases, tag: str, reasons: Collection[str]) -> None:
    """Wait until a container of TAG waits for one of these REASONS, in kubelet's words."""
    await releases.seen.until(
        f"a container of {tag} is in {' or '.join(reasons)}",
        "kubelet",
        lambda now: any(
            f":{tag}@" in pod.image and pod.waiting in reasons for pod in now.pods.values()
        ),
        _PATIENCE,
    )


async def failed(releases: Releases) -> tuple[str, str]:
    """Wait until Flux says that the bot's rollout has failed; return its condition and Event."""
    await releases.seen.until(
        "the bot's Kustomization is not Ready",
        "kustomize-controller",
        lambda now: bool(now.failure),
        _PATIENCE,
    )
    message = releases.seen.now.failure
    revision = releases.seen.now.revision
    async with asyncio.timeout(_PATIENCE):
        async for _, event in releases.api.watch(Event, namespace=FLUX):
            about = event.involvedObject
            if (about.kind, about.name, event.type) == (
                "Kustomization",
                BOT,
                "Warning",
            ) and revision in str(event.metadata.annotations or {}):
                return message, event.message or ""
    raise AssertionError("the watch on Events ended")


@asynccontextmanager
async def shorter_deadline(releases: Releases, seconds: int) -> AsyncIterator[None]:
    """Within the block a rollout has failed after SECONDS; a person merges it, and reverts it."""

    def shorten(tree: Path) -> None:
        file = tree / _MANIFEST
        lines = file.read_text().split("\n")
        [place] = [n for n, line in enumerate(lines) if line.strip().startswith(_DEADLINE)]
        lines[place] = f"{lines[place].partition(_DEADLINE)[0]}{_DEADLINE} {seconds}"
        file.write_text("\n".join(lines))

    commit = await asyncio.to_thread(releases.clone.merge, "A shorter deadline", shorten)
    await releases.agree()
    try:
        yield
    finally:
        await releases.revert(commit)
