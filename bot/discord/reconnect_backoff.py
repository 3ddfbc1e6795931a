"""Compute the wait before the next connection to the gateway, whatever ended the last one.

Discord resets the token of a bot that identifies more than 1,000 times a day
(https://discord.com/developers/docs/events/gateway#identifying), and a gateway that accepts and
closes, or invalidates every session, would make a loop of reconnects. So every reconnect waits,
except the first after a session that lasted.
"""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_FIRST, _LONGEST = 1.0, 15.0  # seconds, between two connections
_QUICK = 6  # connections before their pause grows: Discord restarts many of its servers in a row
_FIRST_IDENTIFY, _LONGEST_IDENTIFY = 5.0, 160.0  # at least 80 s: 1,080 a day at the very worst
_QUICK_IDENTIFIES = 3  # before their pause grows
_LASTED = 60.0  # a session that lasted so long did not fail to begin


class ReconnectBackoff:
    """Outlives the clients of one shard, so that a new login does not start from zero."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._opened: float | None = None
        self.reset()

    def reset(self) -> None:
        """Forget past failures, because something has changed, such as the token."""
        self.failures = 0
        self._identifies = 0

    def opened(self) -> None:
        """Note that a session began or was resumed."""
        self._opened = self._clock()

    def identified(self) -> None:
        """Note that an IDENTIFY is sent."""
        self._identifies += 1

    def pause(self, *, identify: bool) -> float:
        """Return the seconds to wait now; `identify` says that the session is to start over."""
        if self._opened is not None and self._clock() - self._opened >= _LASTED:
            self.reset()
        self._opened = None
        pause = _growing(_FIRST, self.failures - _QUICK, _LONGEST) if self.failures else 0.0
        self.failures += 1
        if identify and self._identifies:
            doublings = self._identifies - _QUICK_IDENTIFIES
            pause = max(pause, _growing(_FIRST_IDENTIFY, doublings, _LONGEST_IDENTIFY))
        return pause * self._jitter(0.5, 1)


def _growing(first: float, doublings: int, longest: float) -> float:
    return min(math.ldexp(first, min(max(doublings, 0), 10)), longest)
