"""Semantic versions and the ranges of ImagePolicy, as far as they are unambiguous.

Flux reads ranges with Masterminds/semver: comma or space is "and", `||` is "or". Honoured here:
=, !=, >, <, >=, <=, ~, ^, a bare version, and `x` or `*` or missing parts with =, ~, ^. Hyphen
ranges are refused, and so are partial versions with the inequalities: nothing here uses them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import total_ordering
from itertools import zip_longest

from tests.loop.image_controllers.model import Refused

_NUMBER = r"0|[1-9][0-9]*"
_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(
    rf"v?({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_IDENTIFIERS}))?(?:\+({_IDENTIFIERS}))?"
)
_PART = rf"{_NUMBER}|[xX*]"
_CONSTRAINT = re.compile(
    rf"(!=|>=|<=|=>|=<|~>|[=<>~^]?)\s*v?({_PART})(?:\.({_PART}))?(?:\.({_PART}))?(?:-({_IDENTIFIERS}))?"
)
_SPELLINGS = {"": "=", "=>": ">=", "=<": "<=", "~>": "~"}
_PARTS = 3


@total_ordering
@dataclass(frozen=True, eq=False)
class Version:
    """A strict semantic version; build metadata does not order it."""

    numbers: tuple[int, int, int]
    pre: tuple[str, ...]
    original: str

    def _order(self) -> tuple[tuple[int, int, int], bool, tuple[tuple[int, int, str], ...]]:
        identifiers = tuple(
            (0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.pre
        )
        return self.numbers, not self.pre, identifiers

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._order() == other._order()

    def __lt__(self, other: "Version") -> bool:
        return self._order() < other._order()

    def __hash__(self) -> int:
        return hash(self._order())


def parse_version(text: str) -> Version | None:
    """Read `1.2.3-rc.1`, with or without `v`; None for anything else."""
    found = _VERSION.fullmatch(text)
    if not found:
        return None
    pre = tuple(found[4].split(".")) if found[4] else ()
    if any(part.isdigit() and part != "0" and part.startswith("0") for part in pre):
        return None
    return Version((int(found[1]), int(found[2]), int(found[3])), pre, text)


def parse_range(text: str, path: str) -> Callable[[Version], bool]:
    """Turn a range into a test. Raises Refused for what is not honoured."""
    alternatives = [_all_of(part, path) for part in text.split("||")]
    return lambda version: any(test(version) for test in alternatives)


def _all_of(text: str, path: str) -> Callable[[Version], bool]:
    tests: list[Callable[[Version], bool]] = []
    prereleases = False  # one constraint that names one lets all of them see prereleases
    position = 0
    text = text.strip()
    while position < len(text):
        found = _CONSTRAINT.match(text, position)
        if not found or re.match(r"[^\s,]", text[found.end() :]):
            raise Refused(path, f"{text!r} is not a range this stand-in reads")
        tests.append(_one(found, path))
        prereleases = prereleases or bool(found[5])
        position = found.end()
        separator = re.match(r"[\s,]*", text[position:])
        position += separator.end() if separator else 0
    if not tests:
        raise Refused(path, "an empty range")
    return lambda version: (prereleases or not version.pre) and all(test(version) for test in tests)


def _one(found: re.Match[str], path: str) -> Callable[[Version], bool]:
    operator = _SPELLINGS.get(found[1], found[1])
    numbers = _known_numbers(found)
    pre = tuple(found[5].split(".")) if found[5] else ()
    if operator in {"=", "~", "^"}:
        low, high = _span(operator, numbers, pre)
        return lambda version: low <= version and (high is None or version < high)
    if len(numbers) != _PARTS:
        raise Refused(path, f"{found[0]!r}: a partial version with {operator}")
    edge = Version((numbers[0], numbers[1], numbers[2]), pre, found[0])
    compare: dict[str, Callable[[Version], bool]] = {
        "!=": lambda version: version != edge,
        ">": lambda version: version > edge,
        "<": lambda version: version < edge,
        ">=": lambda version: version >= edge,
        "<=": lambda version: version <= edge,
    }
    return compare[operator]


def _known_numbers(found: re.Match[str]) -> tuple[int, ...]:
    known: list[int] = []
    for part in (found[2], found[3], found[4]):
        if part is None or part in "xX*":
            break
        known.append(int(part))
    return tuple(known)


def _span(
    operator: str, numbers: tuple[int, ...], pre: tuple[str, ...]
) -> tuple[Version, Version | None]:
    """The half-open span of versions that =, ~ or ^ means."""
    low = [number or 0 for number, _ in zip_longest(numbers, range(_PARTS))]
    start = Version((low[0], low[1], low[2]), pre, "")
    if not numbers or (operator == "~" and numbers == (0, 0, 0)):
        return start, None  # Masterminds reads ~0.0.0 as "any"
    if operator == "=" and len(numbers) == _PARTS:
        # Nothing lies between 1.2.3-rc and 1.2.3-rc.0, so the span holds one version only.
        return start, Version(start.numbers, (*pre, "0"), "") if pre else _next(low, 2)
    if operator == "^":
        significant = next(
            (place for place, number in enumerate(numbers) if number), len(numbers) - 1
        )
        return start, _next(low, significant)
    return start, _next(low, min(len(numbers), 2) - 1)


def _next(low: list[int], place: int) -> Version:
    high = [*low[:place], low[place] + 1, *([0] * (_PARTS - 1 - place))]
    return Version((high[0], high[1], high[2]), ("0",), "")
