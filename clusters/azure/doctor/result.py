"""How one link of the chain is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """In the words that are printed."""

    OK = "ok"
    BROKEN = "broken"
    UNKNOWN = "unknown"  # nothing that could be looked at tells
    NOT_REACHED = "not reached"  # an earlier link is broken


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One link. SAID is a sentence; REMEDY another, with COMMANDS to type one after the other."""

    status: Status
    summary: str = ""
    remedy: str = ""
    commands: tuple[str, ...] = ()


def ok(summary: str) -> CheckResult:
    """Say that it is well, and how that was seen."""
    return CheckResult(Status.OK, summary)


def unknown(summary: str, remedy: str = "", *commands: str) -> CheckResult:
    """Say that it cannot be told."""
    return CheckResult(Status.UNKNOWN, summary, remedy, commands)


def broken(summary: str, remedy: str, *commands: str) -> CheckResult:
    """Say what is broken, and how it is mended."""
    return CheckResult(Status.BROKEN, summary, remedy, commands)
