"""Joining in by chance, and never a loop of bots."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.decision import Answer, Ignore
from bot.messages import Author, Message, Place
from bot.settings.calling import Access, Ambient
from bot.temper import Temper

TALK = Message(
    1, 10, Author(1, "Ada"), "what a wind today", guild_id=5, place=Place(("5",), ("10", "kites"))
)
BEEP = replace(TALK, author=Author(9, "Parrot", bot=True))
QUIET = Ignore("not_called")
CALLED = Answer("mention", "hello")
JOINS = Answer("ambient", TALK.text)


class Clock:
    """Seconds that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


def temper(clock: Clock | None = None, roll: float = 0.0, **ambient: object) -> Temper:
    settings = Ambient.model_validate(ambient)
    return Temper(Access(), settings, lambda: roll, clock or Clock())


def test_it_never_joins_in_where_no_channel_is_named() -> None:
    assert temper().judge(TALK, QUIET) == QUIET
    assert temper(channels={"kitchen": 1}).judge(TALK, QUIET) == QUIET


@pytest.mark.parametrize(("roll", "decision"), [(0.19, JOINS), (0.2, QUIET), (0.99, QUIET)])
def test_the_chance_decides(roll: float, decision: Answer | Ignore) -> None:
    assert temper(roll=roll, channels={"#Kites": 0.2}).judge(TALK, QUIET) == decision


def test_a_chance_of_none_is_none() -> None:
    assert temper(roll=0.0, channels={"kites": 0}).judge(TALK, QUIET) == QUIET


def test_it_is_quiet_for_a_while_after_it_spoke_however_that_came_about() -> None:
    clock = Clock()
    mood = temper(clock, channels={"kites": 1}, quiet_seconds=60)

    assert mood.judge(TALK, CALLED) == CALLED
    assert mood.judge(TALK, QUIET) == QUIET
    clock.now += 60
    assert mood.judge(TALK, QUIET) == JOINS
    clock.now += 59
    assert mood.judge(TALK, QUIET) == QUIET
    assert mood.judge(replace(TALK, channel_id=11), QUIET) == JOINS


@pytest.mark.parametrize(
    "message",
    [BEEP, replace(TALK, text="ok"), replace(TALK, text=""), replace(TALK, place=Place())],
)
def test_there_is_nothing_to_join_in_on(message: Message) -> None:
    assert temper(channels={"kites": 1}).judge(message, QUIET) == QUIET


def test_who_is_barred_is_not_joined_and_old_words_are_not_either() -> None:
    mood = temper(channels={"kites": 1})

    assert mood.judge(TALK, Ignore("person")) == Ignore("person")
    assert mood.judge(TALK, QUIET, late=True) == QUIET


@given(st.lists(st.sampled_from(["bot calls", "bot talks", "person talks"]), max_size=60))
def test_bots_are_answered_three_times_and_then_only_after_a_person_spoke(
    happened: list[str],
) -> None:
    mood = temper()
    in_a_row = 0
    for what in happened:
        message = TALK if what == "person talks" else BEEP

        decision = mood.judge(message, CALLED if what == "bot calls" else QUIET)

        if message is TALK:
            in_a_row = 0
        elif isinstance(decision, Answer):
            in_a_row += 1
        elif what == "bot calls":
            assert decision == Ignore("bots_in_a_row")
            assert in_a_row == 3
        assert in_a_row <= 3
