"""The result of checking one link, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from clusters.azure.doctor.facts import FluxObject


class Status(StrEnum):
    """As it is printed."""

    OK = "ok"
    BROKEN = "broken"
    UNKNOWN = "unknown"  # nothing that could be checked tells
    NOT_REACHED = "not reached"  # an earlier link is broken


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result for one link: a sentence, a remedy, and commands to type one after the other."""

    status: Status
    summary: str = ""
    remedy: str = ""
    commands: tuple[str, ...] = ()


def ok(summary: str) -> CheckResult:
    """Return that the link works, and how that was seen."""
    return CheckResult(Status.OK, summary)


def unknown(summary: str, remedy: str = "", *commands: str) -> CheckResult:
    """Return that it is not known whether the link works."""
    return CheckResult(Status.UNKNOWN, summary, remedy, commands)


def broken(summary: str, remedy: str, *commands: str) -> CheckResult:
    """Return what is broken, and how to fix it."""
    return CheckResult(Status.BROKEN, summary, remedy, commands)


_SEE_FLUX = "flux get all --namespace flux-system"


def condition_problem(
    found: FluxObject, summary: str, remedy: str, *commands: str
) -> CheckResult | None:
    """Return a result if the object is suspended or failed; None if it is Ready or in progress."""
    if found.suspended:
        kind = {"ImageRepository": "image repository", "ImageUpdateAutomation": "image update"}
        what = kind.get(found.kind, found.kind.lower())
        return broken(
            f"{found.kind} {found.name} is suspended: somebody stopped it.",
            "Find out who and why, then resume it.",
            f"flux resume {what} {found.name}",
        )
    if found.ready == "False":
        return broken(f"{summary}: {found.message}", remedy, *commands)
    if not found.ready:
        return unknown(
            f"{found.kind} {found.name} has no condition yet",
            "Run the doctor again in a moment.",
            _SEE_FLUX,
        )
    return None
