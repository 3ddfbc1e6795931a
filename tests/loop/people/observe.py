"""Watch a deploy travel through the loop's cluster: policy, Git revision, apply, pod.

The demo prints what it sees here, the benchmarks time it, the tests assert it. Everything comes
from watches on the API server; nothing is polled.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

import httpx2
import lightkube
from lightkube.generic_resource import create_namespaced_resource
from lightkube.resources.core_v1 import Pod

FLUX = "flux-system"
BOT = "discord-sky"

ImageRepository = create_namespaced_resource(
    "image.toolkit.fluxcd.io", "v1", "ImageRepository", "imagerepositories"
)
ImagePolicy = create_namespaced_resource(
    "image.toolkit.fluxcd.io", "v1", "ImagePolicy", "imagepolicies"
)
ImageUpdateAutomation = create_namespaced_resource(
    "image.toolkit.fluxcd.io", "v1", "ImageUpdateAutomation", "imageupdateautomations"
)
GitRepository = create_namespaced_resource(
    "source.toolkit.fluxcd.io", "v1", "GitRepository", "gitrepositories"
)
Kustomization = create_namespaced_resource(
    "kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations"
)


class NotSeen(Exception):
    """Something did not happen in time: `what`; the log of the process `part` may say why."""

    def __init__(self, what: str, part: str, seconds: float) -> None:
        super().__init__(f"not seen within {seconds:.0f} s: {what}")
        self.what = what
        self.part = part


@dataclass(frozen=True)
class PodSeen:
    """One pod of the bot: what it runs and its state, in Kubernetes' terms."""

    name: str
    image: str
    node: str = ""
    address: str = ""
    sandbox: bool = False  # its volumes are mounted, and its network is there
    started: bool = False
    ready: bool = False
    leaving: bool = False
    waiting: str = ""
    uid: str = ""
    restarts: int = 0  # of the container in this pod
    ended: str = ""  # why the container's last run ended


@dataclass(frozen=True)
class Seen:
    """The cluster at one moment, as far as a deploy is concerned."""

    scan_interval: str = ""  # how often the registry is asked
    scanned: tuple[str, ...] = ()  # the newest tags that the last scan found
    excluded: tuple[str, ...] = ()  # expressions of the tags that the last scan left out
    tag: str = ""  # the image policy's latest tag
    pushed: str = ""  # the newest commit of the image update automation
    revision: str = ""  # the commit that source-controller has fetched
    applied: str = ""  # the commit whose bot manifests were applied and became Ready
    failure: str = ""  # why the bot's Kustomization is not Ready
    pods: dict[str, PodSeen] = field(default_factory=dict)

    @property
    def ready(self) -> list[PodSeen]:
        """The pods that are Ready and stay."""
        return [pod for pod in self.pods.values() if pod.ready and not pod.leaving]

    def running(self, tag: str) -> PodSeen | None:
        """Return a Ready pod that runs TAG and is not on its way out."""
        return next(
            (
                pod
                for pod in self.pods.values()
                if f":{tag}@" in pod.image and pod.ready and not pod.leaving
            ),
            None,
        )


def _commit(revision: str | None) -> str:
    """Take the commit out of Flux's `main@sha1:<commit>`."""
    return (revision or "").rpartition(":")[2]


def _pod(pod: Pod) -> PodSeen:
    assert pod.metadata is not None
    assert pod.metadata.name is not None
    assert pod.spec is not None
    statuses = (pod.status.containerStatuses if pod.status else None) or []
    conditions = (pod.status.conditions if pod.status else None) or []
    state = statuses[0].state if statuses else None
    last = statuses[0].lastState if statuses else None
    return PodSeen(
        name=pod.metadata.name,
        image=pod.spec.containers[0].image or "",
        node=pod.spec.nodeName or "",
        address=(pod.status.podIP if pod.status else None) or "",
        sandbox=any(
            one.type == "PodReadyToStartContainers" and one.status == "True" for one in conditions
        ),
        started=bool(state and state.running),
        ready=bool(statuses and statuses[0].ready),
        leaving=pod.metadata.deletionTimestamp is not None,
        waiting=(state.waiting.reason or "") if state and state.waiting else "",
        uid=pod.metadata.uid or "",
        restarts=statuses[0].restartCount if statuses else 0,
        ended=(last.terminated.reason or "") if last and last.terminated else "",
    )


