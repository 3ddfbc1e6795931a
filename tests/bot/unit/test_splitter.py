"""Cutting answers into Discord's messages."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.reply.splitter import LIMIT, Part, SplitPosition, is_boundary, next_part, split

BREAK, NO_BREAK = "\u00f7", "\u00d7"
GRAPHEME_BREAK_TEST = Path(__file__).with_name("GraphemeBreakTest.txt")

PIECES = st.sampled_from(
    [
        "word ", "Sentence. ", "\n", "\n\n", "```", "```py\n", "``", "`", "````", "x" * 90,
        " " * 40, "https://example.org/a/long/path?with=query ", "<@12>", "- item\n", "e\u0301",
        "👩‍👩‍👧", "🇩🇪", "👍🏽", "שלום ", "line of code()\n" * 9, "~~~\n",
        "[a link](https://a.example/) ",
        "<:gull:1234567890123456789>", "<t:1790000000:R>", "1. one\n   more of it\n",
        "\u202b\u05d0\u202c ",
    ]
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=400),
    st.lists(PIECES, max_size=120).map("".join),
    st.lists(PIECES, max_size=12).map(lambda pieces: "".join(pieces) * 40),
)


def fences(content: str) -> int:
    return len(re.findall("`{3,}", content))


@settings(deadline=None)
@given(TEXTS, st.sampled_from([100, 137, LIMIT]))
@example("`" * 9000, LIMIT)
@example("e" + "\u0301" * 9000, LIMIT)
@example(" " * 5000, LIMIT)
@example("```python\n" + "x = 1\n" * 2000, LIMIT)
def test_parts_joined_are_the_text_and_each_fits_with_its_fences_balanced(
    text: str, limit: int
) -> None:
    parts = split(text, limit)

    assert "".join(part.text for part in parts) == text
    assert all(0 < len(part.content) <= limit for part in parts)
    assert all(fences(part.content) % 2 == 0 for part in parts)


@settings(deadline=None)
@given(TEXTS, st.lists(st.integers(1, 700), max_size=30))
def test_a_growing_answer_is_cut_like_that_at_every_moment(text: str, steps: list[int]) -> None:
    place, settled, shown = SplitPosition(), "", 0
    for step in [*steps, len(text)]:
        shown = min(len(text), shown + step)
        while place.position < shown:
            part, following = next_part(text[:shown], place)
            assert len(part.content) <= LIMIT
            assert fences(part.content) % 2 == 0
            if following.position == shown:
                break
            settled, place = settled + part.text, following

    assert settled + text[place.position :] == text


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["👩‍👩‍👧", "🇩🇪", "👍🏽", "e\u0301", "❤️"]), min_size=60, max_size=400)
)
def test_what_a_reader_sees_as_one_character_is_not_cut(characters: list[str]) -> None:
    parts = split("-".join(characters), 100)

    assert [c for part in parts for c in part.text.split("-") if c] == characters


THINGS = [
    "https://example.org/a/long/path?with=query&and=more#end",
    "<https://example.org/without/a/preview>",
    "[words of a link](https://example.org/behind/it)",
    "[words](<https://example.org/a_(b)>)",
    "<:gull:1234567890123456789>",
    "<a:flapping_gull:1234567890123456789>",
    "<@1234567890123456789>",
    "<@&1234567890123456789>",
    "<#1234567890123456789>",
    "<t:1790000000:R>",
    "</persona list:1234567890123456789>",
]


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(st.sampled_from(THINGS), st.sampled_from(["and ", "see\n", "x" * 30, "\n\n"])),
        min_size=10,
        max_size=150,
    ),
    st.sampled_from([137, 200, LIMIT]),
)
@example(["x" * 30, *THINGS * 20], 137)
def test_what_discord_shows_as_one_thing_is_not_cut(pieces: list[str], limit: int) -> None:
    text = " ".join(pieces)

    parts = split(text, limit)

    assert "".join(part.text for part in parts) == text
    for thing in THINGS:
        assert sum(part.text.count(thing) for part in parts) == text.count(thing)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3)), min_size=3, max_size=60))
def test_an_item_of_a_list_is_not_cut_where_that_can_be_avoided(
    items: list[tuple[int, int]],
) -> None:
    written = [
        f"- item {number}. {'word. ' * (length // 6)}\n" + "  and a line that is set in\n" * more
        for number, (length, more) in enumerate(items)
    ]

    parts = split("".join(written))

    assert "".join(part.text for part in parts) == "".join(written)
    assert all(part.text.startswith("- item") for part in parts)


def test_a_link_near_the_start_that_does_not_fit_goes_whole_into_the_next_message() -> None:
    link = "https://example.org/" + "x" * 1930

    parts = split(f"See this one, it is all that I have found, and I looked for a while: {link}")

    assert [part.text for part in parts] == [
        "See this one, it is all that I have found, and I looked for a while: ",
        link,
    ]


def test_what_is_longer_than_a_message_is_cut_all_the_same() -> None:
    text = "https://example.org/" + "x" * 5000

    assert [len(part.text) for part in split(text)][:2] == [LIMIT, LIMIT]


@pytest.mark.parametrize(
    "text",
    [
        "".join(
            f"{number}. An item with [a link](https://example.org/{number}).\n"
            for number in range(2500)
        ),
        "```python\n" + "print('hello')\n" * 6600 + "```",
        "שלום עולם " * 10_000,
        "👩‍👩‍👧" * 20_000,
        "`" * 100_000,
        "[" * 100_000,
        "- " * 50_000,
        " \t" * 50_000,
    ],
    ids=["list", "code", "right to left", "families", "backticks", "brackets", "dashes", "blanks"],
)
def test_a_hundred_thousand_characters_are_cut_well(text: str) -> None:
    parts = split(text)

    assert "".join(part.text for part in parts) == text
    assert all(len(part.content) <= LIMIT for part in parts)
    assert all(fences(part.content) % 2 == 0 for part in parts)


def test_a_fence_is_closed_and_opened_again_with_its_language() -> None:
    parts = split("Look:\n```python\n" + "print('hello')\n" * 200 + "```\nDone.")

    assert len(parts) == 2
    assert parts[0].content.endswith("print('hello')\n```")
    assert parts[1].content.startswith("```python\nprint('hello')\n")
    assert parts[1].content.endswith("```\nDone.")


def test_a_fence_that_the_model_forgot_to_close_is_closed() -> None:
    (part,) = split("```\ncode")

    assert part.content == "```\ncode\n```"


@pytest.mark.parametrize(
    ("text", "ends_with"),
    [
        ("a" * 1500 + "\n\n" + "b " * 400, "\n\n"),
        ("word " * 350 + "\n" + "b " * 400, "word \n"),
        ("This is one. " * 200, "one. "),
        ("word " * 500, "word "),
        ("x" * 1200 + "\n```\n" + "code\n" * 300 + "```", "x\n"),
    ],
)
def test_the_cut_is_where_a_reader_would_pause(text: str, ends_with: str) -> None:
    first = split(text)[0]

    assert first.text.endswith(ends_with)


def test_a_link_is_not_cut_while_it_fits_into_a_message() -> None:
    link = "https://example.org/" + "x" * 1500

    parts = split("Some words before it. " * 40 + link)

    assert parts[-1].text == link


def test_characters_are_counted_as_discord_counts_them() -> None:
    """An emoji outside the basic plane is one character, not two."""
    assert len(split("🙂" * LIMIT)) == 1
    assert len(split("🙂" * (LIMIT + 1))) == 2


def test_an_empty_answer_has_no_parts() -> None:
    assert split("") == []


def unicode_samples() -> list[tuple[str, list[int]]]:
    """Each sample of Unicode's own test file for grapheme clusters, and where its breaks are."""
    samples = []
    for line in GRAPHEME_BREAK_TEST.read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        text, breaks = "", []
        for token in line.split():
            if token == BREAK:
                breaks.append(len(text))
            elif token != NO_BREAK:
                text += chr(int(token, 16))
        samples.append((text, breaks))
    return samples


