"""What answers cost, and when the money is spent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from bot.admission.budget import Budget, cost
from bot.admission.hourly_limits import Caller, LimitReached
from bot.domain.model_request import Usage
from bot.observability.metrics import Metrics
from bot.settings.schema import BudgetSettings, Price

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 11, 25, tzinfo=UTC).timestamp()
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
ADA = Caller(user_id=1, channel_id=10, guild_id=100)
PRICES = {
    "small": Price(input=1, cached_input=0.1, output=4),
    "small-fast": Price(input=2, output=3),
}


@dataclass
class Bank:
    """A purse with a clock that stands until it is moved."""

    budget: BudgetSettings
    now: float = NOON
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.ledger = Budget(self.budget, self.metrics, lambda: self.now)

    def shown(self, series: str, **labels: str) -> float:
        """Read a metric."""
        return self.metrics.registry.get_sample_value(f"discord_sky_{series}", labels) or 0.0


def budget(**more: float) -> BudgetSettings:
    return BudgetSettings(prices=PRICES, **more)  # type: ignore[arg-type]  # numbers, all of them


@pytest.mark.parametrize(
    ("usage", "money"),
    [
        (Usage("small", input=1_000_000), 1),
        (Usage("small", input=1_000_000, cached_input=400_000), 0.6 + 0.04),
        (Usage("small", output=500_000), 2),
        (Usage("small-fast", input=500_000, cached_input=500_000), 1),
        (Usage("small-2026-08-07", output=1_000_000), 4),
        (Usage("small-fast-2026-08-07", output=1_000_000), 3),
        (Usage("unheard-of", input=1_000_000, output=1_000_000), 2 + 4),
        (Usage("small", images=2, searches=3), 2 * 0.5 + 3 * 0.25),
    ],
    ids=[
        "input",
        "cached",
        "output",
        "no price for cached",
        "dated",
        "longest",
        "dearest",
        "tools",
    ],
)
def test_an_answer_costs_what_the_price_table_says(usage: Usage, money: float) -> None:
    assert cost(usage, budget(image=0.5, search=0.25)) == pytest.approx(money)


def test_without_a_bound_money_is_counted_and_nobody_is_stopped() -> None:
    bank = Bank(budget())

    bank.ledger.charge(Usage("small", output=1_000_000_000))

    assert bank.ledger.admit(ADA) is None
    assert bank.shown("spent", period="day") == bank.shown("spent", period="month") == 4000


def test_a_spent_day_is_told_once_in_a_place_and_ends_at_midnight_utc() -> None:
    bank = Bank(budget(daily=4))
    bank.ledger.charge(Usage("small", output=1_000_000))

    assert bank.ledger.admit(ADA) == LimitReached("day", MIDNIGHT, tell=True)
    assert bank.ledger.admit(Caller(2, 10, 100)) == LimitReached("day", MIDNIGHT, tell=False)
    assert bank.ledger.admit(Caller(2, 11, 100)) == LimitReached("day", MIDNIGHT, tell=True)

    bank.now = MIDNIGHT
    assert bank.ledger.admit(ADA) is None
    assert bank.ledger.spent("month") == 4


def test_a_spent_month_ends_with_the_month_even_if_the_day_is_spent_too() -> None:
    bank = Bank(budget(daily=4, monthly=4))
    bank.ledger.charge(Usage("small", output=1_000_000))

    assert bank.ledger.admit(ADA) == LimitReached("month", DECEMBER, tell=True)

    bank.now = DECEMBER
    assert bank.ledger.admit(ADA) is None


def test_joining_in_unasked_stops_first_and_says_nothing() -> None:
    bank = Bank(budget(daily=10, reserve=0.5))
    bank.ledger.charge(Usage("small", output=1_500_000))

    assert bank.ledger.admit(Caller(1, 10, 100, ambient=True)) == LimitReached(
        "day", MIDNIGHT, tell=False
    )
    assert bank.ledger.admit(ADA) is None


def test_what_is_being_written_counts_as_the_most_that_it_can_cost_until_it_ends() -> None:
    bank = Bank(budget(daily=10, monthly=100))

    first = bank.ledger.reserve(4)
    assert bank.ledger.admit(ADA) is None
    second = bank.ledger.reserve(8)

    assert bank.ledger.admit(ADA) == LimitReached("set_aside", NOON + 60, tell=True)
    assert bank.ledger.admit(Caller(2, 10, 100)) == LimitReached("set_aside", NOON + 60, tell=False)
    assert bank.ledger.admit(Caller(2, 11, 100, ambient=True)) == LimitReached(
        "set_aside", NOON + 60
    )
    assert bank.ledger.spent("day") == 0

    second.charge(Usage("small", output=250_000))
    second.end()
    assert bank.ledger.admit(ADA) is None
    first.end()
    assert bank.ledger.spent("day") == 1


def test_looking_notes_nothing() -> None:
    bank = Bank(budget(daily=4))
    bank.ledger.charge(Usage("small", output=1_000_000))

    assert [bank.ledger.over(ADA) for _ in range(2)] == [LimitReached("day", MIDNIGHT)] * 2
    assert bank.ledger.admit(ADA) == LimitReached("day", MIDNIGHT, tell=True)


def test_a_model_without_a_price_shows_in_a_metric() -> None:
    bank = Bank(budget())

    bank.ledger.charge(Usage("unheard-of", output=1_000_000))

    assert bank.shown("unpriced_answers_total", model="unheard-of") == 1
    assert bank.shown("spent_money_total", model="unheard-of") == 4


def test_the_next_pod_takes_up_what_was_spent_and_the_shards_add_up() -> None:
    before, after = Bank(budget(daily=10)), Bank(budget(daily=10))
    before.ledger.charge(Usage("small", output=1_000_000), shard=0)
    before.ledger.charge(Usage("small", output=500_000), shard=1)

    for shard in (0, 1, 1):  # read again and again, it counts once
        after.ledger.load(shard, before.ledger.dump(shard))
    after.ledger.charge(Usage("small", output=1_000_000), shard=1)

    assert after.ledger.spent("day") == 10
    assert after.ledger.admit(ADA) is not None
    assert json.loads(after.ledger.dump(1)) == {"2026-11-24": 6, "2026-11": 6}


def test_an_answer_that_is_being_written_at_a_hand_over_is_handed_on_as_the_most_it_can_cost() -> (
    None
):
    before, after = Bank(budget(daily=10)), Bank(budget(daily=10))

    reservation = before.ledger.reserve(4)
    after.ledger.load(0, before.ledger.dump(0))
    assert before.ledger.spent("day") == 0
    reservation.charge(Usage("small", output=500_000))
    reservation.end()

    assert after.ledger.spent("day") == 4
    assert json.loads(before.ledger.dump(0)) == {"2026-11-24": 2, "2026-11": 2}
    assert json.loads(after.ledger.dump(0)) == {"2026-11-24": 4, "2026-11": 4}
    assert after.ledger.spent("day") == 4


def test_what_another_pod_reserves_counts_only_until_its_answers_end() -> None:
    is_leader, standby = Bank(budget(daily=10)), Bank(budget(daily=10))
    reservation = is_leader.ledger.reserve(4)
    standby.ledger.load(0, is_leader.ledger.dump(0))

    reservation.charge(Usage("small", output=500_000))
    reservation.end()
    standby.ledger.load(0, is_leader.ledger.dump(0))

    assert standby.ledger.spent("day") == 2


def test_a_further_request_is_covered_by_what_is_left_of_the_reservation() -> None:
    bank, unbounded = Bank(budget(daily=10)), Bank(budget())
    small = Usage("small", output=1_000_000)
    reservation = bank.ledger.reserve(9)

    assert reservation.covers(small)
    reservation.charge(small)
    assert reservation.covers(small)
    reservation.charge(small)
    assert not reservation.covers(small)
    assert unbounded.ledger.reserve(0).covers(small)


def test_an_answer_that_costs_more_than_was_reserved_is_counted_whole_and_shows() -> None:
    bank = Bank(budget(daily=10))

    bank.ledger.reserve(3).charge(Usage("small", output=1_000_000))

    assert bank.ledger.spent("day") == 4
    assert bank.shown("overrun_money_total") == 1


def test_yesterdays_money_is_not_todays() -> None:
    before = Bank(budget(daily=4))
    before.ledger.charge(Usage("small", output=1_000_000))
    after = Bank(budget(daily=4), now=MIDNIGHT)

    after.ledger.load(0, before.ledger.dump(0))

    assert (after.ledger.spent("day"), after.ledger.spent("month")) == (0, 4)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        '{"2026-11": NaN, "reserved": -1e999}',
        '{"2026-11-24": "much"}',
        '{"2026-11": null}',
    ],
)
def test_what_cannot_be_read_is_passed_over(text: str) -> None:
    bank = Bank(budget(daily=4))

    bank.ledger.load(0, text)

    assert bank.ledger.spent("day") == 0


def test_what_is_kept_is_small() -> None:
    bank = Bank(budget())
    for day in range(400):
        bank.now = NOON + day * 86_400
        bank.ledger.charge(Usage("small", output=123_456))

    assert len(bank.ledger.dump(0)) < 100
