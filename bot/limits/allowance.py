"""Whether a call may be answered now: the limits per hour and the money, asked together."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bot import tokens
from bot.limits.hourly import Caller, Limits, Over
from bot.limits.money import Purse
from bot.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.call import Call
    from bot.messages import Message
    from bot.metrics import Metrics
    from bot.settings.schema import Settings


class Allowance:
    """The limits and the purse of one process."""

    def __init__(
        self, settings: Settings, metrics: Metrics, clock: Callable[[], float] = time.time
    ) -> None:
        self._metrics = metrics
        self._settings = settings
        self._limits = Limits(settings.limits, clock)
        self.purse = Purse(settings.budget, metrics, clock)

    def admit(self, message: Message, *, unasked: bool = False) -> Over | None:
        """Let a call in and note it, or say what stands against it."""
        caller = Caller(message.author.id, message.channel_id, message.guild_id, unasked)
        return self._counted(self.purse.admit(caller) or self._limits.admit(caller))

    def over(self, caller: Caller) -> Over | None:
        """Say what stands against a call that is only about to be made."""
        return self._counted(self.purse.over(caller) or self._limits.over(caller))

    def set_aside(self, call: Call) -> Callable[[], None]:
        """Set money aside for a call that was let in, until what is returned is called."""
        openai = self._settings.openai
        models = {call.persona.model or openai.model, openai.fallback_model or openai.model}
        read = self._settings.conversation.max_tokens + tokens.reckoned(call.persona.instructions)
        return self.purse.set_aside(
            Usage(model, input=read, output=openai.max_output_tokens, images=int(call.image))
            for model in models
        )

    def _counted(self, over: Over | None) -> Over | None:
        if over is not None:
            self._metrics.limited.labels(over.scope).inc()
        return over
