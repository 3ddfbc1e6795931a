"""People, the image workflow and the guard on one loop, and waiting until they all agree.

Shared by the tests of issue "Releases that never rebuild" and by `make bench`.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from lightkube import ApiError, AsyncClient
from release.history import Deployed
from release.manifests import IMAGE_REPOSITORY, KUSTOMIZATION, deployed, excluded, with_deployed

from tests.loop.cluster import git_server, kube, nudge
from tests.loop.cluster.relabel import NoBuild, Relabel
from tests.loop.people.editions import Editions
from tests.loop.people.guard import Guard
from tests.loop.people.merge import Builds, Clone, Image, ImageWorkflow
from tests.loop.people.observe import BOT, NotSeen, Observer
from tests.loop.supervisor import state

REPOSITORY = f"{state.REGISTRY}/discordskybot"
_LONG = 120.0
_ROUNDS = 5


@dataclass(frozen=True)
class Said:
    """What one commit of main declares: which image to run, and what must not run."""

    deployed: Deployed
    excluded: tuple[str, ...]

    @classmethod
    @cache
    def by(cls, commit: str) -> Self:
        """Read it from the loop's repository itself, without a clone."""
        shown = [
            git_server.git("--git-dir", state.GIT_REPOSITORY, "show", f"{commit}:{path}")
            for path in (KUSTOMIZATION, IMAGE_REPOSITORY)
        ]
        image = deployed(shown[0])
        assert image is not None
        return cls(image, tuple(excluded(shown[1])))


@cache
def _is_ancestor(commit: str, of: str) -> bool:
    base = git_server.git("--git-dir", state.GIT_REPOSITORY, "merge-base", commit, of)
    return base == commit


class Releases:
    """What a developer can do, and what can be waited for. `start` gives one that is settled."""

    def __init__(self, seen: Observer, api: AsyncClient, builder: Builds) -> None:
        self.seen = seen
        self.api = api
        self.guard = Guard()
        self.clone = Clone(state.GIT_URL, state.STATE / "workspace")
        self.workflow = ImageWorkflow(self.clone, state.REGISTRY, lambda _: None, builder)

    @classmethod
    def beside(cls, seen: Observer, api: AsyncClient, image: str) -> Self:
        """Give releases on a loop that runs IMAGE (a digest in it), which is only relabelled."""
        return cls(seen, api, Relabel(f"{REPOSITORY}@{image.rpartition('@')[2]}"))

    async def merge(self) -> str:
        """Merge a change of the bot's code; return the merge commit. No image exists yet."""
        name = uuid.uuid4().hex[:8]

        def edit(tree: Path) -> None:
            (tree / "bot" / f"change_{name}.txt").write_text("A change of the image's inputs.\n")

        return await asyncio.to_thread(self.clone.merge, f"Change {name}", edit)

    async def run(self, commit: str, builder: Builds | None = None, *, tag: bool = True) -> Image:
        """Run the image workflow for COMMIT; with tag=False, all of it but the tag."""
        workflow = self.workflow
        if builder is not None:
            workflow = ImageWorkflow(self.clone, state.REGISTRY, lambda _: None, builder)
        return await asyncio.to_thread(lambda: workflow.run(commit, tag=tag))

    async def revert(self, commit: str) -> str:
        """`git revert` and push; return the new commit."""
        return await asyncio.to_thread(self.clone.revert, commit)

    async def set_by_hand(self, to: Deployed) -> str:
        """Write another tag and digest into main, as a person with an editor does."""

        def edit(tree: Path) -> None:
            file = tree / KUSTOMIZATION
            file.write_text(with_deployed(file.read_text(), to))

        return await asyncio.to_thread(self.clone.edit, f"Deploy {to.tag}", edit)

    async def said(self) -> Said:
        """Return what main says now."""
        return await asyncio.to_thread(lambda: Said.by(self.clone.head()))

    async def deploy(self) -> Deployed:
        """Merge a change, and wait until it runs and everything agrees."""
        image = await self.run(await self.merge())
        await self.running(image.tag)
        return (await self.agree()).deployed

    async def running(self, tag: str, seconds: float = _LONG) -> float:
        """Wait until a Ready pod runs TAG; return the time (monotonic) when it did."""
        return await self.seen.until(
            f"a Ready pod runs {tag}",
            "kubelet",
            lambda now: now.running(tag) is not None,
            seconds,
        )

    async def bumped(self, tag: str, after: str = "") -> str:
        """Wait for a commit of the automation's, newer than AFTER, that deploys TAG; return it."""
        await self.seen.until(
            f"the automation has committed {tag}",
            "image-automation-controller",
            lambda now: now.pushed not in {"", after} and Said.by(now.pushed).deployed.tag == tag,
        )
        return self.seen.now.pushed

    async def fetched(self, commit: str) -> None:
        """Wait until source-controller has COMMIT, or something newer."""
        what = f"Flux fetches {commit[:7]}"

        def holds() -> bool:
            return _is_ancestor(commit, self.seen.now.revision)

        await self.seen.until(what, "source-controller", lambda _: holds())

    async def agree(self, seconds: float = _LONG) -> Said:
        """Wait, forcing nothing, until main, the policy and the one pod that runs are the same.

        The cluster's exclusion list is main's by then, and the registry was scanned with it.
        """

        def holds() -> bool:
            now = self.seen.now
            if not now.revision:
                return False
            said = Said.by(now.revision)
            pod = now.running(said.deployed.tag)
            return (
                set(now.excluded) == set(said.excluded)
                and now.tag == said.deployed.tag
                and now.applied == now.revision
                and pod is not None
                and pod.image == f"{REPOSITORY}:{said.deployed.tag}@{said.deployed.digest}"
                and len(now.pods) == 1
            )

        while True:
            what = "main, the image policy and what runs agree"
            await self.seen.until(what, "kustomize-controller", lambda _: holds(), seconds)
            head = await asyncio.to_thread(self.clone.head)
            if head == self.seen.now.revision and holds():
                return Said.by(head)
            await self.fetched(head)

    async def settle(self) -> Said:
        """Run the guard, and let everything run until nothing changes any more."""
        for _ in range(_ROUNDS):
            await self.guard.run()
            said = await self.agree()
            head = self.seen.now.revision
            await nudge.scan(self.api)
            await nudge.automate(self.api)
            quiet = not await self.guard.run()
            if quiet and head == await asyncio.to_thread(self.clone.head):
                return said
        raise NotSeen(f"quiet after {_ROUNDS} runs of the guard", "image-automation-controller", 0)


async def _selected(api: AsyncClient) -> bool:
    """Whether an image was ever selected: on a new loop nothing is in the registry."""
    try:
        policy = await api.get(kube.ImagePolicy, BOT, namespace=state.FLUX_NAMESPACE)
    except ApiError:
        return False  # a loop so new that Flux has not applied it yet
    return "latestRef" in (policy.status or {})


@asynccontextmanager
async def start() -> AsyncIterator[Releases]:
    """Watch the loop; see that an image runs which was built, and that everything agrees."""
    async with Observer(str(state.KUBECONFIG)) as seen, kube.async_client() as api:
        if not await _selected(api):
            editions = Editions(seen)
            await editions.prepare()
            await editions.ready((await editions.run(await editions.merge())).tag)
        releases = Releases(seen, api, NoBuild())
        said = await releases.settle()
        image = f"{REPOSITORY}@{said.deployed.digest}"
        releases.workflow = ImageWorkflow(
            releases.clone, state.REGISTRY, lambda _: None, Relabel(image)
        )
        yield releases
