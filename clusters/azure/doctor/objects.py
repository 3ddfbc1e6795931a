"""Kubernetes' objects, as JSON has them, into facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from clusters.azure.doctor.facts import FluxObject, Pod

Json = Mapping[str, Any]

_ABOUT = ("url", "image", "path")


def flux_object(item: Json) -> FluxObject:
    """Read one of Flux's objects."""
    spec, status = item.get("spec") or {}, item.get("status") or {}
    ready: Json = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})
    pattern = (spec.get("filterTags") or {}).get("pattern")
    return FluxObject(
        kind=item["kind"],
        name=item["metadata"]["name"],
        ready=ready.get("status", ""),
        reason=ready.get("reason", ""),
        message=ready.get("message", ""),
        suspended=bool(spec.get("suspend")),
        about=pattern or next((spec[key] for key in _ABOUT if key in spec), ""),
    )


def is_plain(item: Json) -> bool:
    """Say whether this Kustomization takes the credentials from a Secret, not from Key Vault."""
    components = (item.get("spec") or {}).get("components") or ()
    return any(str(one).rstrip("/").endswith("plain-secret") for one in components)


def pods(items: Iterable[Json], events: Iterable[Json] = ()) -> tuple[Pod, ...]:
    """Read pods, newest first, with what the EVENTS say of those that wait."""
    warned = list(events)
    ordered = sorted(items, key=lambda item: item["metadata"]["creationTimestamp"], reverse=True)
    return tuple(_pod(item, _warnings(item, warned)) for item in ordered)


def _pod(item: Json, warnings: list[Json]) -> Pod:
    meta, status = item["metadata"], item.get("status") or {}
    container: Json = next(iter(status.get("containerStatuses") or ()), {})
    state, last = container.get("state") or {}, container.get("lastState") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or last.get("terminated") or {}
    starting = "running" not in state
    return Pod(
        name=meta["name"],
        image=item["spec"]["containers"][0].get("image", ""),
        ready=bool(container.get("ready")),
        leaving="deletionTimestamp" in meta,
        age=(datetime.now(UTC) - _time(meta["creationTimestamp"])).total_seconds(),
        waiting=waiting.get("reason", ""),
        said=waiting.get("message", ""),
        exit_code=ended.get("exitCode"),
        mount=_newest(warnings, "FailedMount", "MountVolume.SetUp failed") if starting else "",
        stuck=_newest(warnings, "FailedScheduling") if not item["spec"].get("nodeName") else "",
    )


def _warnings(item: Json, events: list[Json]) -> list[Json]:
    """Return the pod's warnings, oldest first."""
    uid = item["metadata"].get("uid")
    mine = [one for one in events if (one.get("involvedObject") or {}).get("uid") == uid]
    return sorted(mine, key=lambda one: one.get("lastTimestamp") or one.get("eventTime") or "")


def _newest(warnings: list[Json], reason: str, saying: str = "") -> str:
    """Return the newest message for REASON; one with SAYING in it before any other."""
    said = [str(one.get("message") or "") for one in warnings if one.get("reason") == reason]
    telling = [message for message in said if saying in message]
    return next(reversed(telling or said), "")


def _time(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)
