"""How often Discord's gateway is connected to, whatever it does."""

from __future__ import annotations

import pytest

from bot.discord.session import ReconnectBackoff

DAY = 86_400.0
IDENTIFIES_A_DAY = 1_000  # after which Discord resets the token


class Clock:
    """Time that only waiting moves."""

    now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def connections(seconds: float, *, identify: bool, jitter: float, session: float = 0.0) -> int:
    """Count the connections to a gateway that ends each of them after `session` seconds."""
    clock = Clock()
    backoff = ReconnectBackoff(clock, lambda low, high: low + jitter * (high - low))
    made = 0
    while clock.now < seconds:
        clock.now += backoff.pause(identify=identify)
        made += 1
        if identify:
            backoff.identified()
        if session:
            backoff.opened()
            clock.now += session
    return made


@pytest.mark.parametrize("jitter", [0.0, 1.0])
@pytest.mark.parametrize("identify", [False, True])
def test_a_gateway_that_ends_every_connection_at_once_is_no_loop(
    *, identify: bool, jitter: float
) -> None:
    assert connections(37, identify=identify, jitter=jitter) <= 14
    assert connections(3600, identify=identify, jitter=jitter) <= 500
    assert connections(37, identify=identify, jitter=jitter, session=1) <= 12


@pytest.mark.parametrize("session", [0.1, 5.0, 59.0])
def test_a_gateway_that_invalidates_every_session_does_not_cost_the_token(session: float) -> None:
    assert connections(DAY, identify=True, jitter=0.5, session=session) < IDENTIFIES_A_DAY


def test_after_a_session_that_lasted_the_next_connection_is_made_at_once() -> None:
    clock = Clock()
    backoff = ReconnectBackoff(clock)
    for _ in range(12):
        backoff.pause(identify=True)
        backoff.identified()
    assert backoff.pause(identify=False) > 5

    backoff.opened()
    clock.now += 61

    assert backoff.pause(identify=True) == 0
    assert backoff.pause(identify=False) > 0


def test_a_new_token_is_tried_at_once() -> None:
    backoff = ReconnectBackoff(Clock())
    for _ in range(9):
        backoff.pause(identify=True)
        backoff.identified()

    backoff.reset()

    assert backoff.pause(identify=True) == 0
