"""ImagePolicy: the latest image among the scanned tags, and its digest."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

from tests.loop.image_controllers import conditions, fields, policy
from tests.loop.image_controllers.model import (
    Json,
    Outcome,
    Refused,
    Subject,
    seconds,
    spec_of,
    status_of,
)
from tests.loop.image_controllers.reconcile_repository import TagStore
from tests.loop.image_controllers.registry import (
    ImageNameError,
    RegistryError,
    Repository,
    parse_image,
)

_STALLS: Mapping[type[Exception], str] = MappingProxyType(
    {
        Refused: fields.REASON,
        ImageNameError: "ImageURLInvalid",
        policy.InvalidPolicyError: "InvalidPolicy",
    }
)


class _NotReadyError(Exception):
    """Something else has to happen first."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class DigestReader(Protocol):
    """The part of a registry that reflecting a digest needs."""

    async def digest(self, repository: Repository, tag: str, within: float) -> str:
        """Return what a tag stands for, within so many seconds. Raises RegistryError."""
        ...


async def reconcile(
    subject: Subject, repository: Json | None, registry: DigestReader, tags: TagStore
) -> Outcome:
    """Choose the latest tag and reflect it. Where that fails the last one stays, as in Flux."""
    if subject.spec.get("suspend"):
        return conditions.suspended(subject)
    status = subject.status()
    try:
        return await _reconcile(subject, repository, registry, tags)
    except tuple(_STALLS) as error:
        return conditions.stalled(subject, status, _STALLS[type(error)], str(error))
    except _NotReadyError as error:
        return conditions.failed(subject, status, error.reason, str(error))
    except policy.NoLatestError as error:
        return conditions.failed(subject, status, "Failure", str(error))
    except RegistryError as error:
        return conditions.failed(subject, status, "Failed", f"failed fetching digest: {error}")


async def _reconcile(
    subject: Subject, repository: Json | None, registry: DigestReader, tags: TagStore
) -> Outcome:
    fields.check("ImagePolicy", subject.spec)
    after = _interval(subject.spec)
    origin = _reachable(subject, repository)
    found = tags.get(status_of(origin).get("canonicalImageName") or "")
    if not found:
        raise _NotReadyError("DependencyNotReady", "no tags in database")
    tag = policy.latest(subject.spec, found)
    ref = await _reference(subject, spec_of(origin), tag, registry)
    return _reflected(subject, ref, after)


def _interval(spec: Json) -> float | None:
    """Seconds between looks at the digest: only with Always, and then it has to be said."""
    always = spec.get("digestReflectionPolicy") == "Always"
    if always != bool(spec.get("interval")):
        how = "must be set" if always else "is only accepted"
        raise Refused("spec.interval", f"{how} when spec.digestReflectionPolicy is set to 'Always'")
    return seconds(spec["interval"]) if always else None


def _reachable(subject: Subject, repository: Json | None) -> Json:
    reference = subject.spec["imageRepositoryRef"]
    namespace = reference.get("namespace") or subject.key.namespace
    if namespace != subject.key.namespace:
        # The ImageRepository would have to open itself by spec.accessFrom: not honoured here.
        where = f"{namespace}/{reference['name']}"
        raise _NotReadyError("AccessDenied", f"access denied: {where} is in another namespace")
    if repository is None:
        missing = f"referenced ImageRepository {reference['name']} does not exist"
        why = f"failed to get the referred ImageRepository: {missing}"
        raise _NotReadyError("DependencyNotReady", why)
    return repository


async def _reference(subject: Subject, origin: Json, tag: str, registry: DigestReader) -> Json:
    ref: Json = {"name": origin["image"], "tag": tag}
    reflection = subject.spec.get("digestReflectionPolicy") or "Never"
    if reflection == "Never":
        return ref
    before = subject.status().get("latestRef") or {}
    same = {**before, "digest": ""} == {**ref, "digest": ""}
    if reflection == "IfNotPresent" and same and before.get("digest"):
        return {**ref, "digest": before["digest"]}
    image = parse_image(origin["image"], insecure=bool(origin.get("insecure")))
    within = max(1.0, seconds(origin.get("timeout") or origin["interval"]))
    return {**ref, "digest": await registry.digest(image, tag, within)}


def _reflected(subject: Subject, ref: Json, after: float | None) -> Outcome:
    status = subject.status()
    before = status.get("latestRef")
    log: Json = {}
    if ref != before:
        status.pop("observedPreviousRef", None)
        status |= {"latestRef": ref} | ({"observedPreviousRef": before} if before else {})
        log = {"did": "latest", "tag": ref["tag"], "digest": ref.get("digest")}
        log["was"] = (before or {}).get("tag")
    return replace(conditions.succeeded(subject, status, _message(status), after), log=log)


def _message(status: Json) -> str:
    ref, previous = status["latestRef"], status.get("observedPreviousRef")
    message = f"Latest image tag for {ref['name']} resolved to {ref['tag']}"
    if ref.get("digest"):
        message += f" with digest {ref['digest']}"
    if previous and previous != ref:
        digest = f"@{previous['digest']}" if previous.get("digest") else ""
        message += f" (previously {previous['name']}:{previous['tag']}{digest})"
    return message
