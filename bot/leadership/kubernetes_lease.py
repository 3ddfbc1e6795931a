"""Leases in a cluster: one object of coordination.k8s.io per shard, created beforehand.

The bot may read and change these objects and read pods of its namespace, nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
from typing import TYPE_CHECKING, Any

from bot.leadership.lease_record import HolderStatus, LeaseChanged, LeaseRecord, LeaseUnreachable
from bot.leadership.trial import predecessor_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lightkube.core.async_client import AsyncClient
    from lightkube.resources.coordination_v1 import Lease
    from lightkube.resources.core_v1 import Pod

log = logging.getLogger(__name__)


_PREFIX = "discord-sky/"  # of the annotations
_CONTAINER = "bot"
_WHOLE_SECOND = datetime.timedelta(seconds=1)  # the resolution in which the kubelet records an end
_CONFLICT, _NOT_FOUND, _REFUSED = 409, 404, frozenset({401, 403})


class KubernetesLeaseStore:
    """The Leases of the pod's namespace, with the token of its ServiceAccount in `account`."""

    def __init__(self, name: str, shards: int, holder: str, account: Path, lasts: float) -> None:
        self.me = holder
        self._name = name
        self._shards = shards
        self._account = account
        self._lasts = lasts
        self._client: AsyncClient | None = None
        self._pods_refused = False

    async def read(self, shard: int) -> LeaseRecord:
        """See LeaseStore."""
        from lightkube.resources.coordination_v1 import Lease  # noqa: PLC0415  # see _connect

        name = self._lease(shard)
        client = await self._connected()
        with _reasons("Lease", name):
            return _record(await client.get(Lease, name))

    async def write(self, shard: int, record: LeaseRecord) -> LeaseRecord:
        """See LeaseStore."""
        from lightkube.resources.coordination_v1 import Lease  # noqa: PLC0415
        from lightkube.types import PatchType  # noqa: PLC0415

        name = self._lease(shard)
        client = await self._connected()
        with _reasons("Lease", name):
            patch = _patch(record, self._lasts)
            return _record(await client.patch(Lease, name, patch, patch_type=PatchType.MERGE))

    async def holder_status(self, shard: int, record: LeaseRecord) -> HolderStatus:
        """See LeaseStore. Without permission to read pods, a holder lives until expiry.

        While a predecessor can take over from it, a holder whose container runs again has ended.
        """
        del shard
        try:
            pod = await self._pod(record.holder)
        except LookupError:
            return HolderStatus.GONE
        except LeaseUnreachable as error:
            if not self._pods_refused:
                self._pods_refused = True
                log.warning("cannot read the holder's pod", extra={"reason": str(error)})
            return HolderStatus.ALIVE
        again = bool(predecessor_in(record))
        ended = _ended(pod, record.renewed, running_again=again)
        return HolderStatus.ENDED if ended else HolderStatus.ALIVE

    async def presence(self, holder: str) -> HolderStatus:
        """See LeaseStore."""
        try:
            pod = await self._pod(holder)
        except LookupError:
            return HolderStatus.GONE
        if pod.metadata and pod.metadata.deletionTimestamp:
            return HolderStatus.GONE
        return HolderStatus.ENDED if _ended(pod, None) else HolderStatus.ALIVE

    async def version(self) -> str:
        """See LeaseStore: the tag of the bot's image in this pod's specification."""
        try:
            pod = await self._pod(self.me)
        except LookupError:
            return ""
        containers = pod.spec.containers if pod.spec else []
        image = next((each.image or "" for each in containers if each.name == _CONTAINER), "")
        return image.partition("@")[0].rpartition("/")[2].partition(":")[2]

    async def _pod(self, name: str) -> Pod:
        """Read a pod; raises LookupError if there is none."""
        from lightkube.resources.core_v1 import Pod  # noqa: PLC0415

        client = await self._connected()
        with _reasons("Pod", name):
            return await client.get(Pod, name)

    async def close(self) -> None:
        """See LeaseStore."""
        if self._client is not None:
            await self._client.close()

    def _lease(self, shard: int) -> str:
        return self._name if self._shards == 1 else f"{self._name}-{shard}"

    async def _connected(self) -> AsyncClient:
        if self._client is None:
            with _reasons("ServiceAccount", str(self._account)):
                self._client = await asyncio.to_thread(_connect, self._account)
        return self._client


