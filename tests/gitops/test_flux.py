"""The Flux objects against the promises: how soon, how long, and what may be rewritten."""

import re

import pytest

from tests.gitops.findings import ROOT, KubeObject, Tree, made_up_settings
from tests.gitops.render import Render, render_flux_instance
from tests.loop.cluster.objects import CLUSTER_SETTINGS
from tests.loop.supervisor import state
from tests.tools.families import FLUX

COMPONENTS = ["source", "kustomize", "notification", "image-reflector", "image-automation"]
UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(duration: str) -> int:
    """Flux's duration of one unit, in seconds."""
    return int(duration[:-1]) * UNITS[duration[-1]]


@pytest.fixture(scope="module")
def instance() -> KubeObject:
    return render_flux_instance(Tree())


def test_both_polls_of_production_take_fifteen_seconds_or_less(
    instance: KubeObject, objects: dict[str, KubeObject]
) -> None:
    assert seconds(instance["spec"]["sync"]["interval"]) <= 15
    assert seconds(objects["ImageRepository/discord-sky"]["spec"]["interval"]) <= 15


def test_an_exclusion_gets_through_while_the_bot_is_failing(
    objects: dict[str, KubeObject],
) -> None:
    images = objects["Kustomization/discord-sky-images"]["spec"]

    assert "dependsOn" not in images
    assert not images.get("wait", False)


def test_both_children_prune_and_retry_sooner_than_they_repair(
    objects: dict[str, KubeObject],
) -> None:
    for name in ("discord-sky-images", "discord-sky"):
        spec = objects[f"Kustomization/{name}"]["spec"]

        assert spec["prune"] is True
        assert seconds(spec["retryInterval"]) <= 30 < seconds(spec["interval"])
    assert objects["Kustomization/discord-sky"]["spec"]["wait"] is True


def test_every_child_gives_up_in_time_and_says_how_long_it_waits(
    objects: dict[str, KubeObject],
) -> None:
    """The images first, for the bot needs the tag that they choose; each by itself."""
    names = ("discord-sky-images", "discord-sky")
    root = (ROOT / "clusters/production/kustomization.yaml").read_text()

    assert root.index(f"kustomization-{names[0]}.yaml") < root.index(
        f"kustomization-{names[1]}.yaml"
    )
    for name in names:
        spec = objects[f"Kustomization/{name}"]["spec"]
        assert seconds(spec["retryInterval"]) < seconds(spec["timeout"]) < seconds(spec["interval"])
    deadline = objects["Deployment/discord-sky-bot"]["spec"]["progressDeadlineSeconds"]
    assert 2 * deadline < seconds(objects["Kustomization/discord-sky"]["spec"]["timeout"])


def test_the_crds_are_those_of_a_flux_that_the_instance_installs(instance: KubeObject) -> None:
    """Or the API server would accept here what it refuses there."""
    assert re.fullmatch(instance["spec"]["distribution"]["version"].replace("x", r"\d+"), FLUX[1:])


def test_the_whole_of_production_can_be_read_in_four_minutes_and_each_option_in_one() -> None:
    """At a line a second, comments and all. Alerts are off until somebody turns them on."""
    folder = ROOT / "clusters/production"
    lines = {
        path: len(path.read_text().splitlines())
        for path in folder.rglob("*.yaml")
        if path.parent.parent != folder / "alerts"
    }
    options = {
        place.name: sum(len(path.read_text().splitlines()) for path in place.glob("*.yaml"))
        for place in (folder / "alerts").iterdir()
    }

    assert 0 < sum(lines.values()) <= 240
    assert {name for name, count in options.items() if not 0 < count <= 65} == set()


def test_the_policy_takes_the_tags_of_main_and_counts_them(
    objects: dict[str, KubeObject],
) -> None:
    spec = objects["ImagePolicy/discord-sky"]["spec"]
    pattern = re.compile(spec["filterTags"]["pattern"])

    assert spec["policy"] == {"numerical": {"order": "asc"}}
    assert spec["filterTags"]["extract"] == "$n"
    assert spec["digestReflectionPolicy"] == "IfNotPresent"
    found = pattern.match("main-1042-0a1b2c3")
    assert found
    assert found["n"] == "1042"
    for other in ("latest", "main-7", "main-7-0A1B2C3", "main-7-0a1b2c3-rc", "src-0a1b2c3", "v1"):
        assert not pattern.match(other)


