"""What GitHub, a registry or a vault would refuse is found early, with the place to fix it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters.azure.images import all_excluded, deployable
from clusters.azure.steps.github import REQUIRED_CHECKS, WORKFLOWS
from tests.azure.conftest import Scenario
from tests.azure.fake.compare import leftovers

_GUARD = r"^main-0*(?:[7-9]|10)-"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (
            {"fork_without_actions": True},
            "https://github.com/example/discord-sky/actions and click",
        ),
        ({"actions": "none"}, "https://github.com/example/discord-sky/settings/actions"),
        ({"actions": "local_only"}, "do not allow actions/checkout, actions/setup-go, azure/login"),
        (
            {
                "actions": "selected",
                "selected": {
                    "github_owned_allowed": True,
                    "verified_allowed": False,
                    "patterns_allowed": ["azure/*", "docker/build-push-action@*"],
                },
            },
            "do not allow docker/setup-buildx-action, sigstore/cosign-installer, which",
        ),
        ({"owner": "Organization", "deploy_keys": False}, "organizations/example/settings"),
        ({"not_pushed": True}, "has no .github/workflows/image.yaml. Push this checkout's main"),
        ({"archived": True}, "example/discord-sky is archived"),
    ],
)
def test_a_precondition_on_github_is_found_before_anything_is_created(
    state: dict[str, Any], words: str, scenario: Scenario
) -> None:
    scenario.cloud.state["github"].update(state)

    code = scenario.run("up")

    assert code == 1
    assert words in scenario.text
    assert scenario.cloud.changed == []


@pytest.mark.parametrize(
    "selected",
    [
        {"verified_allowed": True, "patterns_allowed": []},
        {"verified_allowed": False, "patterns_allowed": ["azure/*", "docker/*", "sigstore/*"]},
    ],
)
def test_selected_actions_that_include_those_of_the_workflows_are_accepted(
    selected: dict[str, Any], scenario: Scenario
) -> None:
    scenario.cloud.state["github"].update(
        actions="selected", selected={"github_owned_allowed": True, **selected}
    )

    assert scenario.run("up") == 0, scenario.text


def test_deploy_keys_are_refused_before_anything_costs_money(
    scenario: Scenario,
) -> None:
    """A member who is not an owner does not see the organization's settings."""
    scenario.cloud.state["github"].update(owner="Organization", deploy_keys=False, owns=False)

    code = scenario.run("up")

    assert code == 1
    assert "Deploy keys are disabled for this repository" in scenario.text
    assert "An owner of it can allow them in the organization's settings" in scenario.text
    assert not [line for line in scenario.cloud.changed if "acr create" in line or "aks" in line]


def test_variables_of_others_are_refused_before_anything_is_created(scenario: Scenario) -> None:
    scenario.cloud.state["github"]["variables"]["AZURE_CLIENT_ID"] = "somebody"

    assert scenario.run("up") == 1
    assert "gh variable delete AZURE_CLIENT_ID" in scenario.text
    assert scenario.cloud.changed == []


@pytest.mark.parametrize("state", ["disabled_fork", "disabled_inactivity", "disabled_manually"])
@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_disabled_workflow_is_enabled(name: str, state: str, scenario: Scenario) -> None:
    scenario.cloud.state["github"]["workflows"][name] = state

    code = scenario.run("up")

    assert code == 0, scenario.text
    assert scenario.cloud.state["github"]["workflows"] == {}
    before = len(scenario.cloud.changed)
    assert scenario.run("up") == 0
    assert scenario.cloud.changed[before:] == []


def test_the_workflows_and_the_required_checks_are_those_of_the_repository() -> None:
    folder = Path(__file__).parents[2] / ".github/workflows"
    job = yaml.safe_load((folder / "check.yaml").read_text())["jobs"]["check"]

    assert all((folder / name).exists() for name in WORKFLOWS)
    targets = {one["target"] for one in job["strategy"]["matrix"]["include"]}
    assert (job["name"], targets) == ("${{ matrix.target }}", set(REQUIRED_CHECKS))


