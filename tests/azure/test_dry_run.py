"""A dry run asks nobody, so it says what its lines depend on."""

from __future__ import annotations

from clusters.azure.state import named
from tests.azure.conftest import Scenario

MINE = ("--cluster", "my-aks", "--registry", "myregistry")


def before(scenario: Scenario, words: str) -> str:
    """Return the line before the one that contains WORDS."""
    lines = scenario.text.splitlines()
    return next(lines[at - 1] for at, line in enumerate(lines) if words in line)


def test_an_existing_cluster_is_neither_billed_nor_created(scenario: Scenario) -> None:
    scenario.run("up", "--dry-run", *MINE)

    assert "az aks create" not in scenario.text
    assert "az acr create" not in scenario.text
    assert "together, about" not in scenario.text
    assert scenario.text.count("you named an existing one") == 2


def test_a_cluster_to_be_created_under_a_given_name_is_billed(scenario: Scenario) -> None:
    scenario.run("up", "--dry-run", *MINE, "--make-cluster")

    assert "only if there is none named my-aks" in before(scenario, "  az aks create")
    assert "az acr create" not in scenario.text
    assert "together, about" in scenario.text


def test_an_existing_cluster_is_not_removed(scenario: Scenario) -> None:
    scenario.run("teardown", "--dry-run", *MINE)

    assert "az aks delete" not in scenario.text
    assert "az acr delete" not in scenario.text
    assert "This is removed, at most; the real run checks what exists" in scenario.text
    assert "for good" not in scenario.text
    # What lies in a cluster that stays is taken out of it.
    assert "delete namespace discord-sky" in scenario.text


def test_a_dry_run_needs_no_file(scenario: Scenario) -> None:
    code = scenario.run("up", "--dry-run", "--discord-webhook", "/nowhere/webhook")

    assert code == 0, scenario.text
    assert "# the Secret discord-webhook" in scenario.text


def test_what_goes_with_its_own_cluster_and_registry_is_not_removed_twice(
    scenario: Scenario,
) -> None:
    scenario.run("teardown", "--dry-run")

    assert "  az aks delete" in scenario.text
    assert "delete namespace" not in scenario.text
    assert "repository delete" not in scenario.text


def test_the_list_on_github_only_grows(scenario: Scenario) -> None:
    scenario.run("up", "--dry-run", *MINE)

    lists = [line for line in scenario.said if "variable set DISCORD_SKY_SETUP" in line]
    assert len(lists) == 4
    assert sorted(lists, key=len) == lists
    assert "ACR_LOGIN_SERVER" in lists[-1]
    assert "environment images" in lists[-1]


def test_prices_are_labelled_as_those_of_east_us(scenario: Scenario) -> None:
    scenario.run("up", "--dry-run", "--location", "westeurope")

    assert "List prices of East US" in scenario.text
    assert "westeurope may cost up to a third more" in scenario.text


def test_what_set_up_created_under_another_name_is_its_own() -> None:
    record = {"NAME": "sky", "AKS_NAME": "big", "ACR_NAME": "theirs", "MADE": "cluster, vault"}

    assert named({}, record) == {"registry"}
    assert named({"AKS_NAME": "big"}, record) == {"registry"}
    assert named({}, {"NAME": "sky", "AKS_NAME": "sky", "RESOURCE_GROUP": "sky"}) == set()


def test_a_dry_run_explains_why_a_key_is_deleted(scenario: Scenario) -> None:
    scenario.run("up", "--dry-run")

    assert scenario.text.count("--method DELETE") == scenario.text.count("its private half is lost")
