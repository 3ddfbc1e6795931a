"""How several processes share the shards out among them. Pure.

Whoever holds fewer waits less for a free shard, and asks for one of those who hold at least two
more. So an empty pod takes over first, and after a while nobody holds two more than another.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_STEP_SECONDS = 2.0


def patience(held: int) -> float:
    """Seconds to leave a free shard to others, for a process that holds so many."""
    return held * _STEP_SECONDS


def wanted(me: str, holders: Mapping[int, str], most: int) -> int | None:
    """Say which shard `me` should ask for; None if it has its share, or as many as it may."""
    held = Counter(holder for holder in holders.values() if holder)
    mine = held[me]
    if mine >= most or not held or any(not holder for holder in holders.values()):
        return None
    richest, its = max(held.items(), key=lambda each: (each[1], each[0]))
    if its < mine + 2:
        return None
    return max(shard for shard, holder in holders.items() if holder == richest)


def gives(me: str, asker: str, holders: Mapping[int, str]) -> bool:
    """Whether `me` should give a shard to `asker`."""
    held = Counter(holders.values())
    return bool(asker) and asker != me and held[me] >= held[asker] + 2
