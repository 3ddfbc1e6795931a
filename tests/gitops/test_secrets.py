"""Where the bot's credentials come from: Key Vault by default, a plain Secret by one component."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.settings.schema import Settings
from tests.gitops import render
from tests.gitops.check import Run
from tests.gitops.conform import conform
from tests.gitops.findings import ROOT, KubeObject, Tree, made_up_settings
from tests.gitops.render import Render

COMPONENT = "apps/discord-sky/plain-secret"
# Neither the values nor where they are found: who the bot is, and whom to ask.
AZURE = {
    "AZURE_CLIENT_ID": made_up_settings("production")["BOT_CLIENT_ID"],
    "AZURE_TENANT_ID": made_up_settings("production")["AZURE_TENANT_ID"],
    "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
    "AZURE_FEDERATED_TOKEN_FILE": "/var/run/secrets/azure/tokens/azure-identity-token",
    "SKY_CREDENTIALS__KEYVAULT_URL": "https://example-vault.vault.azure.net",
}


def by_name(objects: tuple[KubeObject, ...] | list[KubeObject]) -> dict[str, KubeObject]:
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in objects}


def pod_of(objects: dict[str, KubeObject]) -> dict[str, Any]:
    spec: dict[str, Any] = objects["Deployment/discord-sky-bot"]["spec"]["template"]["spec"]
    return spec


def files() -> dict[str, Path]:
    settings = Settings()
    return {"discord": settings.discord.token_file, "openai": settings.openai.api_key_file}


@pytest.fixture(scope="module")
def production(renders: dict[str, list[Render]]) -> dict[str, KubeObject]:
    (found,) = [each for each in renders["production"] if each.kustomization == "discord-sky"]
    return by_name(found.objects)


@pytest.fixture(scope="module")
def plain(renders: dict[str, list[Render]]) -> dict[str, KubeObject]:
    """What Flux applies where the Kustomization names the component."""
    (child,) = [
        item
        for item in renders["production"][0].objects
        if item["metadata"]["name"] == "discord-sky"
    ]
    chosen = {**child, "spec": {**child["spec"], "components": ["plain-secret"]}}
    settings = {"ACR_LOGIN_SERVER": "example.azurecr.io"}
    made = render._build(Tree(), "production", render._with_settings(chosen, settings))
    return by_name(made)


def test_each_credential_has_a_class_of_its_own_with_one_object(
    production: dict[str, KubeObject],
) -> None:
    """One object that cannot be read stops the refresh of its whole class."""
    for name, file in files().items():
        spec = production[f"SecretProviderClass/discord-sky-secrets-{name}"]["spec"]
        (item,) = yaml.safe_load(spec["parameters"]["objects"])["array"]

        assert spec["provider"] == "azure"
        assert "secretObjects" not in spec  # nothing goes into a Kubernetes Secret
        assert yaml.safe_load(item) == {"objectName": file.name, "objectType": "secret"}
        assert {
            key: spec["parameters"][key] for key in ("keyvaultName", "tenantID", "clientID")
        } == {
            "keyvaultName": "example-vault",
            "tenantID": AZURE["AZURE_TENANT_ID"],
            "clientID": AZURE["AZURE_CLIENT_ID"],
        }


def test_the_bot_knows_who_it_is_and_whom_to_ask(production: dict[str, KubeObject]) -> None:
    pod = pod_of(production)
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    file = Path(AZURE["AZURE_FEDERATED_TOKEN_FILE"])
    (source,) = volumes[mounts[str(file.parent)]]["projected"]["sources"]

    given = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}

    assert given == AZURE
    assert source["serviceAccountToken"] == {
        "path": file.name,
        "audience": "api://AzureADTokenExchange",
        "expirationSeconds": 3600,
    }


def test_with_the_component_the_files_are_at_the_same_paths(
    plain: dict[str, KubeObject], production: dict[str, KubeObject]
) -> None:
    pod = pod_of(plain)
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}

    for name, file in files().items():
        assert mounts[str(file.parent)] == name
        assert volumes[name] == {
            "name": name,
            "secret": {
                "secretName": "discord-sky-secrets",
                "items": [{"key": file.name, "path": file.name}],
            },
        }
    assert set(production) - set(plain) == {
        "SecretProviderClass/discord-sky-secrets-discord",
        "SecretProviderClass/discord-sky-secrets-openai",
    }


def test_with_the_component_nothing_of_azure_is_left(plain: dict[str, KubeObject]) -> None:
    """It renders without Azure's settings, which nobody has there."""
    pod = pod_of(plain)
    (container,) = pod["containers"]

    assert [entry["name"] for entry in container["env"]] == ["SKY_LEASE__HOLDER"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert volumes == {"config", "personas", "discord", "openai", "kube-api-access"}
    assert len(container["volumeMounts"]) == 5
    assert "azure" not in yaml.safe_dump(pod).replace("example.azurecr.io", "")


def test_what_the_component_makes_is_valid(plain: dict[str, KubeObject]) -> None:
    assert conform(COMPONENT, list(plain.values())).findings == ()


def test_the_template_has_the_keys_that_are_mounted_and_no_values() -> None:
    template = yaml.safe_load((ROOT / COMPONENT / "secret.yaml.example").read_text())

    assert template["metadata"] == {"name": "discord-sky-secrets", "namespace": "discord-sky"}
    assert template["stringData"] == {file.name: "" for file in files().values()}
    assert conform(COMPONENT, [template]).findings == ()


def test_a_filled_in_template_is_ignored_by_git() -> None:
    assert "secret.yaml" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_checks_see_the_component_as_well() -> None:
    results = {result.check: result for result in Run(Tree()).results(("files",))}

    assert results["files"].findings == ()
