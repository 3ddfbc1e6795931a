"""Ranges of tag numbers, and the one regular expression that matches the tags in them.

Flux compiles the expression with RE2: no look-around, no back-references; it is not anchored unless
it says so. Leading zeros are matched too, because a numerical policy reads main-007-… as 7.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

PREFIX = "^main-0*(?:"
SUFFIX = ")-[0-9a-f]{7}$"
# Well under the 4 KB that the whole list may have, the other entries included.
LARGEST_EXPRESSION = 3000


class Span(NamedTuple):
    """The numbers from `first` to `last`, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


def union(spans: Iterable[Span]) -> list[Span]:
    """Join what overlaps or touches; ascending."""
    joined: list[Span] = []
    for span in sorted(span for span in spans if span.first <= span.last):
        if joined and span.first <= joined[-1].last + 1:
            joined[-1] = Span(joined[-1].first, max(joined[-1].last, span.last))
        else:
            joined.append(span)
    return joined


def expression(spans: Sequence[Span]) -> str | None:
    """One anchored expression for all spans; None for none.

    It stays below LARGEST_EXPRESSION for any number of spans: where it would not, the lowest two
    are joined over the gap between them. That can only exclude more, and nothing above the highest
    span, so what was rolled back stays excluded and a newer merge still deploys.
    """
    left = union(spans)
    while left:
        text = PREFIX + "|".join(one for span in left for one in _decimals(span)) + SUFFIX
        if len(text) <= LARGEST_EXPRESSION:
            return text
        left[:2] = [Span(left[0].first, left[1].last)]
    return None


def _decimals(span: Span) -> Iterator[str]:
    """Alternatives that together match the decimal numbers of a span, shortest first."""
    first, last = span
    for digits in range(len(str(first)), len(str(last)) + 1):
        lowest = max(first, 10 ** (digits - 1) if digits > 1 else 0)
        yield from _same_length(str(lowest), str(min(last, 10**digits - 1)))


def _same_length(low: str, high: str) -> Iterator[str]:
    """Alternatives for the numbers from `low` to `high`, which have equally many digits."""
    shared = next((i for i, pair in enumerate(zip(low, high, strict=True)) if len({*pair}) > 1), -1)
    if shared < 0:
        yield low
        return
    head, rest = low[:shared], len(low) - shared - 1
    bottom, top = int(low[shared]), int(high[shared])
    if low[shared + 1 :].strip("0"):
        yield from (f"{head}{bottom}{t}" for t in _same_length(low[shared + 1 :], "9" * rest))
        bottom += 1
    trailing = bool(high[shared + 1 :].strip("9"))
    if bottom <= top - trailing:
        yield head + _digit(bottom, top - trailing) + _any(rest)
    if trailing:
        yield from (f"{head}{top}{t}" for t in _same_length("0" * rest, high[shared + 1 :]))


def _digit(low: int, high: int) -> str:
    return str(low) if low == high else f"[{low}-{high}]"


def _any(count: int) -> str:
    return "" if count == 0 else "[0-9]" if count == 1 else f"[0-9]{{{count}}}"
