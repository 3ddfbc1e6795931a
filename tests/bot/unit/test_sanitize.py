"""Text that can be written as UTF-8."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.text import sanitize

ANY = st.text(st.characters(exclude_categories=()))  # halves of characters among them


@given(ANY)
def test_any_text_can_be_written(text: str) -> None:
    sanitize(text).encode()


@given(st.text())
def test_a_text_that_is_whole_stays_as_it_is(text: str) -> None:
    assert sanitize(text) == text


def test_halves_that_belong_together_are_joined_and_others_are_shown_as_missing() -> None:
    assert sanitize("a\ud83d\ude00b") == "a😀b"
    assert sanitize("\udcffa\ud83d") == "\ufffda\ufffd"
