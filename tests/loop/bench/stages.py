"""Where the seconds of a deploy go: from the tag in the registry to a Ready pod, step by step."""

import time
from collections.abc import Callable
from functools import partial

from tests.loop.bench.table import Row
from tests.loop.people.observe import Observer, Seen

_PATIENCE = 120.0
_READY = "container started to pod Ready"
_BARS = {_READY: "≤ 10"}
# What is waited for, who does it, and how it is told that it has come.
_STAGES: tuple[tuple[str, str, Callable[[Seen, str, str], bool]], ...] = (
    (
        "the tag scanned and selected by the policy",
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
    (
        "applied: the new pod exists",
        "kustomize-controller",
        lambda now, tag, _: any(f":{tag}@" in pod.image for pod in now.pods.values()),
    ),
    (
        "scheduled, image pulled, container started",
        "kubelet",
        lambda now, tag, _: any(f":{tag}@" in p.image and p.started for p in now.pods.values()),
    ),
    (
        _READY,
        "kubelet",
        lambda now, tag, _: now.running(tag) is not None,
    ),
)


def _come(come: Callable[[Seen, str, str], bool], tag: str, last_push: str, now: Seen) -> bool:
    return come(now, tag, last_push)


class Stages:
    """One row for each stage; the figures are seconds since the stage before."""

    def __init__(self, seen: Observer) -> None:
        self._seen = seen
        self.rows = [Row(f"  of it: {what}", "s", _BARS.get(what, "")) for what, _, _ in _STAGES]

    def last_push(self) -> str:
        """Return what `follow` needs to know from before the tag was pushed."""
        return self._seen.now.pushed

    async def follow(self, tag: str, last_push: str) -> float:
        """Time each stage of TAG, which was just pushed; return when its pod was Ready."""
        before = time.monotonic()
        for row, (what, part, come) in zip(self.rows, _STAGES, strict=True):
            now = await self._seen.until(
                f"{tag}: {what}",
                part,
                partial(_come, come, tag, last_push),
                _PATIENCE,
            )
            row.figures.append(now - before)
            before = now
        return before
