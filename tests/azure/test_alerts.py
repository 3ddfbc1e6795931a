"""Alerts are turned on by naming a file; what is in it is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.azure.conftest import Scenario

WEBHOOK = "https://discord.com/api/webhooks/1/not-a-real-one"


def _objects(scenario: Scenario) -> set[str]:
    (cluster,) = scenario.cloud.state["clusters"].values()
    return set(cluster["objects"])


def _wanted(scenario: Scenario) -> list[str]:
    """Write the files; return the arguments that name them."""
    (scenario.folder / "webhook.txt").write_text(WEBHOOK + "\n")
    (scenario.folder / "token.txt").write_text("github_pat_not-a-real-one")
    (scenario.folder / "dispatch.txt").write_text("github_pat_not-a-real-one-either")
    return [
        f"--discord-webhook={scenario.folder / 'webhook.txt'}",
        f"--status-token={scenario.folder / 'token.txt'}",
        f"--dispatch-token={scenario.folder / 'dispatch.txt'}",
    ]


def test_there_are_no_alerts_unless_a_place_is_named(scenario: Scenario) -> None:
    code = scenario.run("up")

    assert code == 0, scenario.text
    assert not [name for name in _objects(scenario) if "alerts-" in name]
    assert "not requested; --discord-webhook FILE turns it on" in scenario.text
    assert "not requested; --dispatch-token FILE turns it on" in scenario.text


def test_alerts_go_to_a_named_place_and_its_secret_is_not_shown(scenario: Scenario) -> None:
    code = scenario.run("up", *_wanted(scenario))

    assert code == 0, scenario.text
    assert _objects(scenario) >= {
        "secret/flux-system/discord-webhook",
        "kustomization/flux-system/alerts-discord",
        "secret/flux-system/github-commit-status",
        "kustomization/flux-system/alerts-github",
        "secret/flux-system/github-dispatch",
        "kustomization/flux-system/alerts-rollback",
    }
    assert "not-a-real-one" not in scenario.text
    assert "not-a-real-one" not in (scenario.folder / "discord-sky.local.env").read_text()


def test_the_files_may_be_deleted_and_a_new_address_is_applied(scenario: Scenario) -> None:
    wanted = _wanted(scenario)
    scenario.run("up", *wanted)
    before = len(scenario.cloud.changed)

    assert scenario.run("up", *wanted) == 0, scenario.text
    assert scenario.cloud.changed[before:] == []
    (scenario.folder / "webhook.txt").write_text(WEBHOOK + "2")
    assert scenario.run("up", *wanted) == 0, scenario.text
    assert len(scenario.cloud.changed[before:]) == 2
    for name in ("webhook.txt", "token.txt", "dispatch.txt"):
        (scenario.folder / name).unlink()
    assert scenario.run("up") == 0, scenario.text
    assert len(scenario.cloud.changed[before:]) == 2
    assert "not requested; --discord" not in scenario.text


@pytest.mark.parametrize(
    ("option", "content", "said"),
    [
        ("--discord-webhook", None, "cannot be read (FileNotFoundError)"),
        ("--discord-webhook", "https://example.com/", "does not hold a Discord webhook"),
        ("--status-token", "", "is empty"),
        ("--dispatch-token", "ghp_everything", "A classic token reaches every repository of yours"),
    ],
)
def test_a_file_without_an_address_or_with_a_token_that_may_too_much_is_refused(
    option: str, content: str | None, said: str, scenario: Scenario, tmp_path: Path
) -> None:
    file = tmp_path / "address"
    if content is not None:
        file.write_text(content)

    code = scenario.run("up", f"{option}={file}")

    assert code == 1
    assert said in scenario.text
    assert "ghp_" not in scenario.text
    assert scenario.cloud.calls == []
