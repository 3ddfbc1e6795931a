"""No link stands behind other words."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.moderation.moderation_pipeline import LinkUnmasker


def shown(pieces: list[str]) -> str:
    unmasking = LinkUnmasker()
    return "".join([*map(unmasking.feed, pieces), unmasking.flush()])


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("[a bank](https://evil.example)", "[a bank] (https://evil.example)"),
        ("[a](<https://b.example>)", "[a] (<https://b.example>)"),
        ("[a](\n https://b.example)", "[a] (\n https://b.example)"),
        ("![a](http://b.example/c.png)", "![a] (http://b.example/c.png)"),
        ("[[1]](https://b.example)", "[[1]] (https://b.example)"),
        ("[a](discord://b)", "[a] (discord://b)"),
        # What Discord shows as a link behind words as well.
        ("[a](https\\://b.example)", "[a] (https\\://b.example)"),
        ("[a](\u200bhttps://b.example)", "[a] (\u200bhttps://b.example)"),
        ("[a](\u2060<https://b.example>)", "[a] (\u2060<https://b.example>)"),
        ("[a](mailto:b@c.example)", "[a] (mailto:b@c.example)"),
        ("[a](tel:+123)", "[a] (tel:+123)"),
        ("[a](HTTPS://b.example)", "[a] (HTTPS://b.example)"),
        ("\\```[a](https://b.example)", "\\```[a] (https://b.example)"),
        ("`` ``` ``[a](https://b.example)", "`` ``` ``[a] (https://b.example)"),
        ("`a``` [b](https://c.example)", "`a``` [b] (https://c.example)"),
        ("```x``` [a](https://b.example)", "```x``` [a] (https://b.example)"),
        ("**[a](https://b.example)**", "**[a] (https://b.example)**"),
        ("[a](" + " " * 300 + "https://b.example)", "[a] (" + " " * 300 + "https://b.example)"),
    ],
)
def test_a_link_behind_words_is_shown_beside_them(text: str, seen: str) -> None:
    assert shown([text]) == seen


@pytest.mark.parametrize(
    "text",
    [
        "https://a.example and <https://b.example>",
        "numbers[i](x) and see [1] (https://a.example)",
        "numbers[i](x): [1]",
        "[a]\\(https://b.example)",
        "```\n\\```\n",
        "```md\n[a](https://b.example)\n```",
        "[a] and (b)",
    ],
)
def test_everything_else_is_left_as_it_is(text: str) -> None:
    assert shown([text]) == text


def test_after_a_fence_links_count_again() -> None:
    assert shown(["```\nx\n```", "[a](https://b)"]) == "```\nx\n```[a] (https://b)"


SCRAPS = st.sampled_from(
    [
        "[",
        "]",
        "(",
        ")",
        "](",
        "https",
        "://",
        "[a](https://b)",
        "`",
        "```",
        " ",
        "<",
        "x",
        "\\",
        ":",
    ]
)


@given(st.lists(SCRAPS, max_size=40))
@example(["\\", "](", "://"])
@example(["\\", "```", "x", "[a](https://b)"])
def test_it_does_not_matter_how_the_text_is_cut_into_pieces(pieces: list[str]) -> None:
    text = "".join(pieces)

    assert shown(pieces) == shown([text])
    assert shown(list(text)) == shown([text])
    assert shown([text]).replace("] (", "](") == text.replace("] (", "](")
