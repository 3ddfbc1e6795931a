"""Set-up and teardown: asked first, made once, changed never, undone wholly."""

from __future__ import annotations

import pytest

from tests.azure.conftest import Scenario
from tests.azure.fake.compare import leftovers

EXISTING = pytest.mark.parametrize(
    "existing", [[], ["cluster"], ["registry"], ["cluster", "registry"]]
)


@EXISTING
def test_the_first_run_creates_everything_and_the_bot_runs(
    existing: list[str], scenario: Scenario
) -> None:
    names = scenario.make_existing(existing)

    code = scenario.run("up", *names)

    assert code == 0, scenario.text
    assert scenario.said[-1].startswith("\nThe bot is running.")


@EXISTING
def test_a_second_run_changes_nothing(existing: list[str], scenario: Scenario) -> None:
    names = scenario.make_existing(existing)
    scenario.run("up", *names)
    before = len(scenario.cloud.changed)

    code = scenario.run("up")  # the names are in the record

    assert code == 0, scenario.text
    assert scenario.cloud.changed[before:] == []


@EXISTING
def test_teardown_leaves_what_was_there_before(existing: list[str], scenario: Scenario) -> None:
    names = scenario.make_existing(existing)
    before = leftovers(scenario.cloud.state)
    scenario.run("up", *names)

    code = scenario.run("teardown")

    assert code == 0, scenario.text
    assert leftovers(scenario.cloud.state) == before
    assert list(scenario.folder.iterdir()) == []


@pytest.mark.parametrize("existing", [[], ["cluster", "registry"]])
def test_nothing_is_created_without_consent(existing: list[str], scenario: Scenario) -> None:
    names = scenario.make_existing(existing)

    code = scenario.run("up", *names, yes=False)

    assert code == 1
    assert "Create it? There is nobody to answer" in scenario.text
    on_github = "repository, environment, guard key, workflows, rulesets, variables"
    assert f"GitHub, in example/discord-sky: {on_github}" in scenario.text
    assert "resource group discord-sky: providers, group, bot identity" in scenario.text
    assert ("This costs, for as long" in scenario.text) == (not existing)
    assert not scenario.cloud.state["azure"]["groups"].get("discord-sky")
    assert scenario.cloud.state["github"]["variables"] == {}


@pytest.mark.parametrize(
    ("there", "named", "flag"),
    [
        (["registry"], ("--cluster", "thiers"), "--make-cluster"),
        (["cluster"], ("--registry", "thiers123"), "--make-registry"),
    ],
)
def test_a_typo_in_a_name_creates_nothing(
    there: list[str], named: tuple[str, str], flag: str, scenario: Scenario
) -> None:
    names = scenario.make_existing(there)

    code = scenario.run("up", *names, *named)

    assert code == 1
    assert (
        f"There is no {named[0].removeprefix('--')} {named[1]}, and {named[0]} names"
        in scenario.text
    )
    assert f"add {flag}" in scenario.text
    assert scenario.cloud.changed == []
    assert scenario.run("up", *names, *named, flag) == 0, scenario.text
    before = len(scenario.cloud.changed)
    assert scenario.run("up") == 0, scenario.text
    assert scenario.cloud.changed[before:] == []
