"""How shards are shared out: fairly, and then no more."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bot.leadership.coordinator import gives, patience, wanted

PODS = ["a", "b", "c", "d", "e"]


@given(
    st.lists(st.sampled_from(PODS), min_size=1, max_size=32),
    st.integers(min_value=1, max_value=5),
)
def test_asking_and_giving_ends_with_nobody_two_ahead(holders: list[str], pods: int) -> None:
    """Whatever the beginning; every move is one that both sides agree on."""
    here = dict(enumerate(PODS[each % pods] for each in map(PODS.index, holders)))
    present = PODS[:pods]
    for _ in range(len(holders) * pods + pods):
        for pod in present:
            shard = wanted(pod, here, most=64)
            if shard is not None and gives(here[shard], pod, here):
                here[shard] = pod

    held = Counter(dict.fromkeys(present, 0))
    held.update(here.values())
    assert max(held.values()) - min(held.values()) <= 1
    assert all(wanted(pod, here, most=64) is None for pod in present)


def test_nobody_takes_more_than_it_may() -> None:
    holders = {0: "a", 1: "a", 2: "a", 3: "a", 4: "b"}

    assert wanted("b", holders, most=1) is None
    assert wanted("b", holders, most=2) is not None


def test_while_one_is_free_nobody_asks_for_another() -> None:
    assert wanted("b", {0: "a", 1: "a", 2: ""}, most=4) is None


def test_who_has_fewest_takes_first() -> None:
    assert patience(0) == 0
    assert patience(1) < patience(2)