def test_excluded_tags_still_contain_fluxs_own_default(objects: dict[str, KubeObject]) -> None:
    excluded = objects["ImageRepository/discord-sky"]["spec"]["exclusionList"]

    assert r"^.*\.sig$" in excluded
    assert len(excluded) <= 25


def test_the_automation_is_woken_by_the_policy_and_not_by_the_clock(
    objects: dict[str, KubeObject],
) -> None:
    spec = objects["ImageUpdateAutomation/discord-sky"]["spec"]

    assert seconds(spec["interval"]) >= 3600
    assert spec["git"]["checkout"]["ref"] == {"branch": "main"}
    assert spec["git"]["push"] == {"branch": "main"}
    assert spec["update"] == {"strategy": "Setters", "path": "./apps/discord-sky"}
    assert ".Changed.Changes" in spec["git"]["commit"]["messageTemplate"]


def test_the_automation_rewrites_tag_and_digest_and_nothing_else() -> None:
    marked = [
        line.split("#", 1)
        for path in Tree().manifests()
        for line in path.read_text().splitlines()
        if "$imagepolicy" in line
    ]

    assert [(field.split(":")[0].strip(), comment.strip()) for field, comment in marked] == [
        ("newTag", '{"$imagepolicy": "flux-system:discord-sky:tag"}'),
        ("digest", '{"$imagepolicy": "flux-system:discord-sky:digest"}'),
    ]


def test_flux_is_installed_with_what_the_repository_needs(instance: KubeObject) -> None:
    spec = instance["spec"]

    assert spec["distribution"]["version"] == "2.9.x"
    assert spec["components"] == [f"{name}-controller" for name in COMPONENTS]
    assert spec["cluster"]["size"] == "small"
    assert spec["cluster"]["networkPolicy"] is True
    assert spec["sync"]["path"] == "./clusters/production"
    assert (ROOT / spec["sync"]["path"]).is_dir()


def test_image_reflector_has_an_identity_and_a_fix_does_not_wait(instance: KubeObject) -> None:
    patches = {
        f"{patch['target']['kind']}/{patch['target']['name']}": patch["patch"]
        for patch in instance["spec"]["kustomize"]["patches"]
    }

    account = patches["ServiceAccount/image-reflector-controller"]
    assert "azure.workload.identity/client-id: 00000000-0000-0000-0000-000000000003" in account
    assert 'azure.workload.identity/use: "true"' in patches["Deployment/image-reflector-controller"]
    assert "CancelHealthCheckOnNewRevision=true" in patches["Deployment/kustomize-controller"]


def test_local_addresses_are_those_of_the_loop(renders: dict[str, list[Render]]) -> None:
    (variables,) = (
        container["env"]
        for render in renders["local"]
        for item in render.objects
        if item["kind"] == "Deployment"
        for container in item["spec"]["template"]["spec"]["containers"]
    )

    found = {entry["name"]: entry["value"] for entry in variables if "value" in entry}
    assert (
        found.items()
        >= {
            "SKY_DISCORD__API_URL": state.DISCORD_API_URL,
            "SKY_DISCORD__GATEWAY_URL": state.DISCORD_GATEWAY_URL,
            "SKY_OPENAI__BASE_URL": state.OPENAI_URL,
            "HTTPS_PROXY": f"http://{state.VAULT_PROXY}",
        }.items()
    )
    assert {state.HOST, state.KUBERNETES_SERVICE} <= set(found["NO_PROXY"].split(","))


def test_settings_of_the_checks_are_those_that_the_loop_writes() -> None:
    assert made_up_settings("local").keys() == CLUSTER_SETTINGS.keys()
    assert made_up_settings("local")["ACR_LOGIN_SERVER"] == CLUSTER_SETTINGS["ACR_LOGIN_SERVER"]