def test_a_guard_without_a_schedule_of_its_own_is_accepted(scenario: Scenario) -> None:
    scenario.cloud.state["github"]["workflows"]["rollback-guard-schedule.yaml"] = "missing"

    assert scenario.run("up") == 0, scenario.text


# --- rulesets ---


def test_no_ruleset_is_created_unless_it_is_requested(scenario: Scenario) -> None:
    assert scenario.run("up") == 0, scenario.text

    assert scenario.cloud.state["github"]["rulesets"] == []
    assert "not requested; --ruleset creates them" in scenario.text


def test_rulesets_let_deploy_keys_pass_and_nobody_rewrite_main(scenario: Scenario) -> None:
    before = leftovers(scenario.cloud.state)

    assert scenario.run("up", "--ruleset") == 0, scenario.text

    by_rule = {
        rule["type"]: {actor["actor_type"] for actor in one["bypass_actors"]}
        for one in scenario.cloud.state["github"]["rulesets"]
        for rule in one["rules"]
    }
    assert by_rule == {
        "pull_request": {"DeployKey", "RepositoryRole"},
        "required_status_checks": {"DeployKey", "RepositoryRole"},
        "non_fast_forward": set(),
        "deletion": set(),
    }
    changed = len(scenario.cloud.changed)
    assert scenario.run("up") == 0, scenario.text
    assert scenario.cloud.changed[changed:] == []
    assert scenario.run("teardown") == 0, scenario.text
    assert leftovers(scenario.cloud.state) == before


def _ruleset(*actors: str, rule: str = "pull_request", **more: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "name": "protect main",
        "target": "branch",
        "enforcement": "active",
        "rules": [{"type": rule}],
        "bypass_actors": [{"actor_type": actor} for actor in actors],
        **more,
    }


@pytest.mark.parametrize("rule", ["pull_request", "required_status_checks", "update"])
def test_a_ruleset_that_stops_deploy_keys_is_named_before_anything_is_created(
    rule: str, scenario: Scenario
) -> None:
    scenario.cloud.state["github"]["rulesets"] = [_ruleset("RepositoryRole", rule=rule)]

    code = scenario.run("up")

    assert code == 1
    assert "The ruleset 'protect main' on main lets no deploy key pass" in scenario.text
    assert "https://github.com/example/discord-sky/settings/rules/7" in scenario.text
    assert scenario.cloud.changed == []


@pytest.mark.parametrize(
    "ruleset",
    [
        _ruleset("DeployKey"),
        _ruleset(rule="non_fast_forward"),
        _ruleset(enforcement="disabled"),
        _ruleset(hidden=True),  # the organization's: whether it stops them cannot be read
    ],
)
def test_a_ruleset_of_others_that_stops_no_deploy_key_stays(
    ruleset: dict[str, Any], scenario: Scenario
) -> None:
    scenario.cloud.state["github"]["rulesets"] = [ruleset]
    before = leftovers(scenario.cloud.state)

    assert scenario.run("up", "--ruleset") == 0, scenario.text
    assert scenario.run("teardown") == 0, scenario.text

    assert leftovers(scenario.cloud.state) == before


# --- registry and vault ---


def test_a_registry_with_a_domain_name_label_is_refused_with_the_reason(
    scenario: Scenario,
) -> None:
    names = scenario.make_existing(["registry"])
    (registry,) = scenario.cloud.state["azure"]["resources"].values()
    registry["loginServer"] = "theirs123-h7d0fsg4a2crf8cs.azurecr.io"

    code = scenario.run("up", *names)

    assert code == 1
    assert "theirs123 has a domain name label" in scenario.text
    assert "Choose another with --registry" in scenario.text
    assert scenario.cloud.changed == []


def _vault(scenario: Scenario) -> Any:
    every = scenario.cloud.state["azure"]["resources"].values()
    return next(one for one in every if one["type"] == "Microsoft.KeyVault/vaults")


