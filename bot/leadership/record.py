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


class LeaseUnreachable(LeaseTrouble):
    """It cannot be reached, or this pod may not touch it. What it says is the reason."""


class LeaseChanged(LeaseTrouble):
    """Somebody else wrote it since it was read."""


def now() -> datetime.datetime:
    """The wall clock; only written down, never compared with another machine's."""
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """One shard's Lease. `holder` is empty when nobody speaks; `notes` outlive every holder.

    `version` changes with each write, and a write names the one that it replaces.
    """

    holder: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    acquired: datetime.datetime | None = None
    renewed: datetime.datetime | None = None
    transitions: int = 0
    version: str = ""

    def taken(self, by: str) -> LeaseRecord:
        """The same Lease in the hands of `by`, as of now."""
        moment = now()
        passing = {FOR, WANTED, UNWANTED}
        annotations = {
            name: "" if name in passing else note for name, note in self.annotations.items()
        }
        return replace(
            self,
            holder=by,
            annotations=annotations,
            acquired=moment,
            renewed=moment,
            transitions=self.transitions + 1,
        )

    def asked(self, by: str) -> LeaseRecord:
        """The same Lease, with the wish of `by` to have it."""
        return replace(self, annotations={**self.annotations, WANTED: by})

    def declined(self, by: str) -> LeaseRecord:
        """The same Lease, without the wish of `by` to have it, and not kept for it."""
        if not self.holder:
            return replace(self, annotations={**self.annotations, FOR: ""})
        wanted = self.annotations.get(WANTED, "")
        annotations = {**self.annotations, WANTED: "" if wanted == by else wanted, UNWANTED: by}
        return replace(self, annotations=annotations)

    def kept(self, annotations: Mapping[str, str]) -> LeaseRecord:
        """The same Lease, renewed now and with these notes."""
        return replace(self, renewed=now(), annotations=annotations)

    def let_go(self, annotations: Mapping[str, str]) -> LeaseRecord:
        """The same Lease, free for the next one."""
        return replace(self, holder="", renewed=now(), annotations=annotations)


class HolderStatus(enum.Enum):
    """What is known of a holder other than by its renewals."""

    ALIVE = "alive"  # or nothing is known
    ENDED = "ended"  # its process has certainly ended, after its last renewal
    GONE = "gone"  # its pod was deleted; the process may still be ending


class LeaseStore(Protocol):
    """Where the Leases lie. Everything but `me` raises LeaseAway when it cannot be reached."""

    me: str  # the holder's name

    async def read(self, shard: int) -> LeaseRecord:
        """Look at a shard's Lease."""

    async def write(self, shard: int, record: LeaseRecord) -> LeaseRecord:
        """Replace the version that `record` names; raises LeaseChanged if it is another by now."""

    async def holder_status(self, shard: int, record: LeaseRecord) -> HolderStatus:
        """Say what is known of the holder of `record`."""

    async def close(self) -> None:
        """Let go of connections and files."""
