"""Versions and ranges."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loop.image_controllers.model import Refused
from tests.loop.image_controllers.semver import Version, parse_range, parse_version


def version(text: str) -> Version:
    found = parse_version(text)
    assert found
    return found


def test_precedence_is_that_of_the_specification() -> None:
    """The example of semver.org, item 11."""
    ordered = ["-alpha", "-alpha.1", "-alpha.beta", "-beta", "-beta.2", "-beta.11", "-rc.1"]

    versions = [*(version(f"1.0.0{pre}") for pre in ordered), version("1.0.0")]

    assert all(low < high for low, high in pairwise(versions))
    assert version("v1.0.0+build") == version("1.0.0")


@pytest.mark.parametrize(
    "text", ["1.2", "1", "01.2.3", "1.2.3-01", "1.2.3-", "latest", "V1.2.3", "1.2.3.4"]
)
def test_what_is_no_strict_version(text: str) -> None:
    assert parse_version(text) is None


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">=1.0.0", "1.0.0 2.3.4", "0.9.9 1.0.0-rc.1 2.0.0-rc.1"),
        (">=1.0.0-0", "1.0.0-rc.1 2.0.0-rc.1 1.0.0", "0.9.9"),
        ("^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0 2.0.0-rc.1"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0"),
        ("^0.0.3", "0.0.3", "0.0.4 0.0.2"),
        ("^0", "0.0.0 0.9.9", "1.0.0"),
        ("^1.x-0", "1.0.0-rc.1 1.2.3", "2.0.0-rc.1 2.0.0"),
        ("~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"),
        ("~1", "1.0.0 1.9.0", "2.0.0"),
        ("5.0.x", "5.0.0 5.0.9", "5.1.0"),
        ("1.2", "1.2.0 1.2.9", "1.3.0"),
        ("*", "0.0.1 9.9.9", "1.0.0-rc.1"),
        ("1.2.3", "1.2.3 v1.2.3", "1.2.4 1.2.3-rc.1"),
        ("=1.2.3-rc", "1.2.3-rc", "1.2.3-rc.1 1.2.3"),
        ("!=1.2.3", "1.2.4", "1.2.3"),
        ("~0.0.0", "0.0.0 9.9.9", "1.0.0-rc.1"),
        (">1.0.0-0, <2.0.0", "1.0.0-rc.1 1.5.0-rc.1", "2.0.0"),
        (">1.0.0 <2.0.0, !=1.5.0 || 3.x", "1.4.0 3.1.0", "1.5.0 2.0.0 1.0.0"),
    ],
)
def test_ranges(text: str, inside: str, outside: str) -> None:
    test = parse_range(text, "spec.range")

    assert all(test(version(one)) for one in inside.split())
    assert not any(test(version(one)) for one in outside.split())


@pytest.mark.parametrize(
    "text", ["", "1.2 - 2.3", ">1", ">=1.x", "latest", "1.2.3.4", ">=1.0.0<2.0.0", "||"]
)
def test_ranges_that_are_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"spec\.range"):
        parse_range(text, "spec.range")


triples = st.tuples(*[st.integers(0, 30)] * 3)


@given(triples, triples)
def test_a_caret_never_leaves_its_leftmost_number(
    low: tuple[int, ...], other: tuple[int, ...]
) -> None:
    test = parse_range("^{}.{}.{}".format(*low), "spec.range")
    significant = next((place for place, number in enumerate(low) if number), 2) + 1

    expected = other >= low and other[:significant] == low[:significant]

    assert test(version("{}.{}.{}".format(*other))) is expected