@pytest.mark.parametrize(
    ("spoilt", "remedy"),
    [
        ({"networkAcls": {"defaultAction": "Deny"}}, "--default-action Allow"),
        ({"publicNetworkAccess": "Disabled"}, "--public-network-access Enabled"),
        ({"closed": "ForbiddenByPolicy"}, "--enable-rbac-authorization true"),
    ],
)
def test_a_vault_that_is_closed_is_not_waited_for(
    spoilt: dict[str, Any], remedy: str, scenario: Scenario
) -> None:
    """A policy of the organization closes it right after it was created."""
    scenario.run("up")
    _vault(scenario)["properties"].update(spoilt)

    code = scenario.run("up")

    assert code == 1
    assert "waiting until your role" not in scenario.text.partition("The bot is running")[2]
    assert "Code: Forbidden" in scenario.said[-1]  # the vault's own words
    name = _vault(scenario)["name"]
    assert f"az keyvault update --name {name} {remedy}" in scenario.said[-1]


def test_a_role_that_has_not_taken_effect_is_waited_for(scenario: Scenario) -> None:
    assert scenario.run("up") == 0, scenario.text

    assert "waiting until your role on the vault takes effect" in scenario.text


def test_a_new_vault_is_open_to_the_cluster(scenario: Scenario) -> None:
    """Azure closes new vaults unless it is told not to."""
    assert scenario.run("up") == 0, scenario.text

    assert _vault(scenario)["properties"]["networkAcls"]["defaultAction"] == "Allow"


# --- excluded images ---


@pytest.mark.parametrize(
    ("tags", "patterns", "excluded"),
    [
        (["main-7-0123abc", "src-1"], [r"^.*\.sig$", _GUARD], ["main-7-0123abc"]),
        (["main-10-0123abc", "main-9-0123abc"], [_GUARD], ["main-9-0123abc", "main-10-0123abc"]),
        (["main-6-0123abc", "main-7-0123abc"], [_GUARD], []),
        (["src-1"], [_GUARD], []),  # there is none to exclude
        ([], [_GUARD], []),
        (["main-7-0123abc"], [], []),
        (["main-7-0123abc"], ["(?P<go>"], []),  # what Python cannot read excludes nothing
    ],
)
def test_whether_every_image_is_excluded(
    tags: list[str], patterns: list[str], excluded: list[str]
) -> None:
    assert all_excluded(tags, patterns) == excluded


def test_tags_are_in_the_order_of_their_numbers() -> None:
    assert deployable(["main-10-0000000", "latest", "main-9-fffffff", "main-x-0000000"]) == [
        "main-9-fffffff",
        "main-10-0000000",
    ]


def test_a_rollback_that_excludes_every_image_is_reported_at_once(scenario: Scenario) -> None:
    scenario.cloud.state["exclusions"] = [r"^.*\.sig$", r"^main-0*(?:1)-"]

    code = scenario.run("up")

    assert code == 1
    assert "The rollback guard excludes every image in the registry (main-1-0123abc)" in (
        scenario.text
    )
    assert "gh workflow run image.yaml --ref main" in scenario.text
    assert "waiting until the bot is Ready" not in scenario.text
    (tags,) = scenario.cloud.state["azure"]["images"].values()
    tags.append("main-2-0123abc")
    assert scenario.run("up") == 0, scenario.text


@pytest.mark.parametrize("conclusion", ["failure", "skipped", "action_required", "stale"])
def test_a_run_that_ends_without_success_is_not_waited_for(
    conclusion: str, scenario: Scenario
) -> None:
    scenario.cloud.state["github"]["conclusion"] = conclusion

    code = scenario.run("up")

    assert code == 1
    assert f"The image workflow ended with {conclusion}" in scenario.text


# --- the cluster's upgrades and its API server ---


def _cluster(scenario: Scenario) -> Any:
    every = scenario.cloud.state["azure"]["resources"].values()
    return next(one for one in every if one["type"].endswith("managedClusters"))


