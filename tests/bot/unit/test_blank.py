"""What a reader sees nothing of."""

from __future__ import annotations

import pytest

from bot.domain.text import is_blank


@pytest.mark.parametrize(
    "text",
    ["", " \n\t", "\u200b\u200d\ufeff", "\u00a0\u3000", "\u2800", "\u3164", "\u202e", "\U000e0041"],
)
def test_nothing_is_seen_of_what_has_no_shape(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize(
    "text",
    [".", "\u200bx", "日本", "👩‍👩‍👧", "🇨🇭", "e\u0301", "\ufffd", "-# ", "\U0001fae8", "\ue000"],
)
def test_what_has_a_shape_is_seen(text: str) -> None:
    assert not is_blank(text)
