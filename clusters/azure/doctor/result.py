"""How one link of the chain is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """In the words that are printed."""

    OK = "ok"
    BROKEN = "broken"
    UNSEEN = "not seen"  # nothing that could be looked at tells
    NOT_REACHED = "not reached"  # an earlier link is broken


@dataclass(frozen=True, slots=True)
class Verdict:
    """One link. SAID is a sentence; REMEDY another, with COMMANDS to type one after the other."""

    status: Status
    said: str = ""
    remedy: str = ""
    commands: tuple[str, ...] = ()


def ok(said: str) -> Verdict:
    """Say that it is well, and how that was seen."""
    return Verdict(Status.OK, said)


def unseen(said: str, remedy: str = "", *commands: str) -> Verdict:
    """Say that it cannot be told."""
    return Verdict(Status.UNSEEN, said, remedy, commands)


def broken(said: str, remedy: str, *commands: str) -> Verdict:
    """Say what is broken, and how it is mended."""
    return Verdict(Status.BROKEN, said, remedy, commands)
