"""One expression for ranges of numbers: exact, anchored, short, and in RE2's language."""

import re

from hypothesis import given
from hypothesis import strategies as st
from release.tag_ranges import LARGEST_EXPRESSION, Span, expression, union
from release.tags import LARGEST

numbers = st.one_of(st.integers(0, 1500), st.integers(0, LARGEST))
spans = st.tuples(numbers, numbers).map(lambda pair: Span(min(pair), max(pair)))


def tag(number: int) -> str:
    return f"main-{number}-0a1b2c3"


def matches(text: str | None, number: int) -> bool:
    return text is not None and re.search(text, tag(number)) is not None


@given(st.lists(spans, max_size=3), st.lists(numbers, max_size=30))
def test_it_matches_exactly_the_numbers_in_the_spans(found: list[Span], others: list[int]) -> None:
    text = expression(found)

    edges = [n for span in found for n in (span.first - 1, *span, span.last + 1) if n >= 0]
    for number in (*others, *edges):
        assert matches(text, number) == any(s.first <= number <= s.last for s in found)


@given(st.lists(spans, min_size=20, max_size=200))
def test_it_stays_short_and_only_ever_excludes_more(found: list[Span]) -> None:
    text = expression(found)

    assert text is not None
    assert len(text) <= LARGEST_EXPRESSION
    for span in found:
        assert matches(text, span.first)
        assert matches(text, span.last)
    assert not matches(text, max(span.last for span in found) + 1)


def test_every_number_of_four_digits() -> None:
    """Exhaustive where it is cheap: all spans that begin or end at a turn of digits."""
    turns = [0, 1, 9, 10, 11, 99, 100, 109, 110, 909, 999, 1000, 1234]
    for first in turns:
        for last in (turn for turn in turns if turn >= first):
            compiled = re.compile(expression([Span(first, last)]) or "")
            hit = [n for n in range(1300) if compiled.search(tag(n))]
            assert hit == list(range(first, last + 1))


def test_it_is_anchored_and_reads_numbers_as_the_policy_does() -> None:
    text = expression([Span(12, 14)])

    assert text == "^main-0*(?:1[2-4])-[0-9a-f]{7}$"
    assert re.search(text, "main-0012-0a1b2c3")  # a numerical policy reads 12
    for other in ("main-112-0a1b2c3", "main-120-0a1b2c3", "x-main-12-0a1b2c3", "src-12"):
        assert not re.search(text, other)


def test_nothing_is_excluded_by_no_span() -> None:
    assert expression([]) is None
    assert expression([Span(5, 4)]) is None


def test_touching_spans_are_one() -> None:
    assert union([Span(7, 9), Span(1, 3), Span(4, 5)]) == [Span(1, 5), Span(7, 9)]
