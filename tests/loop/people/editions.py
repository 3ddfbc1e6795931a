"""Distinguishable merges: each gives the bot's default persona another edition number.

The demo, the benchmarks and the tests merge these. A user who asks the bot who it is hears the
number, because the OpenAI stand-in answers that question with the persona's first sentence.
"""

import asyncio
import contextlib
import datetime
import re
from pathlib import Path

import lightkube
from lightkube.types import PatchType

from tests.loop.cluster.images import Say
from tests.loop.people.merge import Clone, Image, ImageWorkflow
from tests.loop.people.observe import BOT, FLUX, ImageRepository, NotSeen, Observer, PodSeen
from tests.loop.supervisor import state

PERSONA = "bot/personas/persona.py"
_EDITION = re.compile(r"You are Sky(?: \(edition (\d+)\))?")
_LONG = 120.0
_FIRST_LOOK = 3.0  # seconds until the watches have told the list of cases


def _silent(_text: str) -> None:
    """Say nothing."""


def edition(text: str) -> int:
    """Return which edition of the default persona TEXT holds; 0 where it says none."""
    found = _EDITION.search(text)
    if found is None:
        raise NotSeen(f"the sentence that begins with 'You are Sky' in {PERSONA}", "git", 0)
    return int(found[1] or 0)


class Editions:
    """A developer who merges editions, and the image workflow that follows each merge."""

    def __init__(self, seen: Observer, say: Say = _silent) -> None:
        self.clone = Clone(state.GIT_URL, state.STATE / "workspace")
        self.workflow = ImageWorkflow(self.clone, state.REGISTRY, say)
        self._seen = seen

    async def prepare(self) -> None:
        """Make what the first build needs."""
        await asyncio.to_thread(self.workflow.prepare)

    async def number(self) -> int:
        """Return the edition that main has."""
        return edition(await asyncio.to_thread(self.clone.text, PERSONA))

    async def merge(self) -> str:
        """Merge the next edition; return the merge commit. No image exists yet."""
        number = await self.number() + 1

        def edit(tree: Path) -> None:
            source = tree / PERSONA
            changed = _EDITION.sub(f"You are Sky (edition {number})", source.read_text(), count=1)
            source.write_text(changed)

        title = f"Sky introduces herself as edition {number}"
        return await asyncio.to_thread(self.clone.merge, title, edit)

    async def run(self, commit: str, *, tag: bool = True) -> Image:
        """Run the image workflow for COMMIT; with tag=False, all of it but the tag."""
        image = await asyncio.to_thread(lambda: self.workflow.run(commit, tag=tag))
        if tag and not self._seen.now.tag:
            await self._scan_now()
        return image

    async def _scan_now(self) -> None:
        """Do what `flux reconcile image repository` does.

        Until the first image is pushed, a scan of the registry fails, and Flux waits longer and
        longer between its tries (up to 15 minutes).
        """
        config = lightkube.KubeConfig.from_file(str(state.KUBECONFIG))
        client = lightkube.AsyncClient(config, namespace=FLUX, trust_env=False)
        now = datetime.datetime.now(datetime.UTC).isoformat()
        wish = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": now}}}
        await client.patch(ImageRepository, BOT, wish, patch_type=PatchType.MERGE)
        await client.close()

    async def build(self, commit: str) -> Image:
        """Put COMMIT's image into the registry without the tag that deploys it."""
        return await self.run(commit, tag=False)

    async def tag(self, commit: str) -> str:
        """Put the tag that deploys it on COMMIT's image, which is there; return the tag."""
        return (await self.run(commit)).tag

    async def ready(self, tag: str, seconds: float = _LONG) -> float:
        """Wait until a Ready pod runs TAG; return the time (monotonic) when it did."""
        return await self._seen.until(
            f"a Ready pod runs {tag}",
            "kubelet",
            lambda now: now.running(tag) is not None,
            seconds,
        )

    async def settled(self) -> None:
        """Wait until the last rollout's old pod is gone and Flux is content."""
        await self._seen.until(
            "one pod is left, and the bot's Kustomization is Ready",
            "kustomize-controller",
            lambda now: len(now.pods) == 1 and not now.failure,
            _LONG,
        )


async def deployed(seen: Observer) -> PodSeen:
    """Return the one Ready pod that runs main's image; merge an edition if none runs yet."""
    editions = Editions(seen)
    with contextlib.suppress(NotSeen):
        await seen.until("a Ready pod", "kubelet", lambda now: bool(now.ready), _FIRST_LOOK)
    if not seen.now.ready:
        await editions.prepare()
        await editions.ready((await editions.run(await editions.merge())).tag)
    await editions.settled()
    return seen.now.ready[0]