def test_a_character_ends_where_unicode_says() -> None:
    samples = unicode_samples()

    wrong = [
        text
        for text, breaks in samples
        if [at for at in range(len(text) + 1) if is_boundary(text, at)] != breaks
    ]

    assert len(samples) > 800
    assert wrong == []


@pytest.mark.parametrize("before", ["", "a", " ", "🇩🇪"])
def test_no_sample_of_unicode_is_cut_inside_of_a_character(before: str) -> None:
    for text, _ in unicode_samples():
        whole = before * (LIMIT - 3) + text * 12 + "end"
        for part in _positions(split(whole)):
            assert is_boundary(whole, part), (text, part)


def _positions(parts: list[Part]) -> list[int]:
    ends, at = [], 0
    for part in parts:
        at += len(part.text)
        ends.append(at)
    return ends


def test_flags_in_a_row_are_cut_between_two_of_them() -> None:
    text = "".join(chr(0x1F1E6 + n % 26) + chr(0x1F1E6 + n % 7) for n in range(1200))

    parts = split(text)

    assert [len(part.text) for part in parts] == [2000, 400]


def test_a_long_character_goes_whole_into_the_next_message() -> None:
    zalgo = "e" + "\u0301" * 1500

    parts = split("x" * 700 + zalgo + "x" * 10)

    assert [part.text for part in parts] == ["x" * 700, zalgo + "x" * 10]


