"""Ask a Flux object to reconcile now, as `flux reconcile` does, and wait until it has."""

import uuid
from typing import Any

from lightkube import AsyncClient
from lightkube.types import PatchType

from tests.loop.cluster import kube
from tests.loop.supervisor import state

_REQUESTED_AT = "reconcile.fluxcd.io/requestedAt"


async def nudge(api: AsyncClient, kind: Any, name: str = "discord-sky") -> None:
    """Make KIND's object NAME reconcile at once; return when its status says that it did."""
    token = uuid.uuid4().hex
    change = {"metadata": {"annotations": {_REQUESTED_AT: token}}}
    where = state.FLUX_NAMESPACE
    await api.patch(kind, name, change, namespace=where, patch_type=PatchType.MERGE)
    await kube.until(
        api,
        kind,
        name,
        lambda item: (item.status or {}).get("lastHandledReconcileAt") == token,
        where,
    )


async def scan(api: AsyncClient) -> None:
    """Make the image repository be scanned, and the image policy select from what was found.

    The policy hears of a scan by itself, but after the scan is done: an automation that is forced
    in between still finds the image of before.
    """
    await nudge(api, kube.ImageRepository)
    await nudge(api, kube.ImagePolicy)


async def automate(api: AsyncClient) -> None:
    """Force a run of the image update automation."""
    await nudge(api, kube.ImageUpdateAutomation)
