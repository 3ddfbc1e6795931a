"""Whether a call may be answered now: the limits per hour and the money, asked together."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bot.limits import Caller, Limits, Over
from bot.money import Purse

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.messages import Message
    from bot.metrics import Metrics
    from bot.settings import Settings


class Allowance:
    """The limits and the purse of one process."""

    def __init__(
        self, settings: Settings, metrics: Metrics, clock: Callable[[], float] = time.time
    ) -> None:
        self._metrics = metrics
        self._limits = Limits(settings.limits, clock)
        self.purse = Purse(settings.budget, metrics, clock)

    def admit(self, message: Message, *, unasked: bool = False) -> Over | None:
        """Let a call in and note it, or say what stands against it."""
        caller = Caller(message.author.id, message.channel_id, message.guild_id, unasked)
        over = self.purse.admit(caller) or self._limits.admit(caller)
        if over is not None:
            self._metrics.limited.labels(over.scope).inc()
        return over
