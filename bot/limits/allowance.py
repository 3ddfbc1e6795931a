"""Whether a call may be answered now: the limits per hour and the money, asked together."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.limits import ceiling
from bot.limits.hourly import Caller, Limits, Over
from bot.limits.money import Purse
from bot.messages import shard_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bot.ask import Ask
    from bot.call import Call
    from bot.limits.money import Reservation
    from bot.messages import Message
    from bot.metrics import Metrics
    from bot.personas.character import Persona
    from bot.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class Booking:
    """A call that counts, and has money reserved, before its question was read."""

    caller: Caller
    limits: Limits
    reservation: Reservation

    def cancel(self) -> None:
        """Let it count for nothing: there will be no answer."""
        self.limits.withdraw(self.caller)
        self.reservation.end()


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
        return self._admit(Caller(message.author.id, message.channel_id, message.guild_id, unasked))

    def book(self, caller: Caller, personas: Iterable[Persona]) -> Over | Booking:
        """Let in a call whose question is not read yet, and reserve the most it can cost."""
        over = self._admit(caller)
        if over is not None:
            return over
        most = max(ceiling.before_reading(self._settings, each, image=True) for each in personas)
        shard = shard_of(caller.guild_id, self._settings.discord.shards)
        return Booking(caller, self._limits, self.purse.reserve(most, shard))

    def over(self, caller: Caller) -> Over | None:
        """Say what stands against a call that is only about to be made."""
        return self._counted(self.purse.over(caller) or self._limits.over(caller))

    def reserve(self, call: Call) -> Reservation:
        """Reserve the most that the answer to a call can cost, until the reservation ends."""
        shard = shard_of(call.message.guild_id, self._settings.discord.shards)
        return self.purse.reserve(self._most(call), shard)

    def take(self, booking: Booking, call: Call) -> Reservation:
        """Turn a booking into the reservation for a call, now that its question was read."""
        booking.reservation.lower(self._most(call))
        return booking.reservation

    def know(self, reservation: Reservation, ask: Ask) -> None:
        """Reserve no more than that, now that it is known what the model will read."""
        reservation.lower(ceiling.of_ask(self._settings, ask))

    def _most(self, call: Call) -> float:
        return ceiling.before_reading(self._settings, call.persona, image=call.image)

    def _admit(self, caller: Caller) -> Over | None:
        return self._counted(self.purse.admit(caller) or self._limits.admit(caller))

    def _counted(self, over: Over | None) -> Over | None:
        if over is not None:
            self._metrics.limited.labels(over.scope).inc()
        return over
