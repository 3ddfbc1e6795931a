"""Who may speak where, as the desk asks it; and the answer of a bot of which there is only one."""

from __future__ import annotations

from typing import Protocol


class Floor(Protocol):
    """Who may speak where: see floor.py."""

    def shard_of(self, guild_id: int | None) -> int:
        """Which shard a server belongs to; direct messages belong to the first."""

    def speaking(self, shard: int) -> bool:
        """Whether this process speaks for that shard now."""


class Alone:
    """A floor that nobody else is on."""

    def shard_of(self, guild_id: int | None) -> int:
        """See Floor."""
        del guild_id
        return 0

    def speaking(self, shard: int) -> bool:
        """See Floor."""
        return not shard
