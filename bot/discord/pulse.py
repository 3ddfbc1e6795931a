"""Whether the gateway is truly alive: a session is open, and Discord acknowledges its heartbeats.

discord.py's `is_ready()` stays true while disconnected, and its `latency` keeps the last value on a
connection that went silent. But every acknowledgement measures the latency anew, so a changed value
is a beat that was acknowledged. It is looked at every second.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.metrics import Metrics


class Pulse:
    """What is known of the session now.

    Of the `siblings`, one for each shard, the metrics show the one that is worst off.
    """

    def __init__(
        self,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
        siblings: list[Pulse] | None = None,
    ) -> None:
        self._siblings = [] if siblings is None else siblings
        self._siblings.append(self)
        self._metrics = metrics
        self._clock = clock
        self._latency = math.inf
        self._acknowledged = -math.inf
        self.open = False
        self._why = "not yet logged in"
        self.ever_open = asyncio.Event()
        self.since = clock()  # when it was opened or closed last

    def opened(self, event: str) -> None:
        """Note that a session began (`ready`) or went on (`resumed`)."""
        self._metrics.gateway.labels(event).inc()
        self._acknowledged = self._clock()
        self._turn(is_open=True)
        self.ever_open.set()

    def closed(self, event: str) -> None:
        """Note that the session is interrupted or over, and why."""
        self._why = event
        self._metrics.gateway.labels(event).inc()
        self._turn(is_open=False)

    def _turn(self, *, is_open: bool) -> None:
        if self.open != is_open:
            self.since = self._clock()
        self.open = is_open
        self._metrics.gateway_open.set(all(each.open for each in self._siblings))

    def leave(self) -> None:
        """Count no more: the session is meant to be over."""
        self._siblings.remove(self)
        self._metrics.gateway_open.set(all(each.open for each in self._siblings))

    def sample(self, latency: float) -> None:
        """Look at the client's latency now, in seconds; infinite or NaN before the first beat."""
        if math.isfinite(latency) and latency != self._latency:
            self._latency = latency
            self._acknowledged = self._clock()
            self._metrics.latency.set(latency)
        age = max(each.heartbeat_age() for each in (self, *self._siblings))
        self._metrics.heartbeat.set(age if math.isfinite(age) else -1)

    def heartbeat_age(self) -> float:
        """Seconds since the last acknowledged beat; infinite before the first."""
        return self._clock() - self._acknowledged

    def deaf_for(self, seconds: float) -> bool:
        """Whether a session is open whose heartbeats were not acknowledged for so long."""
        return self.open and self.heartbeat_age() > seconds

    def not_ready(self, heartbeat_seconds: float) -> str | None:
        """Why nothing can be heard from Discord now, None when all is well."""
        if not self.open:
            return f"no gateway session is open: {self._why}"
        if self.heartbeat_age() > heartbeat_seconds:
            return "Discord does not acknowledge heartbeats"
        return None

    def closed_for(self) -> float:
        """Seconds since the session was interrupted; 0 while it is open."""
        return 0.0 if self.open else self._clock() - self.since


async def sample_every_second(
    pulse: Pulse, latency: Callable[[], float], metrics: Metrics, seconds: float = 1.0
) -> None:
    """Keep `pulse` sampled, and measure how late the event loop wakes, until cancelled."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(seconds)
        metrics.loop_lag.set(max(0.0, time.monotonic() - began - seconds))
        pulse.sample(latency())
