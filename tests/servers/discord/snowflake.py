"""Discord's ids: 42 bits of milliseconds since 2015, then worker, process and a counter."""

import time
from collections.abc import Callable

EPOCH_MS = 1_420_070_400_000
_COUNTER_BITS = 22


class Snowflakes:
    """Creates increasing ids, even if the clock stands still or steps back."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        """Return a new id, greater than all earlier ones."""
        self._last = max(self._last + 1, at(self._clock()))
        return self._last


def at(seconds: float, number: int = 0) -> int:
    """Return the id number `number` of the millisecond at `seconds` since 1970."""
    return ((int(seconds * 1000) - EPOCH_MS) << _COUNTER_BITS) + number


def made_at(snowflake: int) -> float:
    """Return the seconds since 1970 at which the id was created."""
    return ((snowflake >> _COUNTER_BITS) + EPOCH_MS) / 1000
