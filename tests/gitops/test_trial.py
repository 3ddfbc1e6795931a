"""The component that tries a new version beside the old pod."""

from typing import Any

import pytest

from bot.settings.loading import load
from tests.gitops import render
from tests.gitops.admission import admit
from tests.gitops.apiserver import ApiServer
from tests.gitops.conform import conform
from tests.gitops.findings import KubeObject, Tree
from tests.gitops.render import Render


@pytest.fixture(scope="module")
def objects(renders: dict[str, list[Render]]) -> dict[str, KubeObject]:
    """What Flux applies with the component."""
    (child,) = [
        item
        for item in renders["production"][0].objects
        if item["metadata"]["name"] == "discord-sky"
    ]
    chosen = {**child, "spec": {**child["spec"], "components": ["trial"]}}
    tree = Tree()
    settings = tree.settings_of("production")
    made = render._build(tree, "production", render._with_settings(chosen, settings))
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in made}


def test_the_old_pod_stays_for_the_trial_and_a_failure_is_reported_in_time(
    objects: dict[str, KubeObject], renders: dict[str, list[Render]]
) -> None:
    """A failure that only a retry finds is told to nobody: it takes milliseconds to find."""
    (child,) = [
        item
        for item in renders["production"][0].objects
        if item["metadata"]["name"] == "discord-sky"
    ]
    spec = objects["Deployment/discord-sky-bot"]["spec"]
    # Ready just in time, which begins the deadline again, and then the trial fails.
    latest = 2 * spec["progressDeadlineSeconds"]

    assert child["spec"]["timeout"] == "5m"
    assert 0 < spec["minReadySeconds"] < spec["progressDeadlineSeconds"]
    assert latest + 30 < 5 * 60  # and time to notice it


def test_the_bot_takes_part_and_knows_its_revision(objects: dict[str, KubeObject]) -> None:
    (container,) = objects["Deployment/discord-sky-bot"]["spec"]["template"]["spec"]["containers"]
    variables: dict[str, dict[str, Any]] = {each["name"]: each for each in container["env"]}
    revision = variables["SKY_LEASE__REVISION"]["valueFrom"]["fieldRef"]["fieldPath"]

    loaded = load(None, {"SKY_LEASE__TRIAL": variables["SKY_LEASE__TRIAL"]["value"]})

    assert loaded.settings.lease.trial
    assert revision == "metadata.labels['pod-template-hash']"
    assert container["readinessProbe"]["failureThreshold"] == 1
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_the_api_server_takes_it(objects: dict[str, KubeObject], server: ApiServer) -> None:
    assert conform("apps/discord-sky", list(objects.values())).findings == ()
    assert admit(server, "apps/discord-sky", list(objects.values())) == []
