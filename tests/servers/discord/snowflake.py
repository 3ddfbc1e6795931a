"""Discord's ids: 42 bits of milliseconds since 2015, then worker, process and a counter."""

import time
from collections.abc import Callable

EPOCH_MS = 1_420_070_400_000
_COUNTER_BITS = 22


class Snowflakes:
    """Makes ids that only grow, also when the clock stands still or steps back."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> int:
        """A new id, greater than every id before it."""
        self._last = max(self._last + 1, at(self._clock()))
        return self._last


def at(seconds: float, number: int = 0) -> int:
    """The id number `number` of the millisecond at `seconds` since 1970."""
    return ((int(seconds * 1000) - EPOCH_MS) << _COUNTER_BITS) + number


def made_at(snowflake: int) -> float:
    """Seconds since 1970 at which the id was made."""
    return ((snowflake >> _COUNTER_BITS) + EPOCH_MS) / 1000
