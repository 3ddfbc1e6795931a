"""A repository serves one set-up: a second one neither overwrites nor removes what it made."""

from __future__ import annotations

import copy

import pytest

from tests.azure.conftest import Stage
from tests.azure.fake.gh import OTHER
from tests.azure.fake.world import SUBSCRIPTION, State

RECORD = "DISCORD_SKY_SETUP"


def github(stage: Stage) -> State:
    """What is on GitHub now, but for the runs of workflows."""
    return copy.deepcopy({**stage.world.state["github"], "runs": []})


def test_a_second_set_up_of_a_repository_is_refused_before_anything_is_made(stage: Stage) -> None:
    stage.run("up")
    before, changed = github(stage), len(stage.world.changed)

    code = stage.run("up", "--name", "other")

    assert code == 1
    assert "example/discord-sky already belongs to the set-up discord-sky" in stage.text
    assert "make azure-teardown ARGS='--name discord-sky'" in stage.text
    assert stage.world.changed[changed:] == []
    assert github(stage) == before


def test_teardown_of_another_name_leaves_the_first_alone(stage: Stage) -> None:
    stage.run("up")
    before = copy.deepcopy(stage.world.state)

    code = stage.run("teardown", "--name", "other")

    assert code == 0, stage.text
    assert "Nothing is left of it." in stage.text
    assert stage.world.state["github"] == before["github"]
    assert stage.world.state["azure"] == before["azure"]


def test_the_same_name_in_another_subscription_is_another_set_up(stage: Stage) -> None:
    """Its deploy keys have the same titles, so the titles alone would say that they are ours."""
    stage.run("up")
    variables = stage.world.state["github"]["variables"]
    variables[RECORD] = variables[RECORD].replace(SUBSCRIPTION, "1111-2222")
    before = github(stage)

    assert stage.run("up") == 1
    assert "--name discord-sky --subscription 1111-2222" in stage.text
    assert stage.run("teardown") == 0, stage.text

    assert github(stage) == before
    assert stage.world.state["azure"]["resources"] == {}


def test_after_teardown_the_repository_is_free(stage: Stage) -> None:
    stage.run("up")
    stage.run("teardown")

    assert RECORD not in stage.world.state["github"]["variables"]
    assert stage.run("up", "--name", "other") == 0, stage.text
    assert stage.world.state["github"]["variables"][RECORD].startswith(f"other@{SUBSCRIPTION} ")


def test_one_that_was_stopped_early_owns_the_repository_too(stage: Stage) -> None:
    """The variable is written before the first thing is, so no key has to be there."""
    stage.world.state["github"]["variables"][RECORD] = f"first@{SUBSCRIPTION} ACR_LOGIN_SERVER"

    code = stage.run("up")

    assert code == 1
    assert "already belongs to the set-up first" in stage.text
    assert stage.world.changed == []


@pytest.mark.parametrize(
    ("spoilt", "owner"),
    [({}, "discord-sky"), ({"AZURE_SUBSCRIPTION_ID": "1111-2222"}, "1111-2222")],
)
def test_a_list_without_an_owner_is_told_by_what_else_there_is(
    spoilt: dict[str, str], owner: str, stage: Stage
) -> None:
    """Earlier versions wrote no owner into it: keys and subscription tell."""
    stage.run("up")
    variables = stage.world.state["github"]["variables"]
    variables[RECORD] = variables[RECORD].split(" ", 1)[1]
    variables.update(spoilt)
    before = github(stage)

    assert stage.run("up", "--name", "other") == 1
    assert "already belongs to the set-up discord-sky in the subscription" in stage.text
    assert owner in stage.text
    assert stage.run("teardown", "--name", "other") == 0, stage.text

    assert github(stage) == before
    assert stage.run("up") == (1 if spoilt else 0)


def test_a_set_up_stays_with_its_repository(stage: Stage) -> None:
    """Its keys and variables would be left behind, and nobody would remove them."""
    stage.run("up")
    changed = len(stage.world.changed)

    assert stage.run("up", "--repository", OTHER) == 1
    assert "was made for example/discord-sky" in stage.text
    assert stage.run("teardown", "--repository", OTHER) == 1
    assert stage.world.changed[changed:] == []


@pytest.mark.parametrize("now", ["example/discord-sky", ""])
def test_a_repository_that_was_renamed_or_deleted_is_no_obstacle(now: str, stage: Stage) -> None:
    stage.run("up")
    for one in stage.world.state["azure"]["resources"].values():
        if "repository" in one["tags"]:
            one["tags"]["repository"] = OTHER
    stage.world.state["github"]["renamed"] = {OTHER: now}

    assert stage.run("up") == 0, stage.text
