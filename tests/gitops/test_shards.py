"""A bot of many shards: a Lease for each, the right to hold them, and as many pods as needed."""

from typing import Any

import pytest

from bot.settings.schema import Settings
from tests.gitops import render
from tests.gitops.admission import admit
from tests.gitops.apiserver import ApiServer
from tests.gitops.conform import conform
from tests.gitops.findings import KubeObject, Tree
from tests.gitops.render import Render

MOST = 16


@pytest.fixture(scope="module")
def objects(renders: dict[str, list[Render]]) -> dict[str, KubeObject]:
    """What Flux applies with both components."""
    (child,) = [
        item
        for item in renders["production"][0].objects
        if item["metadata"]["name"] == "discord-sky"
    ]
    chosen = {**child, "spec": {**child["spec"], "components": ["shards", "autoscaling"]}}
    tree = Tree()
    settings = tree.settings_of("production")
    made = render._build(tree, "production", render._with_settings(chosen, settings))
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in made}


def rules(objects: dict[str, KubeObject]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = objects["Role/discord-sky-bot"]["rules"]
    return found


def test_each_shard_has_a_lease_that_the_bot_may_hold(objects: dict[str, KubeObject]) -> None:
    names = [f"{Settings().lease.name}-{shard}" for shard in range(MOST)]

    for name in names:
        lease = objects[f"Lease/{name}"]
        assert lease["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/ssa"] == "IfNotPresent"
        assert lease["spec"] == objects["Lease/discord-sky-bot"]["spec"]
    assert rules(objects)[0]["resourceNames"] == names


def test_the_rights_are_otherwise_those_of_one_shard(
    objects: dict[str, KubeObject], renders: dict[str, list[Render]]
) -> None:
    (base,) = [each for each in renders["production"] if each.kustomization == "discord-sky"]
    (role,) = [item for item in base.objects if item["kind"] == "Role"]

    leases, pods = rules(objects)
    its_leases, its_pods = role["rules"]

    assert {**leases, "resourceNames": None} == {**its_leases, "resourceNames": None}
    assert pods == its_pods


def test_the_autoscaler_and_flux_do_not_fight_over_the_number_of_pods(
    objects: dict[str, KubeObject],
) -> None:
    assert "replicas" not in objects["Deployment/discord-sky-bot"]["spec"]
    assert objects["HorizontalPodAutoscaler/discord-sky-bot"]["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "discord-sky-bot",
    }


def test_the_api_server_takes_all_of_it(objects: dict[str, KubeObject], server: ApiServer) -> None:
    assert conform("apps/discord-sky", list(objects.values())).findings == ()
    assert admit(server, "apps/discord-sky", list(objects.values())) == []
