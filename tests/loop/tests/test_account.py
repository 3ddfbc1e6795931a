"""The account that the histories are held to must itself refuse what is wrong."""

import pytest
from release.history import Deployed
from release.manifests import DEFAULT

from tests.loop.people.account import LARGEST_LIST, Account
from tests.loop.people.releases import Said


def runs(number: int, *excluded: str) -> Said:
    digest = "sha256:" + 64 * "a"
    return Said(Deployed(f"main-{number}-0a1b2c3", digest), (DEFAULT, *excluded))


WENT_BACK = Account(reverted={7}, last=(9, 7, 5))  # at number 9 of main, from 7 to 5


@pytest.mark.parametrize(
    ("said", "arrived", "why"),
    [
        (runs(7), [5, 7], "7 runs, which a person reverted"),
        (runs(8), [5, 7, 8], "8 runs, and a person went back to 5"),  # built before, arrived after
        (runs(4), [4, 5, 7], "4 runs, and a person went back to 5"),
        (runs(5), [5, 7, 10], "5 runs, and 10 is newer than what was said"),
        (runs(5, LARGEST_LIST * "x"), [5, 7], "the list has 4105 bytes"),
    ],
)
def test_what_nobody_asked_for_is_refused(said: Said, arrived: list[int], why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        WENT_BACK.check(said, arrived)


@pytest.mark.parametrize(("said", "arrived"), [(runs(5), [5, 7, 8]), (runs(10), [5, 7, 10])])
def test_the_tag_that_was_chosen_or_a_newer_merge_is_right(said: Said, arrived: list[int]) -> None:
    WENT_BACK.check(said, arrived)
