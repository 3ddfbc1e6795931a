"""What a Lease says, and what is asked of the shelf on which the Leases lie."""

from __future__ import annotations

import datetime
import enum
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


# Notes: who asks for a Lease; to whom it was let go; who asked for it and wants it no more.
WANTED, FOR, UNWANTED = "wanted", "for", "unwanted"


class LeaseTrouble(Exception):
    """A Lease could not be read or written. Seen by holding.py alone, which tries again."""


class LeaseAway(LeaseTrouble):
    """It cannot be reached, or this pod may not touch it. What it says is the reason."""


class LeaseChanged(LeaseTrouble):
    """Somebody else wrote it since it was read."""


def now() -> datetime.datetime:
    """The wall clock; only written down, never compared with another machine's."""
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True, slots=True)
class Record:
    """One shard's Lease. `holder` is empty when nobody speaks; `notes` outlive every holder.

    `version` changes with each write, and a write names the one that it replaces.
    """

    holder: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    acquired: datetime.datetime | None = None
    renewed: datetime.datetime | None = None
    transitions: int = 0
    version: str = ""

    def taken(self, by: str) -> Record:
        """The same Lease in the hands of `by`, as of now."""
        moment = now()
        passing = {FOR, WANTED, UNWANTED}
        notes = {name: "" if name in passing else note for name, note in self.notes.items()}
        return replace(
            self,
            holder=by,
            notes=notes,
            acquired=moment,
            renewed=moment,
            transitions=self.transitions + 1,
        )

    def asked(self, by: str) -> Record:
        """The same Lease, with the wish of `by` to have it."""
        return replace(self, notes={**self.notes, WANTED: by})

    def declined(self, by: str) -> Record:
        """The same Lease, without the wish of `by` to have it, and not kept for it."""
        if not self.holder:
            return replace(self, notes={**self.notes, FOR: ""})
        wanted = self.notes.get(WANTED, "")
        notes = {**self.notes, WANTED: "" if wanted == by else wanted, UNWANTED: by}
        return replace(self, notes=notes)

    def kept(self, notes: Mapping[str, str]) -> Record:
        """The same Lease, renewed now and with these notes."""
        return replace(self, renewed=now(), notes=notes)

    def let_go(self, notes: Mapping[str, str]) -> Record:
        """The same Lease, free for whoever comes."""
        return replace(self, holder="", renewed=now(), notes=notes)


class Fate(enum.Enum):
    """What is known of a holder other than by its renewals."""

    ALIVE = "alive"  # or nothing is known
    ENDED = "ended"  # its process has certainly ended, after its last renewal
    GONE = "gone"  # its pod was deleted; the process may still be ending


class Shelf(Protocol):
    """Where the Leases lie. Everything but `me` raises LeaseAway when it cannot be reached."""

    me: str  # whoever holds a Lease from here

    async def read(self, shard: int) -> Record:
        """Look at a shard's Lease."""

    async def write(self, shard: int, record: Record) -> Record:
        """Replace the version that `record` names; raises LeaseChanged if it is another by now."""

    async def fate(self, shard: int, record: Record) -> Fate:
        """Say what is known of the holder of `record`."""

    async def close(self) -> None:
        """Let go of connections and files."""
