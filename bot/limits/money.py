"""What answers cost, and whether there is money left. Pure but for the metrics.

Counted from what the provider says an answer used up, at the prices of the settings. Days and
months are UTC's. What this process counts for a shard is kept in the shard's Lease
(lease/memory.py), so it outlives the pod; the total is the sum over all shards, as far as their
Leases were read.
"""

from __future__ import annotations

import contextlib
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from bot.limits.hourly import Caller, Over, Told
from bot.settings.limits import Price

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from bot.metrics import Metrics
    from bot.settings.limits import Budget
    from bot.usage import Usage

log = logging.getLogger(__name__)

_MILLION = 1_000_000
_DAYS, _MONTHS = "%Y-%m-%d", "%Y-%m"
_SOON = 60.0  # seconds after which an answer that is being written has most likely ended

Period = Literal["day", "month"]
_FORMS: dict[Period, str] = {"day": _DAYS, "month": _MONTHS}


def price_of(model: str, prices: Mapping[str, Price]) -> Price | None:
    """Look up a model: by its name, or as a dated version of the longest name that fits."""
    names = [name for name in prices if model == name or model.startswith(f"{name}-20")]
    return prices[max(names, key=len)] if names else None


def dearest(prices: Mapping[str, Price]) -> Price:
    """The safe side for a model without a price: the highest of each kind."""
    rows = list(prices.values())
    return Price(
        input=max((row.input for row in rows), default=0),
        output=max((row.output for row in rows), default=0),
    )


def cost(usage: Usage, budget: Budget) -> float:
    """The money for what one answer used up."""
    price = price_of(usage.model, budget.prices) or dearest(budget.prices)
    cached = price.input if price.cached_input is None else price.cached_input
    fresh = max(usage.input - usage.cached_input, 0)
    tokens = fresh * price.input + usage.cached_input * cached + usage.output * price.output
    return tokens / _MILLION + usage.images * budget.image + usage.searches * budget.search


class Purse:
    """Knows what was spent today and this month, and says when that is enough.

    A Keepsake (lease/memory.py): `dump` and `load` carry a shard's sums from pod to pod.
    """

    name = "money"

    def __init__(self, budget: Budget, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._budget = budget
        self._metrics = metrics
        self._clock = clock
        self._sums: dict[int, dict[str, float]] = {}
        self._expected: dict[int, float] = {}
        self._set_aside = 0.0  # for answers that were let in and have not ended
        self._told = Told()
        metrics.budget.labels("day").set(budget.daily)
        metrics.budget.labels("month").set(budget.monthly)
        self._show()

    def charge(self, usage: Usage, shard: int = 0) -> float:
        """Count what an answer of `shard` used up; returns its cost."""
        money = cost(usage, self._budget)
        sums = self._sums.setdefault(shard, {})
        for period in self._periods().values():
            sums[period] = sums.get(period, 0.0) + money
        known = price_of(usage.model, self._budget.prices) is not None
        self._metrics.spent_total.labels(usage.model).inc(money)
        if not known:
            self._metrics.unpriced.labels(usage.model).inc()
        self._show()
        return money

    @contextlib.contextmanager
    def expecting(self, usage: Usage, shard: int = 0) -> Iterator[None]:
        """Keep in mind what an answer that is being written will cost about.

        It is handed on with the rest, because whoever finishes it after a hand-over, or is killed
        in it, tells nobody any more.
        """
        money = cost(usage, self._budget)
        self._expected[shard] = self._expected.get(shard, 0.0) + money
        try:
            yield
        finally:
            self._expected[shard] -= money

    def set_aside(self, most: Iterable[Usage]) -> Callable[[], None]:
        """Set the dearest of `most` aside for a call that was let in; returns what ends that.

        What an answer will cost is not known before its end, so it counts as the most it can.
        """
        money = max(cost(each, self._budget) for each in most)
        self._set_aside += money

        def end() -> None:
            self._set_aside -= money

        return end

    def spent(self, period: Period) -> float:
        """What was spent in the present day or month, by all shards that are known of."""
        return sum(sums.get(self._periods()[period], 0.0) for sums in self._sums.values())

    def admit(self, caller: Caller) -> Over | None:
        """Let a call in while there is money for it, or say when there will be some again."""
        over = self.over(caller)
        if over is None or caller.unasked:
            return over
        tell = self._told.first(over.scope, caller.channel_id, over.until, self._clock())
        return replace(over, tell=tell)

    def over(self, caller: Caller) -> Over | None:
        """Say what stands against a call and note nothing: what is spent, or may be soon."""
        below = 1 - self._budget.reserve if caller.unasked else 1.0
        bounds = list(self._bounds())
        for period, most, until in bounds:
            if self.spent(period) >= most * below:
                return Over(period, until)
        for period, most, _ in bounds:
            if self.spent(period) + self._set_aside >= most * below:
                return Over("set_aside", self._clock() + _SOON)
        return None

    def dump(self, shard: int) -> str:
        """See Keepsake: the sums of the present day and month."""
        sums, expected = self._sums.get(shard, {}), self._expected.get(shard, 0.0)
        now = {name: sums.get(name, 0.0) + expected for name in self._periods().values()}
        return json.dumps({name: round(money, 6) for name, money in now.items() if money > 0})

    def load(self, shard: int, text: str) -> None:
        """See Keepsake. Sums only grow, so the higher of what is known is true."""
        try:
            found = {str(period): float(money) for period, money in json.loads(text).items()}
        except (ValueError, TypeError, AttributeError):
            log.warning("kept money cannot be read", extra={"shard": shard})
            return
        sums = self._sums.setdefault(shard, {})
        for period in self._periods().values():
            sums[period] = max(sums.get(period, 0.0), found.get(period, 0.0))
        self._show()

    def _bounds(self) -> Iterator[tuple[Period, float, float]]:
        """Each bound that there is, the later end first: who waits is told the true one."""
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
