"""What the condition Ready of one of Flux's objects means for its link. Pure."""

from __future__ import annotations

from clusters.azure.doctor.facts import FluxObject
from clusters.azure.doctor.verdict import Verdict, broken, unseen

_LOOK = "flux get all --namespace flux-system"


def failing(found: FluxObject, said: str, remedy: str, *commands: str) -> Verdict | None:
    """Return a verdict if the object is suspended or failed; None if it is well or under way."""
    if found.suspended:
        kind = {"ImageRepository": "image repository", "ImageUpdateAutomation": "image update"}
        what = kind.get(found.kind, found.kind.lower())
        return broken(
            f"{found.kind} {found.name} is suspended: somebody said stop.",
            "Ask who and why, then let it go on.",
            f"flux resume {what} {found.name}",
        )
    if found.ready == "False":
        return broken(f"{said}: {found.message}", remedy, *commands)
    if not found.ready:
        return unseen(f"{found.kind} {found.name} has no condition yet", "Look again.", _LOOK)
    return None
