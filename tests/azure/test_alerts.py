"""Alerts are turned on by naming a file; what is in it is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.azure.conftest import Stage

WEBHOOK = "https://discord.com/api/webhooks/1/not-a-real-one"


def _objects(stage: Stage) -> set[str]:
    (cluster,) = stage.world.state["clusters"].values()
    return set(cluster["objects"])


def _wanted(stage: Stage) -> list[str]:
    """Write the two files; return the arguments that name them."""
    (stage.folder / "webhook.txt").write_text(WEBHOOK + "\n")
    (stage.folder / "token.txt").write_text("github_pat_not-a-real-one")
    return [
        f"--discord-webhook={stage.folder / 'webhook.txt'}",
        f"--status-token={stage.folder / 'token.txt'}",
    ]


def test_nobody_is_told_anything_unless_a_place_is_named(stage: Stage) -> None:
    code = stage.run("up")

    assert code == 0, stage.text
    assert not [name for name in _objects(stage) if "alerts-" in name]
    assert "not asked for; --discord-webhook FILE turns it on" in stage.text


def test_a_named_place_is_told_and_its_secret_is_not_shown(stage: Stage) -> None:
    code = stage.run("up", *_wanted(stage))

    assert code == 0, stage.text
    assert _objects(stage) >= {
        "secret/flux-system/discord-webhook",
        "kustomization/flux-system/alerts-discord",
        "secret/flux-system/github-commit-status",
        "kustomization/flux-system/alerts-github",
    }
    assert "not-a-real-one" not in stage.text
    assert "not-a-real-one" not in (stage.folder / "discord-sky.local.env").read_text()


def test_the_files_may_go_and_another_address_is_taken(stage: Stage) -> None:
    wanted = _wanted(stage)
    stage.run("up", *wanted)
    before = len(stage.world.changed)

    assert stage.run("up", *wanted) == 0, stage.text
    assert stage.world.changed[before:] == []
    (stage.folder / "webhook.txt").write_text(WEBHOOK + "2")
    assert stage.run("up", *wanted) == 0, stage.text
    assert len(stage.world.changed[before:]) == 2
    for name in ("webhook.txt", "token.txt"):
        (stage.folder / name).unlink()
    assert stage.run("up") == 0, stage.text
    assert len(stage.world.changed[before:]) == 2
    assert "not asked for" not in stage.text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (FileNotFoundError)"),
        ("https://example.com/", "does not hold a Discord webhook"),
    ],
)
def test_a_file_without_an_address_is_refused(
    content: str | None, said: str, stage: Stage, tmp_path: Path
) -> None:
    file = tmp_path / "address"
    if content is not None:
        file.write_text(content)

    code = stage.run("up", f"--discord-webhook={file}")

    assert code == 1
    assert said in stage.text
    assert stage.world.calls == []
