"""What answers cost, at most and in fact, and whether there is money left. Pure but for metrics.

A request is bounded by what the provider is sent: `max_output_tokens`, and `max_tool_calls`, or
`n` where it draws only. What is reserved before an answer covers one request with all of that by
the dearest model that may be asked, and one more, without tools: another attempt, or going on with
what broke off. Whatever else may be tried after a failure is tried only while the rest of the
reservation covers it (Account.covers), so no answer costs more, whichever way it fails.

Costs follow from the usage that the provider reports and the prices in the settings. Days and
months are UTC's. What this process spends for a shard is kept in the shard's Lease
(leadership/handover_state.py), so it outlives the pod; the total is the sum over all shards, as far
as their Leases were read.
"""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from bot.admission.hourly_limits import Caller, LimitReached, NoticeLog
from bot.domain import text as tokens
from bot.domain.model_request import Usage, ceiling
from bot.settings.schema import Price

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bot.admission.usage import Meter
    from bot.domain.model_request import ModelRequest
    from bot.observability.metrics import Metrics
    from bot.personas.persona import Persona
    from bot.settings.schema import BudgetSettings, Settings

log = logging.getLogger(__name__)


_SEARCH, _DRAW = "web_search", "image_generation"
_AROUND = 100  # tokens: the request around the turns, and the instruction to continue
# A check of an answer reads 400 characters before each 240 (moderation_pipeline.py), and the tokens
# that are estimated here are up to 4 times the provider's (domain/text.py).
_MODERATED_PER_TOKEN = 12
_MILLION = 1_000_000
_DAYS, _MONTHS = "%Y-%m-%d", "%Y-%m"
_PENNY = 1e-9  # less than any price, more than what adding up floats costs
_RESERVED = "reserved"
_SOON = 60.0  # seconds after which an answer that is being written has most likely ended

Period = Literal["day", "month"]
_FORMS: dict[Period, str] = {"day": _DAYS, "month": _MONTHS}


def price_of(model: str, prices: Mapping[str, Price]) -> Price | None:
    """Look up a model by its name, or as a dated version of the longest matching name."""
    names = [name for name in prices if model == name or model.startswith(f"{name}-20")]
    return prices[max(names, key=len)] if names else None


def dearest(prices: Mapping[str, Price]) -> Price:
    """Return the highest price of each kind: the safe side for a model without a price."""
    rows = list(prices.values())
    return Price(
        input=max((row.input for row in rows), default=0),
        output=max((row.output for row in rows), default=0),
    )


def cost(usage: Usage, budget: BudgetSettings) -> float:
    """Return the cost of one answer's usage."""
    price = price_of(usage.model, budget.prices) or dearest(budget.prices)
    cached = price.input if price.cached_input is None else price.cached_input
    fresh = max(usage.input - usage.cached_input, 0)
    tokens = fresh * price.input + usage.cached_input * cached + usage.output * price.output
    tokens += usage.moderated * budget.moderation
    return tokens / _MILLION + usage.images * budget.image + usage.searches * budget.search


def tool_calls(settings: Settings, persona: Persona, *, image: bool) -> tuple[int, int]:
    """Return how many searches and drawings an answer of a persona may make."""
    if settings.openai.api == "chat":  # no tools but the Images API, which is asked for one
        return 0, int(image)
    limits = settings.limits
    searches = limits.searches if _SEARCH in persona.tools else 0
    return searches, limits.drawings if image or _DRAW in persona.tools else 0


def most_before_reading(settings: Settings, persona: Persona, *, image: bool) -> float:
    """Return the most that an answer can cost while its conversation is not known yet."""
    searches, drawings = tool_calls(settings, persona, image=image)
    text = tokens.estimate_tokens(persona.instructions) + settings.conversation.max_tokens + _AROUND
    sent = _Sent(text, settings.files.pictures, searches, drawings)
    return _most(settings, persona.model, sent)


def most_of(settings: Settings, ask: ModelRequest) -> float:
    """Return the most that an answer can cost once it is known what the model will read."""
    sent = _Sent(ask.text_tokens + _AROUND, ask.pictures, ask.searches, ask.drawings)
    return _most(settings, ask.model, sent)


@dataclass(frozen=True, slots=True)
class _Sent:
    text: int
    pictures: int
    searches: int
    drawings: int


