from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gitops.examples import Example
from tests.gitops.findings import (
    AZURE_CLUSTERS,
    CLUSTERS,
    KubeObject,
    RenderFailed,
    Tree,
    identity,
    made_up_settings,
)
from tests.gitops.render import Render, render_cluster, render_flux_instance


def used(cluster: str) -> set[str]:
    """The settings that CLUSTER's manifests name."""
    text = "".join(path.read_text() for path in Tree().manifests())
    return {name for name in made_up_settings(cluster) if f"${{{name}}}" in text}


def test_root_renders_two_children_and_they_render_the_rest(
    renders: dict[str, list[Render]],
) -> None:
    for cluster in CLUSTERS:
        paths = {render.kustomization: render.path for render in renders[cluster]}

        assert paths == {
            "flux-system": f"clusters/{cluster}",
            "discord-sky-images": f"clusters/{cluster}/images",
            "discord-sky": "apps/discord-sky",
        }


@pytest.mark.parametrize(
    "name", ["ACR_LOGIN_SERVER", "KEYVAULT_NAME", "AZURE_TENANT_ID", "BOT_CLIENT_ID"]
)
@pytest.mark.parametrize("cluster", AZURE_CLUSTERS)
def test_a_setting_that_a_child_uses_and_nobody_set_fails_the_render_by_name(
    cluster: str, name: str
) -> None:
    settings = made_up_settings(cluster)
    del settings[name]

    with pytest.raises(RenderFailed, match=f'variable not set .*"{name}"'):
        render_cluster(Tree(settings=settings), cluster)


@pytest.mark.parametrize("name", ["AZURE_TENANT_ID", "IMAGE_REFLECTOR_CLIENT_ID"])
def test_a_setting_that_the_flux_instance_uses_and_nobody_set_fails_by_name(name: str) -> None:
    settings = made_up_settings("production")
    del settings[name]

    with pytest.raises(RenderFailed, match=name):
        render_flux_instance(Tree(settings=settings))


def test_a_flux_instance_without_the_repositorys_address_fails_by_name() -> None:
    with pytest.raises(RenderFailed, match="GIT_URL"):
        render_flux_instance(Tree(), git_url=None)


def test_these_tests_cover_every_setting_that_is_used() -> None:
    assert used("production") == set(made_up_settings("production"))


def test_the_root_is_plain_and_its_children_substitute_even_from_an_empty_map(
    renders: dict[str, list[Render]],
) -> None:
    for cluster in CLUSTERS:
        children = [item for render in renders[cluster][:1] for item in render.objects]

        for child in children:
            assert child["spec"]["postBuild"] == {
                "substituteStrategy": "Always",
                "substituteFrom": [{"kind": "ConfigMap", "name": "cluster-settings"}],
            }


def test_a_variable_in_the_bots_settings_is_text(tmp_path: Path) -> None:
    edit = {
        "file": "apps/discord-sky/config.toml",
        "old": "[log]",
        "new": "# Costs ${ACR_LOGIN_SERVER} and ${x}.\n[log]",
    }
    tree = Example("text", "render", "", edit=(edit,)).tree(tmp_path)

    settings = config_map(render_cluster(tree, "production"))

    assert "# Costs ${ACR_LOGIN_SERVER} and ${x}." in settings["data"]["config.toml"]


def test_a_changed_setting_changes_the_name_of_its_config_map(
    tmp_path: Path, renders: dict[str, list[Render]]
) -> None:
    edit = {"file": "apps/discord-sky/config.toml", "old": "gpt-5-mini", "new": "gpt-5"}
    tree = Example("model", "render", "", edit=(edit,)).tree(tmp_path)

    changed = config_map(render_cluster(tree, "production"))

    assert changed["metadata"]["name"] != config_map(renders["production"])["metadata"]["name"]
    assert changed["metadata"]["annotations"] == {
        "kustomize.toolkit.fluxcd.io/prune": "disabled",
        "kustomize.toolkit.fluxcd.io/substitute": "disabled",
    }


def test_local_differs_from_production_only_in_intervals_and_addresses(
    renders: dict[str, list[Render]],
) -> None:
    """Whatever else differed would not be proved by the loop."""
    production, local = (flat(renders[cluster]) for cluster in AZURE_CLUSTERS)

    changed = {
        key for key in production.keys() | local.keys() if production.get(key) != local.get(key)
    }

    image, bot = "ImageRepository flux-system/discord-sky", "Deployment discord-sky/discord-sky-bot"
    template = f"{bot}.spec.template.spec"
    container = f"{template}.containers.bot"
    addresses = ("SKY_DISCORD__API_URL", "SKY_DISCORD__GATEWAY_URL", "SKY_OPENAI__BASE_URL")
    azure = ("HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    variables = {
        f"{container}.env.{name}.{field}"
        for name in (*addresses, *azure)
        for field in ("name", "value")
    }
    authority = {
        *(
            f"{container}.volumeMounts./etc/discord-sky-loop.{field}"
            for field in ("name", "mountPath", "readOnly")
        ),
        f"{template}.volumes.loop-authority.name",
        f"{template}.volumes.loop-authority.configMap.name",
    }
    policy = "ValidatingAdmissionPolicy discord-sky-images.spec.variables.repository.expression"
    changed -= {key for key in changed if ".spec.patches." in key}
    assert changed == variables | authority | {
        f"{image}.spec.image",
        f"{image}.spec.interval",
        f"{image}.spec.insecure",
        f"{image}.spec.provider",
        f"{container}.image",
        policy,
        "Kustomization flux-system/discord-sky.spec.retryInterval",
        "Kustomization flux-system/discord-sky-images.spec.retryInterval",
        "Kustomization flux-system/discord-sky-images.spec.path",
    }


def config_map(renders: list[Render]) -> KubeObject:
    """The bot's settings among RENDERS."""
    (found,) = (
        item
        for render in renders
        for item in render.objects
        if item["kind"] == "ConfigMap" and "config.toml" in item["data"]
    )
    return found


def flat(renders: list[Render]) -> dict[str, Any]:
    """Every leaf of every object of a cluster, by its path."""
    leaves: dict[str, Any] = {}

    def walk(where: str, value: Any) -> None:
        pairs = value.items() if isinstance(value, dict) else named(value)
        for key, below in pairs:
            if isinstance(below, (dict, list)) and below:
                walk(f"{where}.{key}", below)
            else:
                leaves[f"{where}.{key}"] = below

    for render in renders:
        for item in render.objects:
            walk(identity(item), item)
    return leaves


def named(items: list[Any]) -> Iterator[tuple[object, Any]]:
    """Each item of a list with what tells it from the others, or else its place."""
    for place, item in enumerate(items):
        known = item if isinstance(item, dict) else {}
        yield known.get("mountPath") or known.get("name") or place, item
