"""Which calls count as taken, in this process and in the next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.leadership.handover_state import ProcessedMessages, packed, unpacked

ENDING = 35.0
LONG_AGO = 1_456_000_000_000_000_000


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def succeeded(first: ProcessedMessages, clock: Clock, *, orderly: bool) -> ProcessedMessages:
    """The next process, which begins with what the first wrote down."""
    successor = ProcessedMessages(ENDING, clock)
    successor.load(0, first.dump(0))
    successor.settle(0, orderly=orderly)
    return successor


@given(st.sets(st.integers(min_value=0, max_value=2**64 - 1)))
def test_what_was_packed_is_unpacked(ids: set[int]) -> None:
    assert unpacked(packed(ids)) == sorted(ids)


def test_two_minutes_of_a_busy_evening_fit_into_an_annotation(clock: Clock) -> None:
    """40 calls a second; an object's annotations may hold 256 KiB in all."""
    taken = ProcessedMessages(ENDING, clock)
    for number in range(150 * 40):
        taken.take(0, LONG_AGO + (number * 25 << 22) + number % 7)

    assert len(taken.dump(0)) < 96 * 1024


def test_a_call_is_taken_once(clock: Clock) -> None:
    taken = ProcessedMessages(ENDING, clock)

    assert taken.take(0, 1)
    assert not taken.take(0, 1)


def test_what_a_predecessor_took_before_it_let_go_is_not_taken_again(clock: Clock) -> None:
    first = ProcessedMessages(ENDING, clock)
    first.take(0, 1)
    first.take(0, 2)
    first.finish(0, 2)

    successor = succeeded(first, clock, orderly=True)

    assert 1 in successor
    assert 2 in successor
    assert not successor.take(0, 1)


def test_what_it_had_not_finished_is_looked_at_again_once_it_must_have_ended(clock: Clock) -> None:
    first = ProcessedMessages(ENDING, clock)
    first.take(0, 1)
    first.take(0, 2)
    first.finish(0, 2)
    successor = succeeded(first, clock, orderly=True)

    before = successor.overdue(0)
    clock.now += ENDING + 1

    assert before == []
    assert successor.overdue(0) == [1]
    assert successor.overdue(0) == []
    assert successor.take(0, 1)
    assert not successor.take(0, 2)


def test_what_a_crashed_one_took_is_a_question_for_discord(clock: Clock) -> None:
    first = ProcessedMessages(ENDING, clock)
    first.take(0, 1)

    successor = succeeded(first, clock, orderly=False)

    assert 1 not in successor


def test_a_call_that_is_answered_anew_is_unfinished_until_that_ends(clock: Clock) -> None:
    first, during, after = (
        ProcessedMessages(ENDING, clock),
        ProcessedMessages(ENDING, clock),
        ProcessedMessages(ENDING, clock),
    )
    first.take(0, 1)
    first.finish(0, 1)

    first.retake(0, 1)
    during.load(0, first.dump(0))
    first.finish(0, 1)
    after.load(0, first.dump(0))

    assert during.settle(0, orderly=False) == [1]
    assert after.settle(0, orderly=False) == []


def test_a_crash_after_a_hand_over_leaves_to_the_first_what_it_still_finishes(
    clock: Clock,
) -> None:
    first = ProcessedMessages(ENDING, clock)
    first.take(0, 1)
    second = succeeded(first, clock, orderly=True)
    second.take(0, 2)
    clock.now += 5

    third = succeeded(second, clock, orderly=False)

    assert 1 in third
    assert 2 not in third
    clock.now += ENDING
    assert third.overdue(0) == [1]


def test_a_call_has_the_longer_of_two_times(clock: Clock) -> None:
    """Its first process has had its time, and the second has only just begun to answer it."""
    first = ProcessedMessages(ENDING, clock)
    first.take(0, 1)
    second = succeeded(first, clock, orderly=True)
    clock.now += ENDING - 2
    second.retake(0, 1)
    third = succeeded(second, clock, orderly=True)

    clock.now += 3
    before = third.overdue(0)
    clock.now += ENDING

    assert before == []
    assert third.overdue(0) == [1]


def test_shards_are_written_down_apart(clock: Clock) -> None:
    first = ProcessedMessages(ENDING, clock)
    first.take(0, 1)
    first.take(3, 2)

    successor = succeeded(first, clock, orderly=True)

    assert 1 in successor
    assert 2 not in successor


@pytest.mark.parametrize("text", ["", "[]", "null", '{"taken": 5}', '{"taken": "xyz"}'])
def test_what_cannot_be_read_is_nothing(clock: Clock, text: str) -> None:
    successor = ProcessedMessages(ENDING, clock)

    successor.load(0, text)

    assert successor.settle(0, orderly=True) == []


def test_what_is_due_and_not_yet_looked_at_is_left_to_the_next(clock: Clock) -> None:
    first = ProcessedMessages(ENDING, clock)
    first.take(0, 1)
    second = succeeded(first, clock, orderly=True)
    clock.now += ENDING + 1

    third = succeeded(second, clock, orderly=True)

    assert third.overdue(0) == [1]
