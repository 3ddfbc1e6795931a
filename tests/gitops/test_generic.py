"""A cluster that is not Azure's: kind, k3s or kubeadm, with a plain Secret."""

from typing import Any

import pytest
import yaml

from tests.gitops.findings import KubeObject, Tree, identity
from tests.gitops.render import Render, render_flux_instance

API_SERVER = 6443  # where it listens in kind, k3s and kubeadm, behind its Service's 443
# What differs from production, and nothing else.
CHANGED = {
    "Deployment discord-sky/discord-sky-bot",
    "ImageRepository flux-system/discord-sky",
    "Kustomization flux-system/discord-sky",
    "Kustomization flux-system/discord-sky-images",
    "NetworkPolicy discord-sky/discord-sky-bot",
    "ServiceAccount discord-sky/discord-sky-bot",
    "ValidatingAdmissionPolicy discord-sky-images",
}


@pytest.fixture(scope="module")
def generic(renders: dict[str, list[Render]]) -> dict[str, KubeObject]:
    return by_identity(renders["generic"])


def by_identity(renders: list[Render]) -> dict[str, KubeObject]:
    return {identity(item): item for render in renders for item in render.objects}


def test_the_bot_reaches_an_api_server_behind_its_service(generic: dict[str, KubeObject]) -> None:
    """A NetworkPolicy is applied to the address that kube-proxy has chosen."""
    egress = generic["NetworkPolicy discord-sky/discord-sky-bot"]["spec"]["egress"]

    assert [(port["protocol"], port["port"]) for rule in egress for port in rule["ports"]] == [
        ("UDP", 53), ("TCP", 53), ("TCP", 443), ("TCP", API_SERVER),
    ]  # fmt: skip


def test_nothing_of_azure_is_left(generic: dict[str, KubeObject]) -> None:
    text = yaml.safe_dump([*generic.values(), render_flux_instance(Tree(), cluster="generic")])

    assert "azure" not in text.lower()
    assert "secrets-store.csi" not in text


def test_the_credentials_come_from_the_plain_secret(generic: dict[str, KubeObject]) -> None:
    pod: dict[str, Any] = generic["Deployment discord-sky/discord-sky-bot"]["spec"]["template"]
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}

    assert {volumes[name]["secret"]["secretName"] for name in ("discord", "openai")} == {
        "discord-sky-secrets"
    }


def test_images_are_listed_and_pulled_from_any_registry(generic: dict[str, KubeObject]) -> None:
    repository = generic["ImageRepository flux-system/discord-sky"]["spec"]
    account = generic["ServiceAccount discord-sky/discord-sky-bot"]

    assert repository["provider"] == "generic"
    assert repository["image"] == "registry.example.org/discordskybot"
    assert account["imagePullSecrets"] == [{"name": "registry"}]


def test_everything_else_is_as_in_production(
    generic: dict[str, KubeObject], renders: dict[str, list[Render]]
) -> None:
    production = by_identity(renders["production"])

    changed = {
        name for name in production.keys() | generic.keys()
        if production.get(name) != generic.get(name)
    }  # fmt: skip

    gone = {
        f"SecretProviderClass discord-sky/discord-sky-secrets-{n}" for n in ("discord", "openai")
    }
    assert changed == CHANGED | gone
    assert not gone & generic.keys()


def test_flux_differs_only_in_whom_it_pulls_as_and_what_it_reads() -> None:
    production, generic = (
        render_flux_instance(Tree(), cluster=cluster)["spec"]
        for cluster in ("production", "generic")
    )

    assert generic["sync"].pop("path") == "./clusters/generic"
    del production["sync"]["path"]
    assert generic["kustomize"].pop("patches") == production["kustomize"].pop("patches")[-1:]
    assert generic == production
