"""Joining in by chance, and never a loop of bots."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.messages import Author, Location, Message
from bot.settings.schema import AccessSettings, AmbientSettings
from bot.triggers.ambient import AmbientPolicy
from bot.triggers.match import Ignored, Trigger

TALK = Message(
    1,
    10,
    Author(1, "Ada"),
    "what a wind today",
    guild_id=5,
    place=Location(("5",), ("10", "kites")),
)
BEEP = replace(TALK, author=Author(9, "Parrot", bot=True))
QUIET = Ignored("not_called")
CALLED = Trigger("mention", "hello")
JOINS = Trigger("ambient", TALK.text)


class Clock:
    """Seconds that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def ambient_policy(
    clock: Clock | None = None, roll: float = 0.0, **ambient: object
) -> AmbientPolicy:
    settings = AmbientSettings.model_validate(ambient)
    return AmbientPolicy(AccessSettings(), settings, lambda: roll, clock or Clock())


def test_it_never_joins_in_where_no_channel_is_named() -> None:
    assert ambient_policy().judge(TALK, QUIET) == QUIET
    assert ambient_policy(channels={"kitchen": 1}).judge(TALK, QUIET) == QUIET


@pytest.mark.parametrize(("roll", "decision"), [(0.19, JOINS), (0.2, QUIET), (0.99, QUIET)])
def test_the_chance_decides(roll: float, decision: Trigger | Ignored) -> None:
    assert ambient_policy(roll=roll, channels={"#Kites": 0.2}).judge(TALK, QUIET) == decision


def test_a_chance_of_none_is_none() -> None:
    assert ambient_policy(roll=0.0, channels={"kites": 0}).judge(TALK, QUIET) == QUIET


def test_it_is_quiet_for_a_while_after_it_spoke_however_that_came_about() -> None:
    clock = Clock()
    mood = ambient_policy(clock, channels={"kites": 1}, quiet_seconds=60)

    assert mood.judge(TALK, CALLED) == CALLED
    assert mood.judge(TALK, QUIET) == QUIET
    clock.now += 60
    assert mood.judge(TALK, QUIET) == JOINS
    clock.now += 59
    assert mood.judge(TALK, QUIET) == QUIET
    assert mood.judge(replace(TALK, channel_id=11), QUIET) == JOINS


@pytest.mark.parametrize(
    "message",
    [BEEP, replace(TALK, text="ok"), replace(TALK, text=""), replace(TALK, place=Location())],
)
def test_there_is_nothing_to_join_in_on(message: Message) -> None:
    assert ambient_policy(channels={"kites": 1}).judge(message, QUIET) == QUIET


def test_who_is_barred_is_not_joined_and_old_words_are_not_either() -> None:
    mood = ambient_policy(channels={"kites": 1})

    assert mood.judge(TALK, Ignored("person")) == Ignored("person")
    assert mood.judge(TALK, QUIET, late=True) == QUIET


@given(st.lists(st.sampled_from(["bot calls", "bot talks", "person talks"]), max_size=60))
def test_bots_are_answered_three_times_and_then_only_after_a_person_spoke(
    happened: list[str],
) -> None:
    mood = ambient_policy()
    in_a_row = 0
    for what in happened:
        message = TALK if what == "person talks" else BEEP

        decision = mood.judge(message, CALLED if what == "bot calls" else QUIET)

        if message is TALK:
            in_a_row = 0
        elif isinstance(decision, Trigger):
            in_a_row += 1
        elif what == "bot calls":
            assert decision == Ignored("bots_in_a_row")
            assert in_a_row == 3
        assert in_a_row <= 3
