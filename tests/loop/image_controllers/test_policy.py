"""From tags to the latest one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loop.image_controllers.goregex import InvalidRegexError
from tests.loop.image_controllers.model import Refused
from tests.loop.image_controllers.policy import (
    InvalidPolicyError,
    NoLatestError,
    exclusions,
    kept,
    latest,
    parse_float,
)

MAIN = {
    "filterTags": {"pattern": "^main-(?P<n>[0-9]+)-[0-9a-f]{7}$", "extract": "$n"},
    "policy": {"numerical": {"order": "asc"}},
}
numbers = st.lists(st.integers(0, 2**53), min_size=1, unique=True)


def tag(number: int) -> str:
    return f"main-{number}-abcdef0"


@given(numbers)
def test_the_highest_number_is_the_latest(found: list[int]) -> None:
    assert latest(MAIN, kept(map(tag, found), [])) == tag(max(found))


@given(numbers, st.data())
def test_an_excluded_tag_gives_way_to_the_next_lower(found: list[int], data: st.DataObject) -> None:
    excluded = data.draw(st.sets(st.sampled_from(found)))
    rest = set(found) - excluded
    pattern = rf"^main-({'|'.join(map(str, excluded)) or 'x'})-"

    tags = kept(map(tag, found), [pattern])

    if rest:
        assert latest(MAIN, tags) == tag(max(rest))
    else:
        assert tags == []


@given(numbers, st.lists(st.text("abcxyz.-", min_size=1), max_size=5))
def test_tags_that_the_pattern_does_not_find_do_not_matter(
    found: list[int], others: list[str]
) -> None:
    assert latest(MAIN, [*others, *map(tag, found), "src-0", "latest"]) == tag(max(found))


def test_one_tag_that_is_no_number_fails_the_whole_policy() -> None:
    spec = {"filterTags": {"pattern": "^v", "extract": ""}, "policy": {"numerical": {}}}

    with pytest.raises(NoLatestError, match="invalid numeric value 'v1'"):
        latest(spec, ["v1"])
    with pytest.raises(NoLatestError, match="'oops'"):
        latest({"policy": {"numerical": {}}}, ["1", "oops", "2"])


def test_nothing_that_the_filter_finds_is_an_error() -> None:
    with pytest.raises(NoLatestError, match="cannot be empty"):
        latest(MAIN, ["latest"])


def test_of_two_tags_with_one_number_the_one_first_in_the_alphabet_wins() -> None:
    """Flux stores tags in descending order and the later one overwrites."""
    assert latest(MAIN, kept(["main-5-aaaaaaa", "main-5-bbbbbbb"], [])) == "main-5-aaaaaaa"


def test_orders() -> None:
    tags = ["9", "10", "11"]
    stable = {"policy": {"semver": {"range": ">=1.0.0"}}}

    assert latest({"policy": {"numerical": {"order": "desc"}}}, tags) == "9"
    assert latest({"policy": {"alphabetical": {"order": "asc"}}}, tags) == "9"
    assert latest({"policy": {"alphabetical": {"order": "desc"}}}, tags) == "10"
    assert latest(stable, ["1.2.0", "v1.10.0", "x"]) == "v1.10.0"
    with pytest.raises(InvalidPolicyError):
        latest({"policy": {}}, tags)
    with pytest.raises(NoLatestError, match="unable to determine"):
        latest({"policy": {"semver": {"range": "^2"}}}, ["1.2.0"])


def test_a_filter_that_go_would_not_compile_is_an_invalid_policy() -> None:
    with pytest.raises(InvalidPolicyError):
        latest({**MAIN, "filterTags": {"pattern": "("}}, ["1"])


def test_exclusions_are_unanchored_and_replace_the_default() -> None:
    assert exclusions({}) == [r"^.*\.sig$"]
    assert exclusions({"exclusionList": ["bad"]}) == ["bad"]
    assert kept(["a-bad-1", "sha256-1.sig", "good"], ["bad"]) == ["sha256-1.sig", "good"]


def test_an_exclusion_that_cannot_be_read_is_named() -> None:
    with pytest.raises(InvalidRegexError):
        kept([], ["["])
    with pytest.raises(Refused, match=r"spec\.exclusionList\[1\]"):
        kept([], ["a", r"\pN"])


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_is_read_back(number: float) -> None:
    assert parse_float(repr(number)) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+1", 1),
        (".5", 0.5),
        ("5.", 5),
        ("1e3", 1000),
        ("1_0.0_1e0_1", 100.1),
        ("0x1p4", 16),
        ("Inf", math.inf),
        ("-infinity", -math.inf),
    ],
)
def test_numbers_that_go_reads(text: str, number: float) -> None:
    assert parse_float(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1_",
        "_1",
        "1__0",
        "1_.5",
        "\u0661",
        "0x10",
        "1e999",
        "0x1p99999",
        "+nan",
        "1,5",
        "--1",
        "1\n",
    ],
)
def test_numbers_that_go_does_not_read(text: str) -> None:
    with pytest.raises(NoLatestError):
        parse_float(text)