def _most(settings: Settings, chosen: str | None, sent: _Sent) -> float:
    """Give the money for one request with all of it, another one, and the moderation."""
    output = settings.openai.max_output_tokens
    first = second = 0.0
    for model in {chosen or settings.openai.model, settings.openai.fallback_model} - {None}:
        assert model is not None
        whole = ceiling(
            model,
            text=sent.text,
            pictures=sent.pictures,
            output=output,
            searches=sent.searches,
            drawings=sent.drawings,
        )
        plain = ceiling(model, text=sent.text + output, pictures=sent.pictures, output=output)
        first = max(first, cost(whole, settings.budget))
        second = max(second, cost(plain, settings.budget))
    return first + second + _moderation(settings)


def _moderation(settings: Settings) -> float:
    safety, read = settings.safety, 0
    if safety.moderation in {"input", "both"}:
        read += 2 * settings.conversation.max_tokens  # flagged history is read again in parts
    if safety.moderation in {"output", "both"}:
        read += 2 * _MODERATED_PER_TOKEN * settings.openai.max_output_tokens
    return cost(Usage(safety.moderation_model, moderated=read), settings.budget)


@dataclass(eq=False, slots=True)
class Reservation:
    """Money reserved for one answer, which its requests are charged to, and what measures them."""

    ledger: Budget
    shard: int
    left: float
    meter: Meter | None = None

    def charge(self, usage: Usage) -> None:
        """Charge a request. What the reservation does not cover is counted too, and in a metric."""
        if self.meter is not None:
            self.meter.charge(usage)
        money = self.ledger.charge(usage, self.shard)
        if money > self.left + _PENNY:
            self.ledger.overrun(money - self.left)
        self.left = max(0.0, self.left - money)

    def covers(self, most: Usage) -> bool:
        """Say whether the rest covers one more request. Without any bound, it always does."""
        return self.ledger.covers(self.left, most)

    def lower(self, most: float) -> None:
        """Reserve no more than `most`, as soon as more is known about the answer."""
        self.left = min(self.left, most)

    def forfeit(self) -> None:
        """Count the rest as spent: what is still spent on the answer cannot be charged."""
        self.ledger.forfeit(self.left, self.shard)
        self.left = 0.0
        if self.meter is not None:
            self.meter.lose()

    def end(self) -> None:
        """Release the rest."""
        self.ledger.reserved.discard(self)
        if self.meter is not None:
            self.meter.end()


