"""How many calls are answered in an hour."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.admission.hourly_limits import HOUR, Caller, HourlyLimits, LimitReached
from bot.settings.schema import LimitsSettings as Settings


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


ADA = Caller(user_id=1, channel_id=10, guild_id=100)
BRAM = Caller(user_id=2, channel_id=10, guild_id=100)
ADA_ELSEWHERE = Caller(user_id=1, channel_id=11, guild_id=100)
ADA_IN_A_DM = Caller(user_id=1, channel_id=12)


def test_without_a_limit_everybody_is_let_in() -> None:
    limits = HourlyLimits(Settings(), Clock())

    assert [limits.admit(ADA) for _ in range(1000)] == [None] * 1000


def test_who_is_over_the_limit_is_told_once_when_to_come_back_and_nobody_else_is_held_up() -> None:
    clock = Clock()
    limits = HourlyLimits(Settings(user_per_hour=2), clock)

    assert limits.admit(ADA) is None
    clock.now += 60
    assert limits.admit(ADA_IN_A_DM) is None
    back = 1_000_000.0 + HOUR
    assert limits.admit(ADA) == LimitReached("user", back, tell=True)
    assert limits.admit(ADA_ELSEWHERE) == LimitReached("user", back, tell=False)
    assert limits.admit(BRAM) is None

    clock.now = back
    assert limits.admit(ADA) is None
    assert limits.admit(ADA) == LimitReached("user", back + 60, tell=True)


def test_looking_notes_nothing() -> None:
    limits = HourlyLimits(Settings(user_per_hour=1), Clock())

    assert [limits.over(ADA) for _ in range(3)] == [None] * 3
    assert limits.admit(ADA) is None
    back = 1_000_000.0 + HOUR
    assert [limits.over(ADA) for _ in range(2)] == [LimitReached("user", back)] * 2
    assert limits.admit(ADA) == LimitReached("user", back, tell=True)


def test_a_flood_of_one_person_does_not_push_the_end_of_the_wait_away() -> None:
    clock = Clock()
    limits = HourlyLimits(Settings(user_per_hour=1), clock)
    limits.admit(ADA)

    for _ in range(500):
        clock.now += 7
        limits.admit(ADA)

    clock.now = 1_000_000.0 + HOUR
    assert limits.admit(ADA) is None


def test_a_channels_limit_counts_everybody_in_it_and_tells_the_channel_once() -> None:
    limits = HourlyLimits(Settings(channel_per_hour=2), Clock())
    limits.admit(ADA)
    limits.admit(BRAM)

    told = [limits.admit(who) for who in (ADA, BRAM, ADA)]

    assert [over and (over.scope, over.tell) for over in told] == [
        ("channel", True),
        ("channel", False),
        ("channel", False),
    ]
    assert limits.admit(ADA_ELSEWHERE) is None


def test_a_servers_limit_tells_each_of_its_channels_once_and_leaves_direct_messages_alone() -> None:
    limits = HourlyLimits(Settings(server_per_hour=1), Clock())
    limits.admit(ADA)

    told = [limits.admit(who) for who in (BRAM, ADA_ELSEWHERE, ADA_ELSEWHERE)]

    assert [over and over.tell for over in told] == [True, True, False]
    assert limits.admit(ADA_IN_A_DM) is None


def test_joining_in_unasked_stops_first_and_says_nothing() -> None:
    limits = HourlyLimits(Settings(channel_per_hour=10, reserve=0.3), Clock())
    ambient = Caller(user_id=1, channel_id=10, guild_id=100, ambient=True)

    joined = [limits.admit(ambient) for _ in range(9)]
    asked = [limits.admit(ADA) for _ in range(4)]

    assert joined[:7] == [None] * 7
    assert [over and over.tell for over in joined[7:]] == [False, False]
    assert asked[:3] == [None] * 3
    assert asked[3] is not None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.floats(0, 2000)), max_size=120))
def test_in_no_sixty_minutes_more_are_let_in_than_the_limit_says(
    calls: list[tuple[int, float]],
) -> None:
    clock = Clock()
    limits = HourlyLimits(Settings(user_per_hour=3, channel_per_hour=5), clock)
    let_in: list[tuple[int, float]] = []

    for user, pause in calls:
        clock.now += pause
        over = limits.admit(Caller(user_id=user, channel_id=10))
        if over is None:
            let_in.append((user, clock.now))
        else:
            assert clock.now < over.until <= clock.now + HOUR

    for _, begin in let_in:
        within = [user for user, at in let_in if begin <= at < begin + HOUR]
        assert len(within) <= 5
        assert all(within.count(user) <= 3 for user in set(within))
