"""The record that a Lease carries, and the protocol of the stores that hold Leases."""

from __future__ import annotations

import datetime
import enum
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


# Annotations: who asks for the Lease; for whom it was released; whose request is withdrawn.
WANTED, FOR, UNWANTED = "wanted", "for", "unwanted"


class LeaseTrouble(Exception):
    """A Lease could not be read or written. Seen only by elector.py, which tries again."""


class LeaseUnreachable(LeaseTrouble):
    """The store cannot be reached, or refuses access; the message says why."""


class LeaseChanged(LeaseTrouble):
    """Another process wrote the Lease since it was read."""


def now() -> datetime.datetime:
    """Return the wall clock; it is only recorded, never compared with another machine's."""
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """One shard's Lease. `holder` is empty while nobody leads; annotations outlive every holder.

    `version` changes with each write, and a write names the version that it replaces.
    """

    holder: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    acquired: datetime.datetime | None = None
    renewed: datetime.datetime | None = None
    transitions: int = 0
    version: str = ""

    def taken(self, by: str) -> LeaseRecord:
        """Return the Lease as held by `by` from now on."""
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
        """Return the Lease with a request for it by `by`."""
        return replace(self, annotations={**self.annotations, WANTED: by})

    def declined(self, by: str) -> LeaseRecord:
        """Return the Lease without any request by `by`, and not reserved for it."""
        if not self.holder:
            return replace(self, annotations={**self.annotations, FOR: ""})
        wanted = self.annotations.get(WANTED, "")
        annotations = {**self.annotations, WANTED: "" if wanted == by else wanted, UNWANTED: by}
        return replace(self, annotations=annotations)

    def kept(self, annotations: Mapping[str, str]) -> LeaseRecord:
        """Return the Lease, renewed now with these annotations."""
        return replace(self, renewed=now(), annotations=annotations)

    def let_go(self, annotations: Mapping[str, str]) -> LeaseRecord:
        """Return the Lease, released."""
        return replace(self, holder="", renewed=now(), annotations=annotations)


class HolderStatus(enum.Enum):
    """What is known about a holder besides its renewals."""

    ALIVE = "alive"  # or nothing is known
    ENDED = "ended"  # its process has certainly ended, after its last renewal
    GONE = "gone"  # its pod was deleted; the process may still be ending


class LeaseStore(Protocol):
    """Where Leases are kept. Everything but `me` raises LeaseUnreachable on failure."""

    me: str  # the holder's name

    async def read(self, shard: int) -> LeaseRecord:
        """Read a shard's Lease."""

    async def write(self, shard: int, record: LeaseRecord) -> LeaseRecord:
        """Replace the version that `record` names; raises LeaseChanged if it is outdated."""

    async def holder_status(self, shard: int, record: LeaseRecord) -> HolderStatus:
        """Return what is known of the holder of `record`."""

    async def presence(self, holder: str) -> HolderStatus:
        """Return whether the process of that name runs: ENDED, or GONE if its pod goes for good."""

    async def version(self) -> str:
        """Name what this process runs, for people; empty if the store does not know."""

    async def close(self) -> None:
        """Release connections and files."""
