"""From the tags of a repository to the latest one: exclusion, filter with extract, order. Pure."""

import math
import re
from collections.abc import Iterable, Sequence

from tests.loop.image_controllers.goregex import InvalidRegexError, compile_go, expand
from tests.loop.image_controllers.model import Json
from tests.loop.image_controllers.semver import Version, parse_range, parse_version

DEFAULT_EXCLUSIONS = (r"^.*\.sig$",)  # Flux's own; a list in the spec replaces it
EXCLUSION_LIMIT = 25  # the CRD's maxItems

_TEN = r"[0-9]+(?:_[0-9]+)*"  # Go lets one underscore stand between digits
_DECIMAL = re.compile(rf"[+-]?(?:{_TEN}(?:\.(?:{_TEN})?)?|\.{_TEN})(?:[eE][+-]?{_TEN})?")
_HEXADECIMAL = re.compile(
    r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+"
)
_SPECIAL = re.compile(r"[+-]?inf(?:inity)?|nan", re.IGNORECASE | re.ASCII)


class InvalidPolicyError(ValueError):
    """The policy cannot be used until a person changes it."""


class NoLatestError(ValueError):
    """The policy is right and has nothing to choose from, or met a tag that it cannot order."""


def exclusions(spec: Json) -> list[str]:
    """Return the exclusions in force for an ImageRepository."""
    return list(spec.get("exclusionList") or DEFAULT_EXCLUSIONS)


def kept(tags: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Return the tags in which no pattern is found anywhere, last in the alphabet first.

    That is the order in which Flux stores them. Raises InvalidRegexError for a pattern that Go
    does not compile, Refused for one that is not honoured.
    """
    compiled = [
        compile_go(pattern, f"spec.exclusionList[{place}]")
        for place, pattern in enumerate(patterns)
    ]
    return sorted(
        (tag for tag in tags if not any(one.search(tag) for one in compiled)), reverse=True
    )


def latest(spec: Json, tags: Sequence[str]) -> str:
    """Return the tag that an ImagePolicy chooses.

    Raises InvalidPolicyError, NoLatestError, or Refused.
    """
    candidates = _filtered(spec.get("filterTags"), tags)
    if not candidates:
        raise NoLatestError("version list argument cannot be empty")
    return candidates[_choose(spec["policy"], list(candidates))]


def _filtered(filter_tags: Json | None, tags: Sequence[str]) -> dict[str, str]:
    """Map what is compared to the tag it came from.

    Of two tags with one value the later in `tags` stays.
    """
    if filter_tags is None:
        return {tag: tag for tag in tags}
    template = filter_tags.get("extract") or ""
    try:
        pattern = compile_go(filter_tags.get("pattern") or "", "spec.filterTags.pattern")
    except InvalidRegexError as error:
        raise InvalidPolicyError(f"failed to filter tags: {error}") from error
    found = {}
    for tag in tags:
        match = pattern.search(tag)
        if match:
            found[expand(template, match) if template else tag] = tag
    return found


def _choose(policy: Json, values: list[str]) -> str:
    # Flux looks in this order and takes the first that is there.
    if policy.get("semver") is not None:
        return _highest_version(policy["semver"].get("range") or "", values)
    if policy.get("alphabetical") is not None:
        return (min if _descending(policy["alphabetical"]) else max)(values)
    if policy.get("numerical") is not None:
        return _highest_number(values, descending=_descending(policy["numerical"]))
    raise InvalidPolicyError("invalid policy: given ImagePolicyChoice object is invalid")


def _descending(order: Json) -> bool:
    return bool(order.get("order") == "desc")


def _highest_number(values: list[str], *, descending: bool) -> str:
    chosen, best = "", 0.0
    for place, value in enumerate(values):
        number = parse_float(value)
        if place and (number > best if descending else number < best):
            continue
        chosen, best = value, number
    return chosen


def _highest_version(text: str, values: list[str]) -> str:
    inside = parse_range(text, "spec.policy.semver.range")
    best: Version | None = None
    for value in values:
        version = parse_version(value)
        if version is not None and inside(version) and (best is None or version > best):
            best = version
    if best is None:
        raise NoLatestError("unable to determine latest version from provided list")
    return best.original


def parse_float(text: str) -> float:
    """Read a number where Go's strconv.ParseFloat(text, 64) does. Raises NoLatestError elsewhere.

    Python's float() would also take spaces and other scripts' digits, and turn 1e999 into
    infinity.
    """
    if _SPECIAL.fullmatch(text):
        return float(text)
    try:
        if _DECIMAL.fullmatch(text):
            number = float(text)
            if not math.isinf(number):
                return number
        elif _HEXADECIMAL.fullmatch(text):
            return float.fromhex(text)
    except OverflowError:
        pass
    raise NoLatestError(f"failed to parse invalid numeric value '{text}'")
