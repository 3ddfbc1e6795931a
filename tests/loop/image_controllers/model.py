"""Words shared by every room of the stand-in: objects, keys, refusals, durations, times."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

Json = dict[str, Any]

REQUESTED_AT = "reconcile.fluxcd.io/requestedAt"
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Key(NamedTuple):
    """Where an object lives."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Refused(Exception):
    """Something this stand-in does not honour.

    The object stalls until a person changes it: guessing would make the loop kinder, or crueller,
    than Flux.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


@dataclass(frozen=True)
class Notice:
    """What becomes a Kubernetes Event and a log line."""

    warning: bool
    reason: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """What one reconciliation decided.

    `after` is the seconds until the next run, None for "only when woken"; `retry` asks for the
    queue's growing delay instead. `log` are the facts worth a line, empty when nothing happened.
    """

    status: Json
    after: float | None = None
    retry: bool = False
    notice: Notice | None = None
    log: Mapping[str, object] = field(default_factory=dict)


def key_of(obj: Json) -> Key:
    """Return the namespace and name of an object."""
    return Key(obj["metadata"]["namespace"], obj["metadata"]["name"])


def spec_of(obj: Json) -> Json:
    """Return spec, or nothing when the object has none."""
    spec: Json = obj.get("spec") or {}
    return spec


def status_of(obj: Json) -> Json:
    """Return a shallow copy of status, ready to be changed."""
    return dict(obj.get("status") or {})


@dataclass(frozen=True)
class Subject:
    """An object at the moment that it is reconciled."""

    obj: Json
    now: datetime

    @property
    def key(self) -> Key:
        """Where it lives."""
        return key_of(self.obj)

    @property
    def spec(self) -> Json:
        """What a person wants of it."""
        return spec_of(self.obj)

    @property
    def generation(self) -> int:
        """Which version of the spec this is."""
        generation: int = self.obj["metadata"]["generation"]
        return generation

    def status(self) -> Json:
        """Return a copy of the status to be changed."""
        return status_of(self.obj)


def requested_at(obj: Json) -> str | None:
    """Return the value with which a person asked for a run (`flux reconcile`), if any did."""
    annotations: Json = obj["metadata"].get("annotations") or {}
    return annotations.get(REQUESTED_AT)


def seconds(duration: str) -> float:
    """Read a Go duration such as `1m30s`, as Flux's CRDs accept it. Raises ValueError."""
    parts = _DURATION.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"{duration!r} is not a duration such as 30s or 1m30s")
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def stamp(moment: datetime) -> str:
    """Write a time the way Kubernetes does: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: str) -> datetime:
    """Read a Kubernetes time."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
