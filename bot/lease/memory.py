"""What must outlive a pod, and is small: it lies in the annotations of its shard's Lease."""

from __future__ import annotations

from typing import Protocol


class Keepsake(Protocol):
    """Something small that must outlive a pod: annotation `discord-sky/<name>` of a shard's Lease.

    Both methods are quick, never wait, and are called from the event loop. A Lease is renewed with
    what `dump` returns at most every 15 s, so a pod that is killed loses up to 30 s of it.
    """

    name: str

    def dump(self, shard: int) -> str:
        """Write down what is to be kept for `shard`; a few kilobytes at most.

        Called before each renewal that carries it, and at the hand-over.
        """

    def load(self, shard: int, text: str) -> None:
        """Take up what another process kept.

        Called when this process begins to speak for `shard`, and for the shards of other processes
        whenever their Leases are read. Text that cannot be read is to be passed over, not raised.
        """
