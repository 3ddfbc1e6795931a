"""What belongs to others is refused or left alone; each refusal says what to do."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from clusters.azure.__main__ import main
from clusters.azure.runner import Completed
from tests.azure.conftest import Scenario
from tests.azure.fake.cloud import State
from tests.azure.fake.compare import leftovers
from tests.azure.fake.kubectl import a_node


def _made_before(scenario: Scenario) -> list[str]:
    """List what was changed, but for the kubeconfig beside the record."""
    return [line for line in scenario.cloud.changed if "aks get-credentials" not in line]


OTHER = "repo:example@11/discord-sky@22"


def test_an_identity_of_the_same_name_is_refused(scenario: Scenario) -> None:
    scenario.az("group create --name discord-sky --location eastus --tags team=others")
    scenario.az(
        "identity create --name discord-sky-ci --resource-group discord-sky --location eastus"
        " --tags team=others"
    )

    code = scenario.run("up")

    assert code == 1
    assert "this set-up did not create it. Choose another with --name." in scenario.text


def test_a_deleted_vault_of_somebody_else_keeps_its_name(scenario: Scenario) -> None:
    scenario.az("group create --name others --location eastus --tags team=others")
    scenario.az(
        "keyvault create --name example-vault --resource-group others --location eastus --tags a=b "
        "--enable-rbac-authorization true --enable-purge-protection true --retention-days 90"
    )
    scenario.az("keyvault delete --name example-vault --resource-group others")

    code = scenario.run("up", "--vault", "example-vault")

    assert code == 1
    assert "holds the name example-vault until 2027-02-22" in scenario.text
    assert "choose another with --vault" in scenario.text


def test_a_vault_that_teardown_deleted_comes_back_with_its_secrets(scenario: Scenario) -> None:
    scenario.run("up")
    scenario.run("teardown")
    told = len(scenario.said)

    code = scenario.run("up")

    assert code == 0, scenario.text
    since = "\n".join(scenario.said[told:])
    assert "recovering it, secrets included" in since
    assert "bot secrets set" not in since


def test_a_variable_of_others_is_not_overwritten(scenario: Scenario) -> None:
    scenario.cloud.state["github"]["variables"]["AZURE_CLIENT_ID"] = "somebody"
    before = leftovers(scenario.cloud.state)

    code = scenario.run("up")

    assert code == 1
    assert "gh variable delete AZURE_CLIENT_ID --repo example/discord-sky" in scenario.text
    assert scenario.run("teardown") == 0
    assert leftovers(scenario.cloud.state) == before


def test_a_variable_with_the_same_value_survives_teardown(scenario: Scenario) -> None:
    variables = scenario.cloud.state["github"]["variables"]
    variables["AZURE_TENANT_ID"] = "00000000-0000-0000-0000-000000000002"
    before = leftovers(scenario.cloud.state)

    assert [scenario.run("up"), scenario.run("teardown")] == [0, 0], scenario.text

    assert leftovers(scenario.cloud.state) == before


def test_a_guard_that_somebody_else_set_up_survives_teardown(scenario: Scenario) -> None:
    scenario.cloud.state["github"]["environments"]["rollback-guard"] = {
        "policy": {"protected_branches": False, "custom_branch_policies": True},
        "branches": ["main"],
        "secrets": {"GUARD_DEPLOY_KEY": "theirs"},
    }
    before = leftovers(scenario.cloud.state)

    assert [scenario.run("up"), scenario.run("teardown")] == [0, 0], scenario.text

    assert leftovers(scenario.cloud.state) == before


def test_an_environment_for_every_branch_is_refused(scenario: Scenario) -> None:
    scenario.cloud.state["github"]["environments"]["rollback-guard"] = {
        "policy": None,
        "branches": [],
        "secrets": {},
    }

    code = scenario.run("up")

    assert code == 1
    assert (
        "The environment rollback-guard is open to any branch, and must be open to main alone"
        in scenario.text
    )


@pytest.mark.parametrize(
    "objects",
    [
        {"namespace//flux-system": {}},
        {"configmap/kube-system/discord-sky-setup": {"data": {"name": "another"}}},
    ],
)
def test_a_cluster_with_another_flux_is_refused(
    objects: dict[str, State], scenario: Scenario
) -> None:
    names = scenario.make_existing(["cluster"])
    (cluster,) = scenario.cloud.state["clusters"].values()
    cluster["objects"].update(objects)

    code = scenario.run("up", *names)

    assert code == 1
    assert "has a Flux that is not this set-up's" in scenario.text
    assert _made_before(scenario) == []


def test_two_clusters_with_one_name_need_a_group(scenario: Scenario) -> None:
    scenario.make_existing(["cluster"])
    resources = scenario.cloud.state["azure"]["resources"]
    (one,) = list(resources.values())
    resources["/another"] = {**one, "id": "/another", "resourceGroup": "elsewhere"}

    code = scenario.run("up", "--cluster", "theirs")

    assert code == 1
    assert "in the groups others, elsewhere: say which with --cluster-group" in scenario.text


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (
            {"grant": ["*/read"]},
            "lacks permissions: Microsoft.Resources/subscriptions/resourceGroups/write",
        ),
        (
            {"deny": ["Microsoft.Authorization/*/Write"]},
            "The role Owner suffices, on the subscription",
        ),
        ({"cores": 1}, "needs 2 vCPUs and 1 are left of 1"),
    ],
)
def test_missing_permissions_and_quota_are_found_before_anything_is_created(
    state: dict[str, object], words: str, scenario: Scenario
) -> None:
    scenario.cloud.state["azure"].update(state)

    code = scenario.run("up")

    assert code == 1
    assert words in scenario.text
    assert scenario.cloud.changed == []


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"admin": False}, "name yours: --repository OWNER/NAME"),
        ({"plan": "free"}, "Make the repository public, or take GitHub Pro or Team"),
        ({"plan": "free", "owner": "Organization"}, "has no environments for private"),
        ({"default_branch": "trunk"}, "The default branch of example/discord-sky is not main."),
        ({"oidc": {"use_default": False, "include_claim_keys": ["actor"]}}, "--ci-subject"),
    ],
)
def test_an_unsuitable_repository_is_refused_before_anything_is_created(
    state: dict[str, object], words: str, scenario: Scenario
) -> None:
    scenario.cloud.state["github"].update(state)

    code = scenario.run("up")

    assert code == 1
    assert words in scenario.text
    assert scenario.cloud.changed == []


def test_nodes_without_capacity_are_refused_with_the_remedy(scenario: Scenario) -> None:
    names = scenario.make_existing(["cluster"])
    (cluster,) = scenario.cloud.state["clusters"].values()
    cluster["taken"] = {"cpu": "1050m", "memory": "1400Mi"}

    code = scenario.run("up", *names)

    assert code == 1
    assert "1760m CPU, 2296 MiB are needed and 10% of 1900m CPU" in scenario.text
    assert "az aks nodepool scale --cluster-name theirs --resource-group others" in scenario.text
    assert list(scenario.folder.iterdir()) == []  # another cluster may be named
    assert scenario.run("up", *names, "--tight") == 0


@pytest.mark.parametrize(
    "kind",
    [
        {"arch": "arm64"},
        {"os": "windows"},
        {"taint": "NoSchedule"},
    ],
)
def test_only_suitable_nodes_count_as_capacity(kind: dict[str, str], scenario: Scenario) -> None:
    names = scenario.make_existing(["cluster"])
    (cluster,) = scenario.cloud.state["clusters"].values()
    large = a_node("node-2", {"cpu": "16", "memory": "64Gi"}, **kind)
    cluster.update(taken={"cpu": "1050m", "memory": "1400Mi"}, more_nodes=[large])

    assert scenario.run("up", *names) == 1
    assert "10% of 1900m CPU" in scenario.text
    assert _made_before(scenario) == []
    cluster["more_nodes"] = [a_node("node-2", {"cpu": "16", "memory": "64Gi"})]
    assert scenario.run("up", *names) == 0, scenario.text


def test_a_cluster_without_a_suitable_node_gets_the_command_that_adds_one(
    scenario: Scenario,
) -> None:
    names = scenario.make_existing(["cluster"])
    (cluster,) = scenario.cloud.state["clusters"].values()
    cluster["node"] = {"arch": "arm64"}

    code = scenario.run("up", *names)

    assert code == 1
    assert "az aks nodepool add --cluster-name theirs --resource-group others" in scenario.text


def test_an_image_workflow_that_fails_is_named(scenario: Scenario) -> None:
    """Its subject changed after set-up, as when the repository was renamed."""
    scenario.run("up", "--ci-subject", "repo:example/another:ref:refs/heads/main")

    assert "The image workflow ended with failure: https://example.org/runs/" in scenario.text
    assert scenario.run("up", "--ci-subject", f"{OTHER}:ref:refs/heads/main") == 0, scenario.text
    assert scenario.run("up") == 0


def test_images_of_others_in_their_registry_stay(scenario: Scenario) -> None:
    names = scenario.make_existing(["registry"])
    scenario.cloud.state["azure"]["images"]["theirs123"] = ["v1"]

    assert [scenario.run("up", *names), scenario.run("teardown", *names)] == [0, 0], scenario.text

    assert "v1" in scenario.cloud.state["azure"]["images"]["theirs123"]


def test_a_bot_that_does_not_become_ready_refers_to_the_doctor(scenario: Scenario) -> None:
    """What Flux says is shown, and who knows more."""
    names = scenario.make_existing(["cluster"])
    (cluster,) = scenario.cloud.state["clusters"].values()
    cluster["trouble"] = "Deployment/discord-sky/discord-sky-bot exceeded its progress deadline"

    code = scenario.run("up", *names)

    assert code == 1
    assert f"  Flux says: {cluster['trouble']}" in scenario.said
    assert scenario.said[-1].endswith("`make doctor` names the broken link; then run this again.")


def test_a_resource_that_azure_shows_late_is_waited_for(scenario: Scenario) -> None:
    """A new identity is not everywhere at once; what is learned from it is needed at once."""
    real, late = scenario.cloud.execute, 2

    def execute(
        argv: list[str], stdin: str | None, env: Mapping[str, str], *, live: bool
    ) -> Completed:
        nonlocal late
        made = any("discord-sky-ci" in call.argv for call in scenario.cloud.calls if call.changes)
        if made and late and argv[1:3] == ["identity", "show"] and "discord-sky-ci" in argv:
            late -= 1
            return Completed(3, "", "(ResourceNotFound)")
        return real(argv, stdin, env, live=live)

    code = main(
        ["up", "--yes"],
        execute=execute,
        folder=scenario.folder,
        say=scenario.said.append,
        sleep=lambda _seconds: None,
    )

    assert code == 0, scenario.text
    assert late == 0


def test_an_answer_that_is_no_answer_is_shown(scenario: Scenario) -> None:
    def execute(
        argv: list[str], stdin: str | None, env: Mapping[str, str], *, live: bool
    ) -> Completed:
        if argv[:3] == ["az", "account", "show"]:
            return Completed(0, "<html>a proxy's page</html>", "")
        return scenario.cloud.execute(argv, stdin, env, live=live)

    code = main(["up", "--yes"], execute=execute, folder=scenario.folder, say=scenario.said.append)

    assert code == 1
    assert "not JSON: <html>a proxy's page</html>" in scenario.text


def test_a_group_of_others_is_used_and_stays(scenario: Scenario) -> None:
    scenario.make_existing(["registry"])
    before = leftovers(scenario.cloud.state)

    codes = [scenario.run("up", "--group", "others"), scenario.run("teardown")]

    assert codes == [0, 0], scenario.text
    assert leftovers(scenario.cloud.state) == before


def test_a_group_with_resources_of_others_stays(scenario: Scenario) -> None:
    scenario.run("up")
    scenario.az(
        "acr create --name theirs123 --resource-group discord-sky --location eastus --sku Basic "
        "--admin-enabled false --role-assignment-mode rbac --tags team=others"
    )

    code = scenario.run("teardown")

    assert code == 0, scenario.text
    assert "kept: others have put something into the group: theirs123" in scenario.text
    left = scenario.cloud.state["azure"]["resources"].values()
    assert [one["name"] for one in left] == ["theirs123"]


def test_an_old_cluster_gets_the_next_minor_version(scenario: Scenario) -> None:
    """Azure refuses to leave one out."""
    names = scenario.make_existing(["cluster"])
    (cluster,) = scenario.cloud.state["azure"]["resources"].values()
    cluster["currentKubernetesVersion"] = "1.29.4"

    code = scenario.run("up", *names)

    assert code == 1
    assert "older than 1.31 (Azure goes up by one minor version at a time)" in scenario.text
    assert "--resource-group others --kubernetes-version 1.30" in scenario.text


@pytest.mark.parametrize(
    ("granted", "lacking"),
    [
        (
            ["*/read"],
            "lacks permissions in others: Microsoft.ContainerService/managedClusters/list",
        ),
        (["Microsoft.ContainerService/*"], "others: Microsoft.Authorization/roleAssignments/write"),
    ],
)
def test_permissions_count_where_the_cluster_and_the_registry_are(
    granted: list[str], lacking: str, scenario: Scenario
) -> None:
    names = scenario.make_existing(["cluster", "registry"])
    scenario.cloud.state["azure"]["grants"] = {"others": granted}

    code = scenario.run("up", *names)

    assert code == 1
    assert lacking in scenario.text
    assert scenario.cloud.changed == []


def test_using_a_cluster_does_not_need_permission_to_create_one(scenario: Scenario) -> None:
    names = scenario.make_existing(["cluster", "registry"])
    scenario.cloud.state["azure"]["deny"] = [
        "Microsoft.ContainerService/managedClusters/write",
        "Microsoft.ContainerRegistry/registries/write",
    ]

    assert scenario.run("up", *names) == 0, scenario.text


@pytest.mark.parametrize("owner", ["User", "Organization"])
def test_a_private_repository_on_a_paid_plan_is_accepted(owner: str, scenario: Scenario) -> None:
    scenario.cloud.state["github"].update({"plan": "team", "owner": owner})

    assert scenario.run("up") == 0, scenario.text
