"""Whether the gateway is truly alive."""

from __future__ import annotations

import math

import pytest

from bot.discord.pulse import Pulse
from bot.metrics import Metrics


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


@pytest.fixture
def pulse(clock: Clock) -> Pulse:
    return Pulse(Metrics(), clock)


def test_before_the_first_login_nothing_is_heard(pulse: Pulse) -> None:
    assert pulse.not_ready(60) == "no gateway session is open: not yet logged in"


def test_a_new_session_is_alive(pulse: Pulse) -> None:
    pulse.opened("ready")

    assert pulse.not_ready(60) is None


def test_acknowledged_heartbeats_keep_it_alive(pulse: Pulse, clock: Clock) -> None:
    pulse.opened("ready")

    for latency in (0.1, 0.2, 0.15):
        clock.now += 41
        pulse.sample(latency)

    assert pulse.not_ready(60) is None


def test_a_latency_that_stays_the_same_is_a_connection_gone_silent(
    pulse: Pulse, clock: Clock
) -> None:
    """discord.py goes on saying that it is ready, with the last latency."""
    pulse.opened("ready")
    pulse.sample(0.1)

    clock.now += 61
    pulse.sample(0.1)

    assert pulse.not_ready(60) == "Discord does not acknowledge heartbeats"


@pytest.mark.parametrize("latency", [math.inf, math.nan])
def test_no_latency_is_no_heartbeat(pulse: Pulse, clock: Clock, latency: float) -> None:
    pulse.opened("ready")

    clock.now += 61
    pulse.sample(latency)

    assert pulse.not_ready(60) is not None


def test_a_break_is_not_ready_and_says_why_and_a_resume_mends_it(
    pulse: Pulse, clock: Clock
) -> None:
    pulse.opened("ready")
    pulse.closed("disconnected")
    broken = pulse.not_ready(60)
    clock.now += 5
    closed_for = pulse.closed_for()
    pulse.opened("resumed")

    assert broken == "no gateway session is open: disconnected"
    assert closed_for == 5
    assert pulse.not_ready(60) is None
