"""Whether the gateway is truly alive."""

from __future__ import annotations

import math

import pytest

from bot.discord.session import HeartbeatMonitor
from bot.observability.metrics import Metrics


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
def heartbeat(clock: Clock) -> HeartbeatMonitor:
    return HeartbeatMonitor(Metrics(), clock)


def test_before_the_first_login_nothing_is_heard(heartbeat: HeartbeatMonitor) -> None:
    assert heartbeat.not_ready(60) == "no gateway session is open: not yet logged in"


def test_a_new_session_is_alive(heartbeat: HeartbeatMonitor) -> None:
    heartbeat.opened("ready")

    assert heartbeat.not_ready(60) is None


def test_acknowledged_heartbeats_keep_it_alive(heartbeat: HeartbeatMonitor, clock: Clock) -> None:
    heartbeat.opened("ready")

    for latency in (0.1, 0.2, 0.15):
        clock.now += 41
        heartbeat.sample(latency)

    assert heartbeat.not_ready(60) is None


def test_a_latency_that_stays_the_same_is_a_connection_gone_silent(
    heartbeat: HeartbeatMonitor, clock: Clock
) -> None:
    """discord.py goes on saying that it is ready, with the last latency."""
    heartbeat.opened("ready")
    heartbeat.sample(0.1)

    clock.now += 61
    heartbeat.sample(0.1)

    assert heartbeat.not_ready(60) == "Discord does not acknowledge heartbeats"


@pytest.mark.parametrize("latency", [math.inf, math.nan])
def test_no_latency_is_no_heartbeat(
    heartbeat: HeartbeatMonitor, clock: Clock, latency: float
) -> None:
    heartbeat.opened("ready")

    clock.now += 61
    heartbeat.sample(latency)

    assert heartbeat.not_ready(60) is not None


def test_a_break_is_not_ready_and_says_why_and_a_resume_mends_it(
    heartbeat: HeartbeatMonitor, clock: Clock
) -> None:
    heartbeat.opened("ready")
    heartbeat.closed("disconnected")
    broken = heartbeat.not_ready(60)
    clock.now += 5
    closed_for = heartbeat.closed_for()
    heartbeat.opened("resumed")

    assert broken == "no gateway session is open: disconnected"
    assert closed_for == 5
    assert heartbeat.not_ready(60) is None
