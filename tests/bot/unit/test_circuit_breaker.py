"""A model that is down is left in peace."""

from __future__ import annotations

import pytest

from bot.domain.errors import ModelPaused
from bot.llm.retries import Breaker


class Clock:
    """Time that passes when the test says so."""

    now = 100.0

    def __call__(self) -> float:
        """Tell it."""
        return self.now


def broken(clock: Clock, failures: int = 3) -> Breaker:
    breaker = Breaker(failures, 5.0, clock)
    for _ in range(3):
        breaker.admit()
        breaker.failed()
    return breaker


def test_so_many_failures_in_a_row_open_it() -> None:
    breaker = broken(Clock())

    assert breaker.open
    with pytest.raises(ModelPaused):
        breaker.admit()


def test_an_answer_in_between_begins_the_count_anew() -> None:
    breaker = Breaker(3, 5.0, Clock())
    for _ in range(5):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()

    breaker.admit()


def test_after_a_while_one_may_try_and_the_others_wait_for_what_comes_of_it() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now += 5

    breaker.admit()
    with pytest.raises(ModelPaused):
        breaker.admit()
    breaker.succeeded()

    breaker.admit()
    breaker.admit()


def test_who_tries_and_fails_closes_the_door_for_as_long_again() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now += 5
    breaker.admit()
    breaker.failed()

    clock.now += 4.9
    with pytest.raises(ModelPaused):
        breaker.admit()
    clock.now += 0.1
    breaker.admit()


def test_who_tries_and_is_never_heard_of_again_does_not_close_it_for_good() -> None:
    clock = Clock()
    breaker = broken(clock)
    clock.now += 5
    breaker.admit()

    clock.now += 5
    breaker.admit()


@pytest.mark.parametrize(
    ("seconds", "passed", "wait"),
    [
        (5, 0, "5 seconds"),
        (5, 3.2, "2 seconds"),
        (5, 4.9, "1 second"),
        (100, 0, "100 seconds"),
        (101, 0, "2 minutes"),
        (3600, 0, "60 minutes"),
    ],
)
def test_it_says_when_somebody_is_let_through_again(
    seconds: float, passed: float, wait: str
) -> None:
    clock = Clock()
    breaker = Breaker(1, seconds, clock)
    breaker.failed()
    clock.now += passed

    with pytest.raises(ModelPaused) as paused:
        breaker.admit()

    assert paused.value.sentence.endswith(f"Please ask me again in {wait}.")


def test_it_can_be_switched_off() -> None:
    broken(Clock(), failures=0).admit()
