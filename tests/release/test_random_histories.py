"""The guard against thousands of random histories: what a person rolled back stays rolled back.

`RELEASE_HISTORIES` says how many for each property (`make test` runs 1,000; 5,000 take minutes),
`RELEASE_SEED` repeats a run; both are printed at the end.
"""

import os
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from release.exclusion import Exclusion
from release.history import Deployed
from release.manifests import MOST_ENTRIES

from tests.release.actions import (
    BRANCHES,
    CODE,
    FAILURES,
    FORKS,
    MISTAKES,
    PULLS,
    REGISTRIES,
    TAGS,
    Action,
    Actions,
    number,
)
from tests.release.model import Model, Tree

pytestmark = pytest.mark.timeout(7200)  # as many histories as somebody asks for
HISTORIES = int(os.environ.get("RELEASE_HISTORIES", "1000"))
SEED = int(os.environ.get("RELEASE_SEED") or int.from_bytes(os.urandom(4)))
LARGEST_LIST = 4096
# A repository that was made from another one's files, without its history.
COPY = Tree(frozenset(), Deployed("main-1004-abcdef0", "sha256:of-another-registry"))

ALL = CODE + TAGS * 3 + BRANCHES + PULLS * 2 + MISTAKES + FORKS + REGISTRIES + FAILURES * 2

History = tuple[bool, list[tuple[Action, int]]]
settled = settings(
    max_examples=HISTORIES,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def histories(actions: Sequence[Action]) -> st.SearchStrategy[History]:
    steps = st.tuples(st.sampled_from(actions), st.integers(0, 63))
    return st.tuples(st.booleans(), st.lists(steps, min_size=20, max_size=120))


def live(history: History) -> tuple[Model, Actions]:
    is_a_copy, steps = history
    model = Model(COPY if is_a_copy else None)
    actions = Actions(model)
    for action, pick in steps:
        action(actions, pick)
        hold_while_the_guard_is_up_to_date(model, actions)
    model.guard()
    while model.building:
        model.arrive(model.building[0])
    model.settle()
    return model, actions


def hold_while_the_guard_is_up_to_date(model: Model, actions: Actions) -> None:
    """Nothing that a person reverted may be selected, whatever arrives."""
    exclusion = Exclusion.of(model.history)
    if not model.turned_over and exclusion.expression == (model.tree.excluded[1:] or (None,))[0]:
        selected = model.select(model.tree.excluded)
        assert selected is None or stays_out(model, actions, number(selected))
    assert sum(map(len, model.tree.excluded)) < LARGEST_LIST
    assert len(model.tree.excluded) <= MOST_ENTRIES


def stays_out(model: Model, actions: Actions, selected: int) -> bool:
    """Tell whether nobody rolled a number back, or a new registry has nothing else to run."""
    nothing_left = actions.moved and not model.left(model.tree.excluded)
    return selected not in actions.reverted or nothing_left


def agree(model: Model) -> int:
    """Git, policy and what runs are one; return its number."""
    if model.registry and model.selected:
        assert model.tree.deployed == model.selected == model.runs
    return number(model.runs)


@seed(SEED)
@settled
@given(histories(ALL))
def test_what_people_asked_for_last_is_what_runs(history: History) -> None:
    """The tag that they chose, or a merge that is newer than their choice; nothing between."""
    model, actions = live(history)

    runs = agree(model)

    assert stays_out(model, actions, runs)
    if actions.last:
        at, before, after = actions.last
        newer = [n for n in model.registry if n > at]
        if newer:
            assert runs == max(newer)
        elif not actions.moved:
            assert runs == after if after < before else runs >= after


@seed(SEED)
@settled
@given(histories(CODE + MISTAKES + BRANCHES[:1] + FORKS))
def test_without_rollbacks_nothing_is_excluded_and_the_newest_merge_runs(history: History) -> None:
    model, _ = live(history)

    assert agree(model) == max(model.registry, default=0)
    assert len(model.tree.excluded) == 1


def test_without_the_guard_the_reverted_tag_comes_back() -> None:
    """Otherwise this model would be kinder than the real controllers."""
    model = Model()
    actions = Actions(model)
    for _ in range(2):
        actions.merge_a_change(0)
        actions.image_arrives(0)
        model.settle(guarded=False)
    bad = model.runs

    actions.revert_the_last(0)
    model.reconcile()
    assert model.runs != bad
    model.settle(guarded=False)
    assert model.runs == bad

    actions.revert_the_last(0)
    model.settle()
    assert model.runs != bad
