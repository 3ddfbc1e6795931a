"""Which change wakes which reconciler, and that nothing else does. Pure.

As measured with Flux's controllers: a new Git revision wakes no automation, a new tag wakes a
policy only when a scan has seen it, and an automation wakes when a policy's latest image is
another one.
`old` is None for an object that was not known, `new` for one that is gone.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from tests.loop.image_controllers.model import Json, Key, key_of, requested_at, spec_of, status_of

Known = Mapping[str, Mapping[Key, Json]]


class Wake(NamedTuple):
    """One object to reconcile."""

    kind: str
    key: Key


def woken(kind: str, old: Json | None, new: Json | None, known: Known) -> Iterator[Wake]:
    """Return everything that a change of one object wakes. `known` are the objects by kind."""
    obj = new if new is not None else old
    if obj is None:
        return
    if kind != "GitRepository" and _own(old, new):
        yield Wake(kind, key_of(obj))
    relation = _RELATIONS.get(kind)
    if relation is None:
        return
    other_kind, matters, selects = relation
    if matters(old, new):
        yield from (
            Wake(other_kind, key_of(one)) for one in selects(obj, known[other_kind].values())
        )


def _own(old: Json | None, new: Json | None) -> bool:
    """Its own creation, deletion, spec, or a person's request; never its status."""
    if old is None or new is None or old["metadata"].get("uid") != new["metadata"].get("uid"):
        return True
    if _generation(old) != _generation(new) or _deleting(old) != _deleting(new):
        return True
    return requested_at(new) not in {None, requested_at(old)}


def _scan_changed(old: Json | None, new: Json | None) -> bool:
    """The ImageRepository came or went, or its scanned tags are others."""
    if old is None or new is None:
        return True
    found = status_of(new).get("lastScanResult") or {}
    before = status_of(old).get("lastScanResult") or {}
    return found.get("revision") not in {None, before.get("revision")}


def _latest_changed(old: Json | None, new: Json | None) -> bool:
    """An existing ImagePolicy has another latest image: not its creation, not its deletion."""
    if old is None or new is None:
        return False
    latest = status_of(new).get("latestRef")
    return latest is not None and latest != status_of(old).get("latestRef")


def _spec_changed(old: Json | None, new: Json | None) -> bool:
    """An existing GitRepository has another spec: not another revision."""
    return old is not None and new is not None and _generation(old) != _generation(new)


def _policies_of(repository: Json, policies: Iterable[Json]) -> list[Json]:
    def reference(policy: Json) -> Key:
        ref = spec_of(policy).get("imageRepositoryRef") or {}
        return Key(ref.get("namespace") or key_of(policy).namespace, ref.get("name") or "")

    return [policy for policy in policies if reference(policy) == key_of(repository)]


def _automations_beside(policy: Json, automations: Iterable[Json]) -> list[Json]:
    """All of the namespace: the link is a comment in a file, which nobody has read yet."""
    namespace = key_of(policy).namespace
    return [one for one in automations if key_of(one).namespace == namespace]


def _automations_of(source: Json, automations: Iterable[Json]) -> list[Json]:
    return [
        one
        for one in _automations_beside(source, automations)
        if (spec_of(one).get("sourceRef") or {}).get("name") == key_of(source).name
    ]


def _generation(obj: Json) -> int:
    generation: int = obj["metadata"].get("generation", 0)
    return generation


def _deleting(obj: Json) -> bool:
    return "deletionTimestamp" in obj["metadata"]


_RELATIONS: Mapping[
    str,
    tuple[
        str,
        Callable[[Json | None, Json | None], bool],
        Callable[[Json, Iterable[Json]], list[Json]],
    ],
] = {
    "ImageRepository": ("ImagePolicy", _scan_changed, _policies_of),
    "ImagePolicy": ("ImageUpdateAutomation", _latest_changed, _automations_beside),
    "GitRepository": ("ImageUpdateAutomation", _spec_changed, _automations_of),
}