def test_upgrades_are_automatic_in_a_window_that_can_be_set(scenario: Scenario) -> None:
    assert scenario.run("up") == 0, scenario.text
    assert _cluster(scenario)["autoUpgradeProfile"]["upgradeChannel"] == "stable"
    windows = _cluster(scenario)["windows"]
    assert set(windows) == {"aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule"}

    assert scenario.run("up", "--maintenance-window", "Tuesday 23:30 -05:00") == 0, scenario.text

    for one in windows.values():
        window = one["maintenanceWindow"]
        assert window["schedule"]["weekly"]["dayOfWeek"] == "Tuesday"
        assert (window["startTime"], window["utcOffset"]) == ("23:30", "-05:00")
    before = len(scenario.cloud.changed)
    assert scenario.run("up") == 0, scenario.text  # the choice is in the record
    assert scenario.cloud.changed[before:] == []


@pytest.mark.parametrize("window", ["Sunday", "sunday 03:00", "Sunday 25:00", "Someday 03:00"])
def test_a_window_that_azure_would_refuse_is_refused(window: str, scenario: Scenario) -> None:
    assert scenario.run("up", "--maintenance-window", window) == 1

    assert "MAINTENANCE_WINDOW is" in scenario.text
    assert scenario.cloud.changed == []


@pytest.mark.parametrize(
    ("channel", "kept"), [(None, "stable"), ("none", "stable"), ("rapid",) * 2]
)
def test_automatic_upgrades_are_enabled_unless_somebody_chose_a_channel(
    channel: str | None, kept: str, scenario: Scenario
) -> None:
    scenario.run("up")
    _cluster(scenario)["autoUpgradeProfile"]["upgradeChannel"] = channel

    assert scenario.run("up") == 0, scenario.text

    assert _cluster(scenario)["autoUpgradeProfile"]["upgradeChannel"] == kept


def test_automatic_upgrades_can_be_declined(scenario: Scenario) -> None:
    assert scenario.run("up", "--upgrade-channel", "none") == 0, scenario.text

    before = len(scenario.cloud.changed)
    assert scenario.run("up") == 0, scenario.text
    assert scenario.cloud.changed[before:] == []


def test_the_api_server_can_be_limited_to_addresses(scenario: Scenario) -> None:
    assert scenario.run("up", "--authorized-ranges", "20.1.2.3") == 0, scenario.text
    profile = _cluster(scenario)["apiServerAccessProfile"]
    assert profile["authorizedIpRanges"] == ["20.1.2.3/32"]
    before = len(scenario.cloud.changed)
    assert scenario.run("up") == 0, scenario.text
    assert scenario.cloud.changed[before:] == []

    assert scenario.run("up", "--authorized-ranges", "20.1.2.0/24") == 0, scenario.text

    profile = _cluster(scenario)["apiServerAccessProfile"]
    assert profile["authorizedIpRanges"] == ["20.1.2.0/24"]


def test_somebody_elses_cluster_keeps_its_upgrades_and_its_ranges(scenario: Scenario) -> None:
    names = scenario.make_existing(["cluster"])

    code = scenario.run("up", *names, "--authorized-ranges", "20.1.2.3")

    assert code == 0, scenario.text
    assert "windows" not in _cluster(scenario) or _cluster(scenario)["windows"] == {}
    assert _cluster(scenario)["apiServerAccessProfile"] is None
    assert scenario.text.count("the cluster is not this set-up's: its owner decides") == 2


@pytest.mark.parametrize("ranges", ["10.0.0.0/8", "203.0.113.7", "20.1.2.3/24", "300.1.1.1", "::1"])
def test_a_range_that_azure_would_refuse_is_refused(ranges: str, scenario: Scenario) -> None:
    assert scenario.run("up", "--authorized-ranges", ranges) == 1

    assert "--authorized-ranges" in scenario.text or "AUTHORIZED_RANGES" in scenario.text
    assert scenario.cloud.changed == []
