"""The command as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clusters.azure import state
from clusters.azure.__main__ import main as azure
from clusters.azure.doctor.command import main
from clusters.azure.doctor.links import CHAIN, diagnose
from clusters.azure.doctor.report import as_text
from tests.azure.doctor.healthy import facts, looks
from tests.tools import tool


@pytest.fixture(autouse=True)
def _no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubectl is the real one, its cluster is not there, and az is not either."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    (tmp_path / "kubectl").symlink_to(tool("kubectl"))
    monkeypatch.setenv("PATH", str(tmp_path))


def test_without_a_cluster_it_says_so_and_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    code = main([])

    said = capsys.readouterr().out
    assert code == 1
    first = said.splitlines()[0]
    assert first.startswith("✗ kubectl reaches the cluster")
    assert first.endswith("no context, of $KUBECONFIG")
    assert said.count("not reached") == len(CHAIN) - 1
    assert "(no context, of $KUBECONFIG)" in said
    again = said.index("\n  make azure  # asks before anything costs\n")
    assert again < said.index(
        "\n  az aks get-credentials --resource-group AKS_RESOURCE_GROUP --name AKS_NAME\n"
    )


def test_without_kubectl_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    code = main(["--json"])

    said = json.loads(capsys.readouterr().out)
    assert code == 1
    assert said["broken"] == "cluster"
    assert "no kubectl in PATH" in said["links"][0]["summary"]


def test_it_is_a_command_of_the_set_up(capsys: pytest.CaptureFixture[str]) -> None:
    code = azure(["doctor", "--json"])

    assert code == 1
    assert json.loads(capsys.readouterr().out)["broken"] == "cluster"


def test_the_set_ups_record_names_cluster_and_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(state, "FOLDER", tmp_path)
    monkeypatch.delenv("KUBECONFIG")
    (tmp_path / "sky.local.kubeconfig").write_text("clusters: []\ncurrent-context: mine\n")
    (tmp_path / "sky.local.env").write_text("AKS_NAME=mine\nAKS_RESOURCE_GROUP=ours\n")

    main(["--name", "sky"])

    said = capsys.readouterr().out
    assert said.splitlines()[0].endswith("context mine, of the set-up's own kubeconfig")
    assert "(context mine, of the set-up's own kubeconfig)" in said.replace("\n", " ")
    assert "  az aks start --resource-group ours --name mine\n" in said
    assert said.endswith(f"export KUBECONFIG={tmp_path}/sky.local.kubeconfig\n")


def test_remedies_name_the_set_up_that_was_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["--name", "other"])

    line = 'make azure ARGS="--name other"  # asks before anything costs'
    assert f"\n  {line}\n" in capsys.readouterr().out


def test_the_facts_can_be_written_to_a_file(tmp_path: Path) -> None:
    main(["--facts", str(tmp_path / "facts.json")])

    assert json.loads((tmp_path / "facts.json").read_text())["unreachable"]


def test_the_first_broken_link_is_explained_at_the_end_with_its_remedy() -> None:
    seen = facts(secrets=looks("disabled"), not_checked=("az: there is no az in PATH",))

    lines = as_text(diagnose(seen), seen).splitlines()

    assert "Broken: the secrets are there and enabled." in lines
    assert any("-m bot secrets set discord-token" in line for line in lines)
    assert lines[-1] == "  az: there is no az in PATH"


def test_help_says_that_nothing_is_changed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])

    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "It changes nothing." in said
    assert "else the set-up's own" not in said  # the order is said once, below the options
