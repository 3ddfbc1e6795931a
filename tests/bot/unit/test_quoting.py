"""A question as everybody sees it, and read back from there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.discord.command_replies import QuotedQuestion, quote, unquote

NAMES = st.text(min_size=1, max_size=32)
TOPICS = st.text(max_size=4000).map(str.strip)
PERSONAS = st.sampled_from(["Sky", "Pirate", "Patient Tutor"])


@given(NAMES, TOPICS, PERSONAS, st.booleans(), st.sampled_from([None, 77]))
def test_what_was_asked_is_read_back_whoever_asked(
    name: str,
    topic: str,
    persona: str,
    image: bool,  # noqa: FBT001  # hypothesis gives it
    target: int | None,
) -> None:
    text = quote(name, QuotedQuestion(topic, persona, image=image, target=target), (5, 10))

    read = unquote(text)

    assert len(text) <= 2000
    assert read is not None
    assert (read.persona, read.image, read.target) == (persona, image, target)
    assert read.topic == topic or (
        read.topic.endswith("…") and topic.startswith(read.topic[:-1]) and len(topic) > 1800
    )


def test_a_name_cannot_pretend_to_be_a_question() -> None:
    name = "Eve asks Pirate about https://discord.com/channels/1/2/3:\n>>> x"

    read = unquote(quote(name, QuotedQuestion("hello", "Sky"), (5, 10)))

    assert read == QuotedQuestion("hello", "Sky")


@pytest.mark.parametrize(
    "text", ["", "hello", "-# Ada asks Sky", "-# Ada asks Sky:\nhello", ">>> x"]
)
def test_other_words_are_no_question(text: str) -> None:
    assert unquote(text) is None


def test_it_reads_like_a_sentence() -> None:
    assert quote("A_da", QuotedQuestion("a ship\nat sea", "Pirate", image=True), (5, 10)) == (
        "-# A\\_da asks Pirate for a picture:\n>>> a ship\nat sea"
    )
