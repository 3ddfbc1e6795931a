"""How often Discord is asked for something."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.reply.edit_rates import EditRate, RateLimiter


@pytest.mark.parametrize(
    ("channels", "gap"),
    [([1], 1.3), ([1, 1], 2.5), ([1, 1, 1, 1, 2], 5.0), (range(100), 5.0), (range(20), 1.3)],
)
def test_the_more_answers_are_live_the_rarer_is_each_edited(
    channels: list[int], gap: float
) -> None:
    edit_rate = EditRate(1.3)

    with ExitStack() as live:
        for channel in channels:
            live.enter_context(edit_rate.answering(channel))
        assert edit_rate.edit_gap(1) == gap


@given(st.lists(st.integers(1, 8), min_size=1, max_size=300))
def test_edits_never_pass_discords_limits(channels: list[int]) -> None:
    edit_rate = EditRate(1.3)

    with ExitStack() as live:
        for channel in channels:
            live.enter_context(edit_rate.answering(channel))
        per_second = dict.fromkeys(channels, 0.0)
        for channel in channels:
            per_second[channel] += 1 / edit_rate.edit_gap(channel)

    assert all(edits * 5 <= 5 for edits in per_second.values())
    assert sum(per_second.values()) <= 20.001


@given(st.lists(st.floats(0, 0.2), min_size=100, max_size=300))
def test_no_more_than_the_rate_goes_through_the_gate(pauses: list[float]) -> None:
    now = 0.0
    rate_limiter = RateLimiter(clock=lambda: now)
    passed = []
    for pause in pauses:
        now += pause
        passed.append(now + rate_limiter.delay())

    assert passed == sorted(passed)
    for at, moment in enumerate(passed):
        assert sum(moment <= other < moment + 1 for other in passed[at:]) <= 50


def test_while_discords_edge_wants_no_requests_none_goes_through() -> None:
    now = 100.0
    rate_limiter = RateLimiter(clock=lambda: now)

    rate_limiter.block(30)
    rate_limiter.block(5)

    assert (rate_limiter.blocked, rate_limiter.behind) == (30, True)
    assert rate_limiter.delay() >= 30
    now += 31
    assert (rate_limiter.blocked, rate_limiter.delay()) == (0, 0)


def test_first_words_wait_where_a_channels_limit_is_near_and_only_there() -> None:
    now = 100.0
    edit_rate = EditRate(1.3, clock=lambda: now)
    for _ in range(3):
        edit_rate.count(1, edit=False)
        edit_rate.count(1, edit=True)
    assert edit_rate.first_gap(1, 0.05) == 0.05

    edit_rate.count(1, edit=True)
    edit_rate.count(2, edit=False)

    assert [edit_rate.first_gap(channel, 0.05) for channel in (1, 2)] == [0.6, 0.05]
    assert edit_rate.first_gap(1, 2.0) == 2.0  # as long as the settings say, if that is longer
    now += 5
    assert edit_rate.first_gap(1, 0.05) == 0.05


@pytest.mark.parametrize(("a_second", "gap"), [(25, 0.05), (30, 0.6)])
def test_first_words_wait_everywhere_where_the_limit_of_all_requests_is_near(
    a_second: int, gap: float
) -> None:
    now = 100.0
    edit_rate = EditRate(1.3, clock=lambda: now)
    for number in range(10 * a_second):
        now += 1 / a_second
        edit_rate.count(number, edit=bool(number % 5))

    assert edit_rate.first_gap(-1, 0.05) == gap
