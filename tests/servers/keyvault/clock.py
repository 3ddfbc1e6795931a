"""The servers' clock, which a test may set wrong."""

import time


class Clock:
    """Unix time, `offset` seconds ahead of the machine's clock."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        """Return the servers' time."""
        return time.time() + self.offset
