"""Which messages call the bot."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.decision import Answer, Ignore, after_command, decide
from bot.messages import Author, Message

ME = 7
ADA = Author(1, "Ada")
PLAIN = Message(id=100, channel_id=10, guild_id=5, author=ADA, text="good morning")
CALLED = {ME: "Sky"}


@pytest.mark.parametrize(
    ("message", "decision"),
    [
        (PLAIN, Ignore("not_called")),
        (replace(PLAIN, text="<@7> why?", names=CALLED), Answer("mention", "why?")),
        (replace(PLAIN, text="<@!7>, why?", names=CALLED), Answer("mention", "why?")),
        (replace(PLAIN, text="why? <@7>", names=CALLED), Answer("mention", "why?")),
        (
            replace(PLAIN, text="is <@7> or <@1> taller?", names=CALLED),
            Answer("mention", "is <@7> or <@1> taller?"),
        ),
        (replace(PLAIN, text="<@7>", names=CALLED), Answer("mention", "")),
        (replace(PLAIN, text="<@8> why?", names={8: "Bram"}), Ignore("not_called")),
        (replace(PLAIN, text="and then?", replied_author_id=ME), Answer("reply", "and then?")),
        (replace(PLAIN, text="and then?", replied_author_id=1), Ignore("not_called")),
        (replace(PLAIN, guild_id=None), Answer("direct", "good morning")),
        (replace(PLAIN, text="!sky tides"), Answer("command", "tides")),
        (replace(PLAIN, text=" !SKY\ntides\n"), Answer("command", "tides")),
        (replace(PLAIN, text="!sky"), Answer("command", "")),
        (replace(PLAIN, text="!skyline"), Ignore("not_called")),
        (replace(PLAIN, text="say !sky tides"), Ignore("not_called")),
        (replace(PLAIN, text="!sky tides", guild_id=None), Answer("command", "tides")),
        (
            replace(PLAIN, text="!sky tides", replied_author_id=ME, names=CALLED),
            Answer("command", "tides"),
        ),
        (replace(PLAIN, author=Author(ME, "Sky", bot=True), guild_id=None), Ignore("self")),
        (
            replace(PLAIN, author=Author(9, "Other", bot=True), text="<@7> hi", names=CALLED),
            Ignore("bot"),
        ),
        (replace(PLAIN, author=Author(9, "Hook", bot=True), text="!sky hi"), Ignore("bot")),
        (replace(PLAIN, ordinary=False, guild_id=None), Ignore("system")),
        (replace(PLAIN, text="", guild_id=None), Answer("direct", "")),
    ],
)
def test_a_message_is_answered_when_it_calls_the_bot(
    message: Message, decision: Answer | Ignore
) -> None:
    assert decide(message, me=ME, command="!sky") == decision


@given(
    st.text(), st.sampled_from([{}, CALLED]), st.sampled_from([None, 3]), st.sampled_from([1, ME])
)
def test_no_bot_is_ever_answered(
    text: str, names: dict[int, str], guild_id: int | None, replied: int
) -> None:
    message = Message(
        id=1,
        channel_id=2,
        guild_id=guild_id,
        author=Author(9, "Other", bot=True),
        text=text,
        replied_author_id=replied,
        names=names,
    )

    assert decide(message, me=ME, command="!sky") == Ignore("bot")


@given(st.text(max_size=60))
def test_what_follows_the_command_comes_without_white_space_around_it(topic: str) -> None:
    assert after_command(f"!sky {topic}", "!sky") == topic.strip()
