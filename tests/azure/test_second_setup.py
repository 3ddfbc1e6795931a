"""A repository serves one set-up: a second one neither overwrites nor removes what it made."""

from __future__ import annotations

import copy

import pytest

from tests.azure.conftest import Scenario
from tests.azure.fake.cloud import SUBSCRIPTION, State
from tests.azure.fake.gh import OTHER

RECORD = "DISCORD_SKY_SETUP"


def github(scenario: Scenario) -> State:
    """What is on GitHub now, but for the runs of workflows."""
    return copy.deepcopy({**scenario.cloud.state["github"], "runs": []})


def test_a_second_set_up_of_a_repository_is_refused_before_anything_is_created(
    scenario: Scenario,
) -> None:
    scenario.run("up")
    before, changed = github(scenario), len(scenario.cloud.changed)

    code = scenario.run("up", "--name", "other")

    assert code == 1
    assert "example/discord-sky already belongs to the set-up discord-sky" in scenario.text
    assert "make azure-teardown ARGS='--name discord-sky'" in scenario.text
    assert scenario.cloud.changed[changed:] == []
    assert github(scenario) == before


def test_teardown_of_another_name_leaves_the_first_alone(scenario: Scenario) -> None:
    scenario.run("up")
    before = copy.deepcopy(scenario.cloud.state)

    code = scenario.run("teardown", "--name", "other")

    assert code == 0, scenario.text
    assert "Nothing is left of it." in scenario.text
    assert scenario.cloud.state["github"] == before["github"]
    assert scenario.cloud.state["azure"] == before["azure"]


def test_the_same_name_in_another_subscription_is_another_set_up(scenario: Scenario) -> None:
    """Its deploy keys have the same titles, so the titles alone would say that they are ours."""
    scenario.run("up")
    variables = scenario.cloud.state["github"]["variables"]
    variables[RECORD] = variables[RECORD].replace(SUBSCRIPTION, "1111-2222")
    before = github(scenario)

    assert scenario.run("up") == 1
    assert "--name discord-sky --subscription 1111-2222" in scenario.text
    assert scenario.run("teardown") == 0, scenario.text

    assert github(scenario) == before
    assert scenario.cloud.state["azure"]["resources"] == {}


def test_after_teardown_the_repository_is_free(scenario: Scenario) -> None:
    scenario.run("up")
    scenario.run("teardown")

    assert RECORD not in scenario.cloud.state["github"]["variables"]
    assert scenario.run("up", "--name", "other") == 0, scenario.text
    assert scenario.cloud.state["github"]["variables"][RECORD].startswith(f"other@{SUBSCRIPTION} ")


def test_an_interrupted_set_up_owns_the_repository_too(scenario: Scenario) -> None:
    """The variable is written before the first thing is, so no key has to be there."""
    scenario.cloud.state["github"]["variables"][RECORD] = f"first@{SUBSCRIPTION} ACR_LOGIN_SERVER"

    code = scenario.run("up")

    assert code == 1
    assert "already belongs to the set-up first" in scenario.text
    assert scenario.cloud.changed == []


@pytest.mark.parametrize(
    ("spoilt", "owner"),
    [({}, "discord-sky"), ({"AZURE_SUBSCRIPTION_ID": "1111-2222"}, "1111-2222")],
)
def test_the_owner_of_a_list_without_one_is_derived_from_keys_and_subscription(
    spoilt: dict[str, str], owner: str, scenario: Scenario
) -> None:
    """Earlier versions wrote no owner into it: keys and subscription tell."""
    scenario.run("up")
    variables = scenario.cloud.state["github"]["variables"]
    variables[RECORD] = variables[RECORD].split(" ", 1)[1]
    variables.update(spoilt)
    before = github(scenario)

    assert scenario.run("up", "--name", "other") == 1
    assert "already belongs to the set-up discord-sky in the subscription" in scenario.text
    assert owner in scenario.text
    assert scenario.run("teardown", "--name", "other") == 0, scenario.text

    assert github(scenario) == before
    assert scenario.run("up") == (1 if spoilt else 0)


def test_a_set_up_stays_with_its_repository(scenario: Scenario) -> None:
    """Its keys and variables would be left behind, and nobody would remove them."""
    scenario.run("up")
    changed = len(scenario.cloud.changed)

    assert scenario.run("up", "--repository", OTHER) == 1
    assert "was made for example/discord-sky" in scenario.text
    assert scenario.run("teardown", "--repository", OTHER) == 1
    assert scenario.cloud.changed[changed:] == []


@pytest.mark.parametrize("now", ["example/discord-sky", ""])
def test_a_repository_that_was_renamed_or_deleted_is_no_obstacle(
    now: str, scenario: Scenario
) -> None:
    scenario.run("up")
    for one in scenario.cloud.state["azure"]["resources"].values():
        if "repository" in one["tags"]:
            one["tags"]["repository"] = OTHER
    scenario.cloud.state["github"]["renamed"] = {OTHER: now}

    assert scenario.run("up") == 0, scenario.text
