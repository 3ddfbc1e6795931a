"""Words that a server does not want."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.moderation.banned_words import BannedWords, WordMasker

WORDS = ("heck", "purple rain", "naïve", "空", "a.b")


@pytest.mark.parametrize(
    "text",
    [
        "oh heck!",
        "HECK",
        "ｈｅｃｋ",  # noqa: RUF001  # full width is the point
        "h\u200be\u0301ck",
        "the purple\n rain fell",
        "Naive",
        "nai\u0308ve",
        "今日の空は",
        "see a.b here",
    ],
)
def test_a_word_is_found_however_it_is_written(text: str) -> None:
    assert BannedWords(WORDS).found_in(text)


@pytest.mark.parametrize("text", ["heckle", "a check", "purple and rain", "a,b", "", "naivety"])
def test_other_words_are_not(text: str) -> None:
    assert not BannedWords(WORDS).found_in(text)


def hidden(pieces: list[str]) -> str:
    hiding = WordMasker(BannedWords(WORDS))
    return "".join([*map(hiding.feed, pieces), hiding.flush()])


def test_in_an_answer_it_is_hidden_and_the_rest_is_left_as_it_is() -> None:
    assert hidden(["What the He", "Ck, purp", "le rain! Che", "ck."]) == "What the •••, •••! Check."


SCRAPS = st.sampled_from([*WORDS, "HECK", "purple", " rain", "h", "eck", "\u200b", " ", "le", "é"])


@given(st.lists(SCRAPS | st.text(max_size=5), max_size=30))
@example(["heck", "\u200b", "heck", " rain", "heck", "heck"])
def test_it_does_not_matter_how_the_text_is_cut_into_pieces(pieces: list[str]) -> None:
    text = "".join(pieces)

    assert hidden(pieces) == hidden([text])
    assert hidden(list(text)) == hidden([text])


@given(st.lists(st.text(max_size=50), max_size=10))
def test_without_a_banned_word_the_text_is_the_text(pieces: list[str]) -> None:
    hiding = WordMasker(BannedWords(["zzyzx"]))

    assert "".join([*map(hiding.feed, pieces), hiding.flush()]) == "".join(pieces)


def test_invisible_characters_cost_no_more_than_others() -> None:
    """4,000 combining marks, one at a time, took seconds: all that was held was read each time."""
    text = "a" + "\u0301" * 4000 + " storm " + "\u0301" * 4000 + "x"
    masker = WordMasker(BannedWords(["storm", "a much longer phrase"]))

    began = time.process_time()
    shown = "".join([*map(masker.feed, text), masker.flush()])

    assert time.process_time() - began < 0.5
    assert shown == text.replace("storm", "•••")
