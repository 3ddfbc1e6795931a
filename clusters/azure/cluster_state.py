"""Is the cluster there? One that is still being made is waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clusters.azure.command import az
from clusters.azure.step import Found, Look, resource

if TYPE_CHECKING:
    from clusters.azure.desk import Desk

_NAMES = "--name $AKS_NAME --resource-group $AKS_RESOURCE_GROUP"
_LEARNS = {
    "AKS_OIDC_ISSUER": "oidcIssuerProfile.issuerUrl",
    "KUBELET_PRINCIPAL_ID": "identityProfile.kubeletidentity.objectId",
    "AKS_STATE": "provisioningState",
}
_BUSY = {"Creating", "Updating", "Upgrading", "Starting", "Scaling"}


def look_at_cluster(problems: Callable[[Any], tuple[str, ...]]) -> Look:
    """Look at it; if Azure is still at work on it, as after a run that was stopped, wait."""
    shown = resource(az(f"aks show {_NAMES}"), _LEARNS, problems)

    def look(desk: Desk) -> Found:
        found = shown(desk)
        if found.values.get("AKS_STATE") not in _BUSY:
            return found
        desk.say(f"  Azure is still at work on it ({found.values['AKS_STATE']}): waiting")
        desk.try_(az(f"aks wait {_NAMES} --created --interval 15 --timeout 1800"))
        return shown(desk)

    return look
