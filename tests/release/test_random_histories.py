"""The guard against thousands of histories: what a person reverted stays reverted.

`RELEASE_HISTORIES` says how many, `RELEASE_SEED` repeats a run; both are printed at the end.
"""

import os
from collections.abc import Sequence

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from release.exclusion import Exclusion
from release.manifests import MOST_ENTRIES

from tests.release.people import BRANCHES, CODE, PULLS, TAGS, Action, People, number
from tests.release.world import World

HISTORIES = int(os.environ.get("RELEASE_HISTORIES", "1500"))
SEED = int(os.environ.get("RELEASE_SEED") or int.from_bytes(os.urandom(4)))
LARGEST_LIST = 4096

History = list[tuple[Action, int]]
settled = settings(
    max_examples=HISTORIES,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def histories(actions: Sequence[Action]) -> st.SearchStrategy[History]:
    return st.lists(
        st.tuples(st.sampled_from(actions), st.integers(0, 63)), min_size=20, max_size=120
    )


def live(history: History) -> tuple[World, People]:
    world = World()
    people = People(world)
    for action, pick in history:
        action(people, pick)
        hold_while_the_guard_is_up_to_date(world, people)
    while world.building:
        world.arrive(world.building[0])
    world.settle()
    return world, people


def hold_while_the_guard_is_up_to_date(world: World, people: People) -> None:
    """Nothing that a person reverted may be selected, whatever arrives."""
    exclusion = Exclusion.of(world.history)
    if (exclusion.expression or None) == (world.tree.excluded[1:] or (None,))[0]:
        selected = world.select(world.tree.excluded)
        assert selected is None or number(selected) not in people.reverted
    assert sum(map(len, world.tree.excluded)) < LARGEST_LIST
    assert len(world.tree.excluded) <= MOST_ENTRIES


def agree(world: World) -> int:
    """Git, policy and what runs are one; return its number."""
    if world.registry and world.selected:
        assert world.tree.deployed == world.selected == world.runs
    return number(world.runs)


@seed(SEED)
@settled
@given(histories(CODE + TAGS * 3 + BRANCHES))
def test_what_people_said_last_is_what_runs(history: History) -> None:
    """The tag that they chose, or a merge that is newer than what they said; nothing between."""
    world, people = live(history)

    runs = agree(world)

    assert runs not in people.reverted
    if people.last:
        at, before, after = people.last
        newer = [n for n in world.registry if n > at]
        if newer:
            assert runs == max(newer)
        elif after < before:
            assert runs == after
        else:
            assert runs >= after


@seed(SEED)
@settled
@given(histories(CODE + TAGS * 3 + BRANCHES + PULLS * 2))
def test_nothing_reverted_runs_even_where_a_pull_was_pushed_as_a_merge(history: History) -> None:
    world, people = live(history)

    assert agree(world) not in people.reverted


@seed(SEED)
@settings(settled, max_examples=HISTORIES // 5)
@given(histories(CODE))
def test_without_rollbacks_nothing_is_excluded_and_the_newest_merge_runs(history: History) -> None:
    world, _ = live(history)

    assert agree(world) == max(world.registry, default=0)
    assert len(world.tree.excluded) == 1


def test_without_the_guard_the_reverted_tag_comes_back() -> None:
    """Otherwise this world would be kinder than the real controllers."""
    world = World()
    people = People(world)
    for _ in range(2):
        people.merge_a_change(0)
        people.image_arrives(0)
        world.settle(guarded=False)
    bad = world.runs

    people.revert_the_last(0)
    world.reconcile()
    assert world.runs != bad
    world.settle(guarded=False)
    assert world.runs == bad

    people.revert_the_last(0)
    world.settle()
    assert world.runs != bad
