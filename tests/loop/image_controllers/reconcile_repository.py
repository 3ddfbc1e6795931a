"""ImageRepository: when to scan, what a scan keeps, what the status says."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

from tests.loop.image_controllers import conditions, fields, policy
from tests.loop.image_controllers.goregex import InvalidRegexError
from tests.loop.image_controllers.model import (
    Json,
    Outcome,
    Refused,
    Subject,
    moment_of,
    requested_at,
    seconds,
    stamp,
)
from tests.loop.image_controllers.registry import (
    ImageNameError,
    RegistryError,
    Repository,
    parse_image,
)

_SHOWN = 10  # tags in status.lastScanResult.latestTags
_STALLS: Mapping[type[Exception], str] = MappingProxyType(
    {Refused: fields.REASON, ImageNameError: "ImageURLInvalid"}
)


class TagLister(Protocol):
    """The part of a registry that a scan needs."""

    async def tags(self, repository: Repository, within: float) -> list[str]:
        """List all tags within so many seconds. Raises RegistryError."""
        ...


class TagStore:
    """The tags of the last scan by image. In memory, as Flux's go with its pod: a start scans."""

    def __init__(self) -> None:
        self._tags: dict[str, list[str]] = {}

    def get(self, canonical: str) -> list[str]:
        """Return the tags, last in the alphabet first; none when there was no scan."""
        return self._tags.get(canonical, [])

    def put(self, canonical: str, tags: list[str]) -> str:
        """Keep the tags and return a checksum that changes with them."""
        self._tags[canonical] = tags
        return hashlib.sha256("\n".join(tags).encode()).hexdigest()


async def reconcile(subject: Subject, registry: TagLister, tags: TagStore) -> Outcome:
    """Scan if it is time to, and say what was found."""
    if subject.spec.get("suspend"):
        return conditions.suspended(subject)
    status = subject.status()
    try:
        return await _reconcile(subject, status, registry, tags)
    except tuple(_STALLS) as error:
        return conditions.stalled(subject, status, _STALLS[type(error)], str(error))
    except (RegistryError, InvalidRegexError) as error:
        return conditions.failed(subject, status, "ReadOperationFailed", f"scan failed: {error}")


async def _reconcile(
    subject: Subject, status: Json, registry: TagLister, tags: TagStore
) -> Outcome:
    fields.check("ImageRepository", subject.spec)
    patterns = policy.exclusions(subject.spec)
    image = parse_image(
        subject.spec.get("image") or "", insecure=bool(subject.spec.get("insecure"))
    )
    why, after = _due(subject, image, tags)
    log: Json = {}
    if why:
        found = await _scan(subject, image, registry, tags)
        log = _news(status.get("lastScanResult") or {}, found, image, why)
        status["lastScanResult"] = found
    status |= {"canonicalImageName": image.canonical, "observedExclusionList": patterns}
    found = status["lastScanResult"]
    message = f"successful scan: found {found['tagCount']} tags with checksum {found['revision']}"
    return replace(conditions.succeeded(subject, status, message, after), log=log)


def _due(subject: Subject, image: Repository, tags: TagStore) -> tuple[str, float]:
    """Return why to scan now ("" for not now), and the seconds until the next look."""
    spec, status = subject.spec, subject.status()
    interval = seconds(spec["interval"])
    last = status.get("lastScanResult")
    if last is None:
        return "first scan", interval
    token = requested_at(subject.obj)
    reasons = {
        "reconcile requested": token is not None and token != status.get("lastHandledReconcileAt"),
        "new image name": image.canonical != status.get("canonicalImageName"),
        "updated exclusion list": sorted(policy.exclusions(spec))
        != sorted(status.get("observedExclusionList") or ()),
        "no tags in database": not tags.get(image.canonical),
    }
    for reason, holds in reasons.items():
        if holds:
            return reason, interval
    wait = interval - (subject.now - moment_of(last["scanTime"])).total_seconds()
    return ("triggered by interval", interval) if wait < 1 else ("", wait)


async def _scan(subject: Subject, image: Repository, registry: TagLister, tags: TagStore) -> Json:
    within = max(1.0, seconds(subject.spec.get("timeout") or subject.spec["interval"]))
    everything = await registry.tags(image, within)
    kept = policy.kept(everything, policy.exclusions(subject.spec))
    revision = tags.put(image.canonical, kept)
    found: Json = {"revision": revision, "tagCount": len(kept), "scanTime": stamp(subject.now)}
    return {**found, "latestTags": kept[:_SHOWN]} if kept else found


def _news(before: Json, found: Json, image: Repository, why: str) -> Json:
    """Return what to log: nothing for a scan that found what was known."""
    if before.get("revision") == found["revision"]:
        return {}
    count, was = found["tagCount"], before.get("tagCount", 0)
    return {"did": "scan", "image": image.canonical, "tags": count, "were": was, "because": why}