ALPHABETS = [
    "a", "\U0001f1e9\U0001f1ea", "👨\u200d", "👩‍👩‍👧", "e\u0301", "\u0301", "\u1100", "\u0600",
    "क्", "\U000e0067", "\r\n", "\n", " ", " \t", " \u0301", "`", "``a", "`a", "```\n", "*", "* ",
    "**a", "**a** ", "_a", "~~", "||", "[", "[[x]", "[a](https://e.org/x) ", "[a](https://e.org/(",
    "https://e.org ", "- x\n", "1. ", "-", "> a b\n", ">>> a\n", "\\", "\\*", "<", "<@1", "<:a:1>",
    "a*b_c~~d||e`f[g](h)", "e" + "\u0301" * 40, "e" + "\u0301" * 2500, "\u0301 ",
    "\u200d", "❤\ufe0f", "\U0001f3f4\U000e0067\U000e0062\U000e007f", "שלום ", "A b. ",
    "\U0001d41a\u0301\u0302 ", "#", "-# a\n",
]  # fmt: skip


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_a_hundred_thousand_characters_of_anything_are_cut_in_linear_time(alphabet: str) -> None:
    text = (alphabet * 100_000)[:100_000]

    def seconds(size: int) -> float:
        """The processor's time for the first so many characters, the least of three."""
        spent = []
        for _ in range(3):
            began = time.process_time()
            parts = split(text[:size])
            spent.append(time.process_time() - began)
        assert "".join(part.text for part in parts) == text[:size]
        assert all(0 < len(part.content) <= LIMIT for part in parts)
        return min(spent)

    # 50 ms at the most on a quiet machine. Beside others it takes longer; what is not linear takes
    # 64 times as long for a text of eight times the length.
    assert seconds(100_000) < 0.5
    assert seconds(100_000) < 32 * seconds(12_500) + 0.02


MARKED = "word " * 380
OPENED = [
    ("**", "**"), ("*", "*"), ("__", "__"), ("_", "_"), ("~~", "~~"), ("||", "||"), ("`", "`"),
    ("``", "``"), ("***", "***"), ("||**", "**||"),
]  # fmt: skip


@pytest.mark.parametrize(("opening", "closing"), OPENED)
def test_marks_are_closed_at_a_cut_and_opened_again(opening: str, closing: str) -> None:
    text = f"Look: {opening}{MARKED}and{MARKED}end{closing} more"

    parts = split(text)

    assert len(parts) == 2
    assert parts[0].content.rstrip().endswith(f"word{closing}")
    assert parts[1].content.startswith(f"{opening}word")
    assert parts[1].content.endswith(f"end{closing} more")
    assert "".join(part.text for part in parts) == text


@pytest.mark.parametrize("begins", ["> ", ">>> ", "-# ", "### ", "> -# "])
def test_what_a_line_begins_with_begins_its_rest_too(begins: str) -> None:
    parts = split(f"Look:\n{begins}{MARKED}{MARKED}end\nplain")

    assert parts[1].content.startswith(f"{begins}word")


def test_a_spoiler_that_goes_on_for_several_messages_is_hidden_in_each() -> None:
    parts = split("||" + "secret " * 1200 + "||")

    assert len(parts) == 5
    assert all(part.content.strip().startswith("||secret") for part in parts)
    assert all(part.content.strip().endswith("secret||") for part in parts[:-1])


@pytest.mark.parametrize(
    "text",
    [
        "2 ** 3 and " + MARKED * 2,
        "x**2 " + MARKED * 2,
        "snake_case and " + MARKED * 2,
        "it`s " + MARKED * 2,
        "\\*\\*" + MARKED * 2 + "**",
        "```\n**code\n```\n" + MARKED * 2 + "**",
        "`**`" + MARKED * 2 + "**",
    ],
)
def test_what_is_no_mark_for_discord_is_left_alone(text: str) -> None:
    parts = split(text)

    assert [part.content for part in parts] == [part.text for part in parts]


def test_a_mark_is_not_parted_from_the_words_that_it_opens_or_closes() -> None:
    for size in range(1970, 2010):
        text = "x" * size + "**bold**" + "y" * 100
        parts = split(text)
        shown = [re.sub(r"\*\*(?:bold|bol|bo|b|old|ld|d)\*\*", "", p.content) for p in parts]
        assert all("*" not in each for each in shown), parts


def test_while_an_answer_grows_nothing_is_cut_before_it_is_known_what_is_open() -> None:
    text = "**" + MARKED * 2
    part, following = next_part(text[:2100], SplitPosition(), growing=True)
    undecided = following.position == 2100

    again, settled = next_part(text + "**", SplitPosition(), growing=True)

    assert undecided
    assert part.content.rstrip().endswith("**")
    assert again == part
    assert settled.position == len(again.text)


LINKS = [
    "[the [old] bridge](https://example.org/a/b)",
    "[the bridge](https://example.org/wiki/Bridge_(old))",
    '[the bridge](<https://example.org/a_(b)> "its title")',
    "[**bold** words](https://example.org/a*b*c)",
    "[mail](mailto:ada@example.org)",
]


@pytest.mark.parametrize("link", LINKS)
def test_a_link_is_never_cut_wherever_it_lies_and_however_far_it_has_come(link: str) -> None:
    for size in range(1940, 2001):
        text = "x" * size + " " + link + " and more"
        assert any(link in part.text for part in split(text)), size
        for shown in range(2001, len(text)):
            _, following = next_part(text[:shown], SplitPosition(), growing=True)
            assert not size + 1 < following.position < min(shown, size + 1 + len(link))
