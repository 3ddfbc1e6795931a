"""The Kubernetes API, as the controllers need it: follow, read, write a status, tell an Event."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, cast

from lightkube import ApiError, AsyncClient, KubeConfig
from lightkube.generic_resource import GenericNamespacedResource, create_namespaced_resource
from lightkube.resources.core_v1 import Event
from lightkube.types import PatchType

from tests.loop.image_controllers import log
from tests.loop.image_controllers.model import Json, Key, Notice, key_of, stamp

_IMAGE, _SOURCE = "image.toolkit.fluxcd.io", "source.toolkit.fluxcd.io"
KINDS: Mapping[str, tuple[str, str]] = {
    "ImageRepository": (_IMAGE, "imagerepositories"),
    "ImagePolicy": (_IMAGE, "imagepolicies"),
    "ImageUpdateAutomation": (_IMAGE, "imageupdateautomations"),
    "GitRepository": (_SOURCE, "gitrepositories"),
}
_FINALIZER = "finalizers.fluxcd.io"
_MANAGER = "image-controllers-stand-in"
_NOT_FOUND = 404
_REST = 1.0  # seconds before a watch that broke is tried again
_EVENT_TEXT = 1024  # the API's limit for an Event's message, in characters


@dataclass(frozen=True)
class Snapshot:
    """All objects of a kind, at the start of a watch and whenever one had to begin anew."""

    objects: list[Json]


@dataclass(frozen=True)
class Change:
    """One object came, changed or went."""

    obj: Json
    gone: bool


class Cluster(Protocol):
    """The port that the controllers are given."""

    def follow(self, kind: str) -> AsyncIterator[Snapshot | Change]:
        """Follow a kind in all namespaces for ever, over every break of the connection."""
        ...

    async def get(self, kind: str, key: Key) -> Json | None:
        """Read one object, None where there is none."""
        ...

    async def list(self, kind: str, namespace: str) -> list[Json]:
        """Read the objects of a namespace."""
        ...

    async def patch_status(self, kind: str, key: Key, status: Json) -> None:
        """Merge into the status; None removes a field. An object that is gone is no error."""
        ...

    async def release(self, kind: str, obj: Json) -> None:
        """Take the finalizer of Flux's controllers off an object that is being deleted."""
        ...

    async def tell(self, kind: str, obj: Json, notice: Notice) -> None:
        """Write an Event about an object."""
        ...


class Kubernetes:
    """The port over lightkube."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._resources: dict[str, type[GenericNamespacedResource]] = {
            kind: create_namespaced_resource(group, "v1", kind, plural)
            for kind, (group, plural) in KINDS.items()
        }

    async def follow(self, kind: str) -> AsyncIterator[Snapshot | Change]:  # noqa: D102 - the port says it
        resource, said = self._resources[kind], ""
        while True:
            try:
                listing = self._client.list(resource, namespace="*")
                yield Snapshot([_plain(obj) async for obj in listing])
                said = ""
                watch = self._client.watch(
                    resource, namespace="*", resource_version=listing.resourceVersion
                )
                async for what, obj in watch:
                    yield Change(_plain(obj), gone=what == "DELETED")
            except Exception as error:  # noqa: BLE001 - any break, of any layer, is mended by a new list
                if str(error) != said:
                    said = str(error)
                    log.error({"kind": kind, "did": "watch-broke", "error": said or repr(error)})
            await asyncio.sleep(_REST)

    async def get(self, kind: str, key: Key) -> Json | None:  # noqa: D102 - the port says it
        try:
            return _plain(
                await self._client.get(self._resources[kind], key.name, namespace=key.namespace)
            )
        except ApiError as error:
            if error.status.code == _NOT_FOUND:
                return None
            raise

    async def list(self, kind: str, namespace: str) -> list[Json]:  # noqa: D102 - the port says it
        listing = self._client.list(self._resources[kind], namespace=namespace)
        return [_plain(obj) async for obj in listing]

    async def patch_status(self, kind: str, key: Key, status: Json) -> None:  # noqa: D102 - the port says it
        await self._patch(self._resources[kind].Status, key, {"status": status})

    async def release(self, kind: str, obj: Json) -> None:  # noqa: D102 - the port says it
        finalizers = obj["metadata"].get("finalizers") or []
        if _FINALIZER in finalizers:
            others = [one for one in finalizers if one != _FINALIZER]
            body = {"metadata": {"finalizers": others}}
            await self._patch(self._resources[kind], key_of(obj), body)

    async def tell(self, kind: str, obj: Json, notice: Notice) -> None:  # noqa: D102 - the port says it
        key, now = key_of(obj), stamp(datetime.now(UTC))
        about = {
            "apiVersion": obj["apiVersion"],
            "kind": kind,
            "namespace": key.namespace,
            "name": key.name,
            "uid": obj["metadata"]["uid"],
        }
        event: Json = {
            "metadata": {"generateName": f"{key.name}.", "namespace": key.namespace},
            "involvedObject": about,
            "type": "Warning" if notice.warning else "Normal",
            "reason": notice.reason,
            "message": notice.message[:_EVENT_TEXT],
            "source": {"component": _MANAGER},
            "reportingComponent": _MANAGER,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        await self._client.create(cast("Event", Event.from_dict(event)))

    async def _patch(self, resource: Any, key: Key, body: Json) -> None:
        try:
            await self._client.patch(
                resource, key.name, body, namespace=key.namespace, patch_type=PatchType.MERGE
            )
        except ApiError as error:
            if error.status.code != _NOT_FOUND:
                raise


def connect(kubeconfig: str) -> AsyncClient:
    """Make a client from a kubeconfig file. No proxy: the API is on this machine."""
    config = KubeConfig.from_file(kubeconfig).get()
    return AsyncClient(config=config, field_manager=_MANAGER, trust_env=False)


def merge_patch(old: Json, new: Json) -> Json:
    """Return the JSON merge patch that makes `old` into `new`."""
    patch: Json = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = merge_patch(before, value)
            patch |= {name: inner} if inner else {}
        elif name not in old or value != before:
            patch[name] = value
    return patch


def _plain(obj: Any) -> Json:
    return cast("Json", obj.to_dict())