class Budget:
    """Tracks what was spent today and this month, and says when that is enough.

    A HandoverState (leadership/handover_state.py): `dump` and `load` carry a shard's sums from pod
    to pod.
    """

    name = "money"

    def __init__(
        self, budget: BudgetSettings, metrics: Metrics, clock: Callable[[], float]
    ) -> None:
        self._budget = budget
        self._metrics = metrics
        self._clock = clock
        self._sums: dict[int, dict[str, float]] = {}
        self.reserved: set[Reservation] = set()  # for answers that have not ended
        self._handed: dict[int, float] = {}  # reserved by the leader before
        self._told = NoticeLog()
        metrics.budget.labels("day").set(budget.daily)
        metrics.budget.labels("month").set(budget.monthly)
        self._show()

    def charge(self, usage: Usage, shard: int = 0) -> float:
        """Count what an answer of `shard` used; returns its cost."""
        money = cost(usage, self._budget)
        sums = self._sums.setdefault(shard, {})
        for period in self._periods().values():
            sums[period] = sums.get(period, 0.0) + money
        self._metrics.spent_total.labels(usage.model).inc(money)
        if price_of(usage.model, self._budget.prices) is None and not usage.moderated:
            self._metrics.unpriced.labels(usage.model).inc()
        self._show()
        return money

    def forfeit(self, money: float, shard: int) -> None:
        """Count money as spent for `shard` although no usage of it was reported."""
        sums = self._sums.setdefault(shard, {})
        for period in self._periods().values():
            sums[period] = sums.get(period, 0.0) + money
        self._show()

    def reserve(self, most: float, shard: int = 0) -> Reservation:
        """Reserve `most` for an admitted answer until its reservation ends.

        The cost is not known before the end, so an answer counts as the most it can cost.
        Reservations are handed over with the rest: a process that finishes an answer after a
        hand-over, or is killed in it, can report nothing any more.
        """
        reservation = Reservation(self, shard, most)
        self.reserved.add(reservation)
        return reservation

    def covers(self, left: float, most: Usage) -> bool:
        """Say whether `left` of a reservation is enough for one more request that uses `most`."""
        bounded = self._budget.daily or self._budget.monthly
        return not bounded or cost(most, self._budget) <= left + _PENNY

    def overrun(self, money: float) -> None:
        """Note that an answer cost more than was reserved for it: a bound was ignored."""
        self._metrics.overrun.inc(money)
        log.warning("an answer cost more than was reserved for it", extra={"more": round(money, 6)})

    def spent(self, period: Period) -> float:
        """Return what was spent in the current day or month, by all shards that are known."""
        own = sum(sums.get(self._periods()[period], 0.0) for sums in self._sums.values())
        return own + sum(self._handed.values())

    def admit(self, caller: Caller) -> LimitReached | None:
        """Admit a request while there is money for it, or say when there will be some again."""
        over = self.over(caller)
        if over is None or caller.ambient:
            return over
        tell = self._told.first(over.scope, caller.channel_id, over.until, self._clock())
        return replace(over, tell=tell)

    def over(self, caller: Caller) -> LimitReached | None:
        """Say what prevents a request, and note nothing: what is spent, or may be soon."""
        below = 1 - self._budget.reserve if caller.ambient else 1.0
        bounds = list(self._bounds())
        for period, most, until in bounds:
            if self.spent(period) >= most * below:
                return LimitReached(period, until)
        reserved = sum(each.left for each in self.reserved)
        for period, most, _ in bounds:
            if self.spent(period) + reserved >= most * below:
                return LimitReached("set_aside", self._clock() + _SOON)
        return None

    @property
    def left(self) -> float:
        """What is neither spent nor reserved, by whichever bound is nearer; infinite without one.

        It is negative where more was spent than a bound allows.
        """
        reserved = sum(each.left for each in self.reserved)
        bounds = (most - self.spent(period) for period, most, _ in self._bounds())
        return min(bounds, default=math.inf) - reserved

    def dump(self, shard: int) -> str:
        """See HandoverState: the sums of the current day and month, and what is reserved.

        What a predecessor had reserved counts as spent from here on: it can no longer report how
        much of it was needed.
        """
        sums, handed = self._sums.setdefault(shard, {}), self._handed.pop(shard, 0.0)
        for period in self._periods().values():
            sums[period] = sums.get(period, 0.0) + handed
        now = {name: sums[name] for name in self._periods().values()}
        now[_RESERVED] = sum(each.left for each in self.reserved if each.shard == shard)
        return json.dumps({name: round(money, 6) for name, money in now.items() if money > 0})

    def load(self, shard: int, text: str) -> None:
        """See HandoverState. Sums only grow, so the higher of two values is the true one."""
        try:
            kept = {str(name): float(money) for name, money in json.loads(text).items()}
        except (ValueError, TypeError, AttributeError):
            log.warning("budget annotation cannot be read", extra={"shard": shard})
            return
        found = {name: money for name, money in kept.items() if 0 <= money < math.inf}
        sums = self._sums.setdefault(shard, {})
        for period in self._periods().values():
            sums[period] = max(sums.get(period, 0.0), found.get(period, 0.0))
        self._handed[shard] = found.get(_RESERVED, 0.0)
        self._show()

    def _bounds(self) -> Iterator[tuple[Period, float, float]]:
        """Yield each bound, the one that ends later first: the person is told the true time."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if self._budget.monthly:
            following = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
            yield "month", self._budget.monthly, following.timestamp()
        if self._budget.daily:
            yield "day", self._budget.daily, (midnight + timedelta(days=1)).timestamp()

    def _periods(self) -> dict[Period, str]:
        now = datetime.fromtimestamp(self._clock(), UTC)
        return {period: now.strftime(form) for period, form in _FORMS.items()}

    def _show(self) -> None:
        for sums in self._sums.values():  # what is over is over
            for old in set(sums) - set(self._periods().values()):
                del sums[old]
        for period in _FORMS:
            self._metrics.spent.labels(period).set(self.spent(period))
