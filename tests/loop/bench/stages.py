"""Where the seconds of a deploy go: from the tag in the registry to a Ready pod, step by step."""

import json
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

from lightkube import AsyncClient

from tests.loop.bench.table import Row
from tests.loop.people.observe import BOT, Observer, PodSeen, Seen

_PATIENCE = 120.0
_READY = "container started to pod Ready"
_BARS = {_READY: "≤ 10"}


def _some_pod(holds: Callable[[PodSeen], bool]) -> Callable[[Seen, str, str], bool]:
    """Return whether a pod with the tag is so far."""

    def come(now: Seen, tag: str, _: str) -> bool:
        return any(f":{tag}@" in pod.image and holds(pod) for pod in now.pods.values())

    return come


# What is waited for, who does it, and how it is told that it has come.
_STAGES: tuple[tuple[str, str, Callable[[Seen, str, str], bool]], ...] = (
    (
        "the tag found by a scan of the registry",
        "image-reflector-controller",
        lambda now, tag, _: tag in now.scanned or now.tag == tag,
    ),
    (
        "selected by the policy",
        "image-reflector-controller",
        lambda now, tag, _: now.tag == tag,
    ),
    (
        "committed and pushed by the automation",
        "image-automation-controller",
        lambda now, _, last: now.pushed != last,
    ),
    (
        "fetched from Git",
        "source-controller",
        lambda now, _, __: now.revision == now.pushed,
    ),
    ("applied: the new pod exists", "kustomize-controller", _some_pod(lambda _: True)),
    ("scheduled on the node", "kube-scheduler", _some_pod(lambda pod: bool(pod.node))),
    ("secrets mounted, network made", "kubelet", _some_pod(lambda pod: pod.sandbox or pod.started)),
    ("image pulled, container started", "kubelet", _some_pod(lambda pod: pod.started)),
    (_READY, "kubelet", lambda now, tag, _: now.running(tag) is not None),
)
# What the bot logs on its way to Ready, in this order, and what it has done by then.
_INSIDE = (
    ("started", "modules imported: /livez answers"),
    ("gateway ready", "logged in to Discord: READY"),
    ("model client loaded", "the model's client loaded"),
)
_MESSAGES = {message for message, _ in _INSIDE}
_PROBED = "seen by the kubelet's probe"


def _come(come: Callable[[Seen, str, str], bool], tag: str, last_push: str, now: Seen) -> bool:
    return come(now, tag, last_push)


class Stages:
    """One row for each stage; the figures are seconds since the stage before."""

    def __init__(self, seen: Observer, api: AsyncClient) -> None:
        self._seen = seen
        self._api = api
        self._rows = [Row(f"  of it: {what}", "s", _BARS.get(what, "")) for what, _, _ in _STAGES]
        inside = [*(what for _, what in _INSIDE), _PROBED]
        self._inside = [Row(f"    of that: {what}", "s") for what in inside]

    @property
    def rows(self) -> list[Row]:
        """All of them, in order."""
        return [*self._rows, *self._inside]

    def last_push(self) -> str:
        """Return what `follow` needs to know from before the tag was pushed."""
        return self._seen.now.pushed

    async def follow(self, tag: str, last_push: str) -> float:
        """Time each stage of TAG, which was just pushed; return when its pod was Ready."""
        before = started = time.monotonic()
        for row, (what, part, come) in zip(self._rows, _STAGES, strict=True):
            now = await self._seen.until(
                f"{tag}: {what}",
                part,
                partial(_come, come, tag, last_push),
                _PATIENCE,
            )
            row.figures.append(now - before)
            started, before = before, now
        await self._look_inside(tag, started, before)
        return before

    async def _look_inside(self, tag: str, started: float, ready: float) -> None:
        """Fill the rows of what happened in the container between STARTED and READY."""
        pod = self._seen.now.running(tag)
        if pod is None:
            return
        log = [line async for line in self._api.log(pod.name, namespace=BOT)]
        moments = inside(log, time.time() - time.monotonic())
        if not moments:
            return
        for row, before, moment in zip(
            self._inside, [started, *moments], [*moments, ready], strict=True
        ):
            row.figures.append(moment - before)


def inside(log: Iterable[str], epoch: float) -> list[float]:
    """Return when the bot was how far, by its LOG; nothing if one of the lines is not there.

    Times are on a clock that shows EPOCH seconds less than the log's.
    """
    found: dict[str, float] = {}
    for line in log:
        try:
            said = json.loads(line)
        except ValueError:
            continue  # not the bot's own
        found.setdefault(said["message"], datetime.fromisoformat(said["time"]).timestamp() - epoch)
    return [found[message] for message, _ in _INSIDE] if found.keys() >= _MESSAGES else []
