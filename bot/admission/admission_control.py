"""What the bot is asked to answer, and whether it may: hourly limits and budget together."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.admission import budget
from bot.admission.budget import Budget
from bot.admission.hourly_limits import Caller, HourlyLimits, LimitReached
from bot.admission.usage import UsageLedger
from bot.domain.messages import shard_of
from bot.personas.persona import DEFAULT, Persona

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bot.admission.budget import Reservation
    from bot.domain.errors import SkyError
    from bot.domain.messages import Message
    from bot.domain.model_request import ModelRequest
    from bot.observability.metrics import Metrics
    from bot.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """A message that the bot answers, the words in it, the bot's own id, and when it was taken.

    `persona` is who answers; `image` says that a picture is asked for, `ambient` that the bot joins
    in unprompted. `refused` is sent instead of an answer. `replaces` are the messages of an earlier
    answer, in whose place this one comes. `nonce_base` is the id of the button press that asks for
    the answer again: the nonces from the question's id are used up then. An answer that another
    process broke off has the question's nonces, so that a message that was under way is not
    repeated. `late` is a call that was missed when it was posted. `in_thread` says that the answer
    goes into a thread on the question.
    """

    message: Message
    prompt: str
    me: int
    taken: float
    persona: Persona = DEFAULT
    image: bool = False
    ambient: bool = False
    refused: SkyError | None = None
    replaces: tuple[int, ...] = ()
    nonce_base: int | None = None
    late: bool = False
    in_thread: bool = False

    @property
    def age(self) -> float:
        """Seconds from the question to the press that wants it answered again, by Discord's ids."""
        return (
            ((self.nonce_base >> 22) - (self.message.id >> 22)) / 1000 if self.nonce_base else 0.0
        )

    @property
    def wordless(self) -> bool:
        """Whether nothing was asked: no words, no file, and no other message that is meant."""
        message = self.message
        asked = self.prompt or message.attachments or message.forwarded or message.begins_post
        return not asked and message.replies_to is None


@dataclass(frozen=True, slots=True)
class Booking:
    """A request that counts, and has money reserved, before its question was read."""

    caller: Caller
    limits: HourlyLimits
    reservation: Reservation

    def cancel(self) -> None:
        """Withdraw it: there will be no answer, and nothing counts."""
        self.limits.withdraw(self.caller)
        self.reservation.end()


class AdmissionControl:
    """The hourly limits and the budget of one process, and who used what."""

    def __init__(
        self, settings: Settings, metrics: Metrics, clock: Callable[[], float] = time.time
    ) -> None:
        self._metrics = metrics
        self._settings = settings
        self._limits = HourlyLimits(settings.limits, clock)
        self.ledger = Budget(settings.budget, metrics, clock)
        self.usage = UsageLedger(settings, clock)

    def admit(self, caller: Caller) -> LimitReached | None:
        """Admit a request and count it, or say what prevents it."""
        return self._counted(self.ledger.admit(caller) or self._limits.admit(caller))

    def book(self, caller: Caller, personas: Iterable[Persona]) -> LimitReached | Booking:
        """Admit a request whose question is not read yet, and reserve the most it can cost."""
        over = self.admit(caller)
        if over is not None:
            return over
        most = max(
            budget.most_before_reading(self._settings, each, image=True) for each in personas
        )
        shard = shard_of(caller.guild_id, self._settings.discord.shards)
        return Booking(caller, self._limits, self.ledger.reserve(most, shard))

    def over(self, caller: Caller) -> LimitReached | None:
        """Say what would prevent a request; counts nothing."""
        return self._counted(self.ledger.over(caller) or self._limits.over(caller))

    def reserve(self, request: AnswerRequest) -> Reservation:
        """Reserve the most that the answer to a request can cost, until the reservation ends."""
        shard = shard_of(request.message.guild_id, self._settings.discord.shards)
        reservation = self.ledger.reserve(self._most(request), shard)
        by = None if request.ambient else request.message.author.id
        reservation.meter = self.usage.begin(request.message, by)
        return reservation

    def take(self, booking: Booking, request: AnswerRequest) -> Reservation:
        """Turn a booking into the reservation of a request, now that its question was read."""
        reservation = booking.reservation
        reservation.lower(self._most(request))
        by = booking.caller.user_id  # also where the bot had joined in: now somebody asks for it
        reservation.meter = self.usage.begin(request.message, by)
        return reservation

    def know(self, reservation: Reservation, ask: ModelRequest) -> None:
        """Lower a reservation, now that it is known what the model will read."""
        reservation.lower(budget.most_of(self._settings, ask))

    def _most(self, request: AnswerRequest) -> float:
        return budget.most_before_reading(self._settings, request.persona, image=request.image)

    def _counted(self, over: LimitReached | None) -> LimitReached | None:
        if over is not None:
            self._metrics.limited.labels(over.scope).inc()
        return over