def _failure(status: dict[str, Any]) -> str:
    ready = next((c for c in status.get("conditions", []) if c["type"] == "Ready"), None)
    return str(ready["message"]) if ready and ready["status"] == "False" else ""


class Observer:
    """Holds the newest Seen and lets tasks wait for a condition on it. An async context manager."""

    def __init__(self, kubeconfig: str) -> None:
        self._config = lightkube.KubeConfig.from_file(kubeconfig)
        self.now = Seen()
        self._changed = asyncio.Condition()
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        group = await self._exit.enter_async_context(asyncio.TaskGroup())
        self._tasks = [
            group.create_task(watch())
            for watch in (
                self._repositories,
                self._policies,
                self._automations,
                self._sources,
                self._kustomizations,
                self._pods,
            )
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await self._exit.__aexit__(kind, error, trace)

    def pod(self) -> PodSeen:
        """Return the Ready pod; of several the one that was seen first. Raises NotSeen."""
        if not self.now.ready:
            raise NotSeen("a Ready pod of the bot", "kubelet", 0)
        return self.now.ready[0]

    async def until(
        self,
        what: str,
        part: str,
        holds: Callable[[Seen], bool],
        seconds: float = 60,
    ) -> float:
        """Wait until HOLDS is true of what is seen; return the time (monotonic) when it was.

        WHAT and PART name, for people, what is waited for and the process whose log would say why
        it does not come. Raise NotSeen with both after SECONDS.
        """
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: holds(self.now))
        except TimeoutError:
            raise NotSeen(what, part, seconds) from None
        return time.monotonic()

    async def _update(self, **changes: Any) -> None:
        async with self._changed:
            self.now = replace(self.now, **changes)
            self._changed.notify_all()

    async def _watch(self, kind: Any, namespace: str) -> AsyncIterator[tuple[str, Any]]:
        """Yield (ADDED | MODIFIED | DELETED, object) for ever; what exists comes first as ADDED.

        The API server may go away: restarting it is one of the tests. The watch then starts over,
        and each beginning yields ("BEGIN", None).
        """
        while True:
            yield "BEGIN", None
            client = lightkube.AsyncClient(self._config, namespace=namespace, trust_env=False)
            try:
                async for event in client.watch(kind, namespace=namespace):
                    yield event
            except (httpx2.HTTPError, lightkube.ApiError):  # away, or without its etcd
                await asyncio.sleep(0.2)
            finally:
                await client.close()

    async def _objects(self, kind: Any) -> AsyncIterator[Any]:
        async for event, flux_object in self._watch(kind, FLUX):
            if event in {"ADDED", "MODIFIED"}:
                yield flux_object

    async def _repositories(self) -> None:
        async for repository in self._objects(ImageRepository):
            status = repository.status or {}
            await self._update(
                scan_interval=repository.spec["interval"],
                scanned=tuple((status.get("lastScanResult") or {}).get("latestTags") or ()),
                excluded=tuple(status.get("observedExclusionList") or ()),
            )

    async def _policies(self) -> None:
        async for policy in self._objects(ImagePolicy):
            latest = (policy.status or {}).get("latestRef") or {}
            await self._update(tag=latest.get("tag", ""))

    async def _automations(self) -> None:
        async for automation in self._objects(ImageUpdateAutomation):
            await self._update(pushed=(automation.status or {}).get("lastPushCommit", ""))

    async def _sources(self) -> None:
        async for source in self._objects(GitRepository):
            artifact = (source.status or {}).get("artifact") or {}
            await self._update(revision=_commit(artifact.get("revision")))

    async def _kustomizations(self) -> None:
        async for kustomization in self._objects(Kustomization):
            if kustomization.metadata.name == BOT:
                status = kustomization.status or {}
                await self._update(
                    applied=_commit(status.get("lastAppliedRevision")), failure=_failure(status)
                )

    async def _pods(self) -> None:
        async for kind, pod in self._watch(Pod, BOT):
            pods = dict(self.now.pods)
            match kind:
                case "BEGIN":
                    pods.clear()
                case "DELETED":
                    pods.pop(pod.metadata.name, None)
                case _:
                    pods[pod.metadata.name] = _pod(pod)
            await self._update(pods=pods)