def _connect(account: Path) -> AsyncClient:
    """Open a client. The API server is never behind the environment's proxy.

    lightkube is imported here and not above: only in a cluster, and while the bot logs in.
    """
    import httpx2  # noqa: PLC0415
    from lightkube.config.kubeconfig import KubeConfig  # noqa: PLC0415
    from lightkube.core.async_client import AsyncClient  # noqa: PLC0415

    config = KubeConfig.from_service_account(account)
    return AsyncClient(config=config, timeout=httpx2.Timeout(4.0, connect=2.0), trust_env=False)


@contextlib.contextmanager
def _reasons(kind: str, name: str) -> Iterator[None]:
    """Turn failures into our errors, and a missing pod into a LookupError."""
    import httpx2  # noqa: PLC0415
    from lightkube.core.exceptions import ApiError, ConfigError  # noqa: PLC0415

    try:
        yield
    except ApiError as error:
        code = error.response.status_code
        if code == _CONFLICT:
            raise LeaseChanged from error
        if code == _NOT_FOUND and kind == "Pod":
            raise LookupError(name) from error
        raise LeaseUnreachable(_sentence(code, kind, name)) from error
    except (ConfigError, KeyError) as error:
        remedy = "see deployment.yaml, volume kube-api-access"
        raise LeaseUnreachable(f"no token of a ServiceAccount in {name}: {remedy}") from error
    except ValueError as error:  # such as an HTML page of a proxy in front of the API server
        raise LeaseUnreachable(
            f"the API server's answer is no {kind} ({type(error).__name__})"
        ) from error
    except (httpx2.HTTPError, OSError) as error:
        reason = f"the API server is out of reach ({type(error).__name__})"
        raise LeaseUnreachable(reason) from error


def _sentence(code: int, kind: str, name: str) -> str:
    if code == _NOT_FOUND:
        return f"there is no {kind} {name}: apply apps/discord-sky"
    if code in _REFUSED:
        return f"this pod may not touch {kind} {name} (status {code}): see role.yaml"
    return f"the API server answers with status {code}"


def _record(lease: Lease) -> LeaseRecord:
    metadata, spec = lease.metadata, lease.spec
    annotations = (metadata and metadata.annotations) or {}
    return LeaseRecord(
        holder=(spec and spec.holderIdentity) or "",
        annotations={
            name.removeprefix(_PREFIX): note
            for name, note in annotations.items()
            if name.startswith(_PREFIX)
        },
        acquired=spec.acquireTime if spec else None,
        renewed=spec.renewTime if spec else None,
        transitions=(spec and spec.leaseTransitions) or 0,
        version=(metadata and metadata.resourceVersion) or "",
    )


def _patch(record: LeaseRecord, lasts: float) -> dict[str, Any]:
    annotations = {f"{_PREFIX}{name}": note for name, note in record.annotations.items()}
    return {
        "metadata": {"resourceVersion": record.version, "annotations": annotations},
        "spec": {
            "holderIdentity": record.holder or None,
            "leaseDurationSeconds": max(1, round(lasts)),
            "acquireTime": _written(record.acquired),
            "renewTime": _written(record.renewed),
            "leaseTransitions": record.transitions,
        },
    }


def _ended(pod: Pod, renewed: datetime.datetime | None, *, running_again: bool = False) -> bool:
    """Say whether the bot in `pod` has ended since `renewed`, by its own node's clock.

    With `running_again`, also if its container was started again since.
    """
    status = pod.status
    if status is None:
        return False
    if status.phase in {"Succeeded", "Failed"}:
        return True
    for container in status.containerStatuses or []:
        state, last = container.state, container.lastState
        if container.name != _CONTAINER or state is None:
            continue
        if state.running is not None and not running_again:
            continue
        ended = state.terminated or (last.terminated if last else None)
        finished = ended.finishedAt if ended else None
        return finished is not None and (renewed is None or finished + _WHOLE_SECOND >= renewed)
    return False


def _written(moment: datetime.datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else None
