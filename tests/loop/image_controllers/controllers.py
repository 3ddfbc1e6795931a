"""The three controllers in one process: what is watched, what is woken, what is written back."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime

import httpx2

from tests.loop.image_controllers import (
    log,
    reconcile_automation,
    reconcile_policy,
    reconcile_repository,
)
from tests.loop.image_controllers.cluster import KINDS, Cluster, Snapshot, merge_patch
from tests.loop.image_controllers.git import Git
from tests.loop.image_controllers.model import (
    Json,
    Key,
    Outcome,
    Subject,
    key_of,
    spec_of,
    status_of,
)
from tests.loop.image_controllers.reconcile_repository import TagStore
from tests.loop.image_controllers.registry import Registry
from tests.loop.image_controllers.wakeups import Wake, woken
from tests.loop.image_controllers.workqueue import WorkQueue


class Controllers:
    """Image reflection and image automation over one cluster."""

    def __init__(
        self,
        cluster: Cluster,
        registry: Registry,
        git: Git,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cluster = cluster
        self._registry = registry
        self._git = git
        self._clock = clock
        self._tags = TagStore()
        self._known: defaultdict[str, dict[Key, Json]] = defaultdict(dict)
        self._listed: set[str] = set()

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            queue = WorkQueue(group, self._reconcile)
            try:
                async with asyncio.TaskGroup() as watches:
                    for kind in KINDS:
                        watches.create_task(self._watch(kind, queue), name=f"watch {kind}")
            finally:
                queue.stop()

    async def _watch(self, kind: str, queue: WorkQueue) -> None:
        known = self._known[kind]
        async for news in self._cluster.follow(kind):
            if isinstance(news, Snapshot):
                present = {key_of(obj): obj for obj in news.objects}
                gone = [key for key in known if key not in present]
                changes = [*((key, None) for key in gone), *present.items()]
                self._say_listed(kind, len(present))
            else:
                changes = [(key_of(news.obj), None if news.gone else news.obj)]
            for key, new in changes:
                self._changed(kind, key, new, queue)

    def _changed(self, kind: str, key: Key, new: Json | None, queue: WorkQueue) -> None:
        known = self._known[kind]
        old = known.pop(key, None)
        if new is not None:
            known[key] = new
        for wake in woken(kind, old, new, self._known):
            queue.add(wake)

    def _say_listed(self, kind: str, count: int) -> None:
        log.info({"kind": kind, "did": "watch", "objects": count})
        if kind not in self._listed:
            self._listed.add(kind)
            if len(self._listed) == len(KINDS):
                log.info({"did": "ready"})

    async def _reconcile(self, wake: Wake) -> Outcome | None:
        """Reconcile one object; whatever goes wrong is said, and tried again later."""
        try:
            return await self._reconcile_object(wake)
        except Exception as error:  # noqa: BLE001 - the edge of a task: one object must not end the others
            facts = {"kind": wake.kind, "object": wake.key, "did": "break", "error": repr(error)}
            # What the API or the network said needs no trace; what we did not foresee does.
            log.error(facts, trace=not isinstance(error, httpx2.HTTPError))
            return Outcome({}, retry=True)

    async def _reconcile_object(self, wake: Wake) -> Outcome | None:
        obj = await self._cluster.get(wake.kind, wake.key)
        if obj is None:
            # Should the API only have seemed to have lost it, the next list brings it back as new.
            self._known[wake.kind].pop(wake.key, None)
            return None
        if "deletionTimestamp" in obj["metadata"]:
            await self._cluster.release(wake.kind, obj)
            return None
        outcome = await self._decide(wake.kind, Subject(obj, self._clock()))
        if patch := merge_patch(status_of(obj), outcome.status):
            await self._cluster.patch_status(wake.kind, wake.key, patch)
        await self._tell(wake, obj, outcome)
        return outcome

    async def _decide(self, kind: str, subject: Subject) -> Outcome:
        if kind == "ImageRepository":
            return await reconcile_repository.reconcile(subject, self._registry, self._tags)
        if kind == "ImagePolicy":
            repository = await self._cluster.get(
                "ImageRepository", _referred(subject, "imageRepositoryRef")
            )
            return await reconcile_policy.reconcile(subject, repository, self._registry, self._tags)
        source = await self._cluster.get("GitRepository", _referred(subject, "sourceRef"))
        policies = await self._cluster.list("ImagePolicy", subject.key.namespace)
        return await reconcile_automation.reconcile(subject, source, policies, self._git)

    async def _tell(self, wake: Wake, obj: Json, outcome: Outcome) -> None:
        about: Json = {"kind": wake.kind, "object": wake.key}
        if outcome.log:
            log.info({**about, **outcome.log})
        if outcome.notice:
            if outcome.notice.warning:
                did = "retry" if outcome.retry else "stall"
                why = {"did": did, "reason": outcome.notice.reason, "error": outcome.notice.message}
                log.error({**about, **why})
            await self._cluster.tell(wake.kind, obj, outcome.notice)


def _referred(subject: Subject, field: str) -> Key:
    reference = spec_of(subject.obj)[field]
    return Key(reference.get("namespace") or subject.key.namespace, reference["name"])
