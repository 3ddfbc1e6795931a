"""When a session may begin: Discord lets so many shards identify within five seconds.

Shards whose numbers differ by a multiple of its `max_concurrency` wait for each other. Other pods
are not known here: an identify that comes too soon for one of theirs is refused and repeated.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

_SECONDS = 5.1


class Turnstile:
    """Lets the shards of this process through, one after the other where they have to wait."""

    def __init__(self, shards: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._shards = shards
        self._clock = clock
        self._concurrency = 0  # 0: not known yet
        self._next: dict[int, float] = {}

    async def __call__(self, shard: int, ask: Callable[[], Awaitable[tuple[int, int]]]) -> None:
        """Wait for the shard's turn.

        `ask` gives how many shards Discord recommends, and its `max_concurrency`.
        """
        if self._shards == 1:
            return
        if not self._concurrency:
            recommended, self._concurrency = await ask()
            if recommended > self._shards:
                numbers = {"recommended": recommended, "shards": self._shards}
                log.warning("Discord recommends more shards: set discord.shards", extra=numbers)
        key, now = shard % max(1, self._concurrency), self._clock()
        at = max(now, self._next.get(key, now))
        self._next[key] = at + _SECONDS
        await asyncio.sleep(at - now)
