"""What is made of the text that a model writes as a summary: only links to what exists."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from bot.answers.summary import SummarySpan, linked, split
from bot.domain.messages import Author, Message

PLACE = "https://discord.com/channels/1/2"
LINK = re.compile(r"https://discord\.com/channels/(\d+)/(\d+)/(\d+)")


def test_numbers_become_links_and_what_rests_on_nothing_is_dropped() -> None:
    text = "**One**\n- a [1]\n- b [7]\n- c [2; 1-9]\n\n**Two**\n- d [8]"

    assert linked(text, {1: 11, 2: 12}, PLACE) == (
        f"**One**\n- a {PLACE}/11\n- c {PLACE}/12 {PLACE}/11"
    )


def test_what_stands_right_behind_a_number_is_no_part_of_its_link() -> None:
    assert linked("- a [1]0 and [1].\n- b [1]", {1: 11}, PLACE) == (
        f"- a {PLACE}/11 0 and {PLACE}/11.\n- b {PLACE}/11"
    )


def test_links_to_messages_that_the_model_writes_are_taken_out() -> None:
    text = (
        "- a [1] https://discord.com/channels/9/9/9\n- b <discord.com/channels/9/9/8>\n"
        "- c [x](https://ptb.discordapp.com/channels/9/9/7) https://example.org/kept"
    )
    text += "\n- d [1] https://discord.com/cha[99]nels/9/9/6\n- e discord://-/channels/9/9/5"
    text += "\n- f https://discord.com/cha<discord.com/channels/9/9/3>nels/9/9/4"
    shown = linked(text, {1: 11}, PLACE)

    assert [found[0] for found in LINK.finditer(shown)] == [f"{PLACE}/11"] * 2
    assert "https://example.org/kept" in shown


PIECES = st.sampled_from(
    [
        *(
            "[1]",
            "[2, 3]",
            "[99]",
            "[3-1]",
            "**t**",
            "- ",
            "\n",
            "word ",
            "[",
            "]",
            "https://",
            "<",
        ),
        *("discord.com/channels/", "https://discord.com/channels/4/5/6", "[0]", " ", "(", ")", ">"),
        *("https://discord.com/chan", "nels/4/5/6"),
    ]
)


@given(st.lists(PIECES | st.text(max_size=8), max_size=60).map("".join))
def test_whatever_the_model_writes_every_link_leads_to_a_message_that_exists(text: str) -> None:
    known = {1: 101, 2: 102, 3: 103}

    messages = split("head", linked(text, known, PLACE), ["a remark"])

    found = [hit for each in messages for hit in LINK.findall(each)]
    assert {tuple(map(int, each)) for each in found} <= {(1, 2, n) for n in known.values()}
    assert all(0 < len(each) <= 2000 for each in messages)


@given(st.lists(st.integers(0, 4000), max_size=40))
def test_messages_are_full_at_most_and_no_link_is_torn(lengths: list[int]) -> None:
    link = f"{PLACE}/123456789012345678"
    body = "\n".join(f"- {'word ' * (n // 5)}{link}" for n in lengths)

    messages = split("head", body, ["remark"])

    whole = sum(each.count(link) for each in messages)
    assert sum(each.count(PLACE) for each in messages) == whole
    assert all(len(each) <= 2000 for each in messages)
    assert messages[-1].endswith("-# remark")
    assert whole == len(lengths) or "longer than I can show" in messages[-1]


def test_the_button_is_for_the_one_who_was_asked_alone() -> None:
    ada, bram = (Message(50, 2, Author(n, "x"), "", 1) for n in (7, 8))
    span = SummarySpan(ada, 2, 30, 50)

    read = SummarySpan.of_button(span.button_id, ada)

    assert read is not None
    assert (read.channel_id, read.after, read.before, read.confirmed) == (2, 30, 50, True)
    assert SummarySpan.of_button(span.button_id, bram) is None
    assert SummarySpan.of_button("sky:again:7:2:50", ada) is None
    longest = SummarySpan(Message(2**63, 2, Author(2**63, "x"), "", 1), 2**63, 2**63, 2**63)
    assert len(longest.button_id) <= 100
