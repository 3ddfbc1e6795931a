"""Tokens, estimated without a tokenizer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.text import beginning, estimate_tokens

# Counted with o200k_base itself (gpt-tokenizer 4.0.0).
COUNTED = [
    ("The quick brown fox jumps over the lazy dog.", 10),
    ("Heute ist der Himmel sehr blau, gehen wir ans Meer? Schöne Grüße!", 16),
    ("def add(a: int, b: int) -> int:\n    return a + b\n", 19),
    ('{"a": [1, 2, {"b": null}], "c": "x", "d": true}', 25),
    ("31415926535897932384626433832795028841971693993751", 17),
    ("https://cdn.discordapp.com/attachments/1234567890/photo.png?ex=65a&hm=abcdef", 24),
    ("今天的天空很蓝，我们去看海吧。", 11),  # noqa: RUF001  # as it is written
    ("今日の空はとても青いです。海を見に行きましょう。", 19),
    ("오늘 하늘이 아주 파랗네요. 바다 보러 가요.", 17),
    ("السماء اليوم زرقاء جدا، لنذهب إلى البحر.", 13),
    ("आज आसमान बहुत नीला है, चलो समुद्र देखने चलते हैं।", 16),
    ("👩‍👩‍👧‍👦🏳️‍🌈🌤🎉🥳", 23),
]


@pytest.mark.parametrize(("text", "counted"), COUNTED)
def test_what_is_estimated_is_more_than_what_a_tokenizer_counts(text: str, counted: int) -> None:
    assert counted <= estimate_tokens(text) <= 4 * counted


@given(st.text(max_size=2000), st.integers(0, 500))
def test_a_beginning_is_as_long_as_it_may_be(text: str, most: int) -> None:
    found = beginning(text, most)

    assert text.startswith(found)
    assert estimate_tokens(found) <= most
    if found != text:
        assert estimate_tokens(text[: len(found) + 1]) > most
