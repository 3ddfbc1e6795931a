"""How a Lease's seconds are spent. Everything follows from how long it lasts.

A standby counts from when it saw a renewal, the holder from before it asked for it: so the holder's
count ends first, whatever the clocks of the two say, and `margin` earlier still.
With 75 s: renewed every 3 s, silent after 73 s without a renewal. A minute without the API server
begins up to 3 s after a renewal and leaves 10 s to be noticed and mended.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, all of them."""

    lasts: float
    renew: float  # from one renewal to the next
    retry: float  # after a renewal that failed
    look: float  # between two looks of a standby
    patience: float  # with one answer of the API server, for a renewal
    hurry: float  # the same, where somebody waits for the Lease to change hands
    margin: float  # how much earlier than it must the holder falls silent
    ending: float  # a deleted pod's process may go on for so long: terminationGracePeriodSeconds

    @classmethod
    def of(cls, lasts: float, shards: int = 1) -> Timing:
        """Derive the rest from how long a Lease lasts. Of many, each is looked at more rarely."""
        return cls(
            lasts=lasts,
            renew=lasts / 25,
            retry=lasts / 75,
            look=min(0.5, lasts / 10) * max(1.0, shards / 4),
            patience=lasts / 15,
            hurry=lasts / 50,
            margin=lasts * 2 / 75,
            ending=lasts / 2,
        )
