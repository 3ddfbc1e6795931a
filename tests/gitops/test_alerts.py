"""Alerts are off, and one more line in production's kustomization turns them on."""

import shutil
from pathlib import Path

import pytest

from clusters.azure.steps import alerts
from tests.gitops.apiserver import ApiServer
from tests.gitops.conform import conform
from tests.gitops.findings import ROOT, KubeObject, Tree, identity
from tests.gitops.render import Render, render_cluster


def turned_on(folder: Path, line: str) -> list[KubeObject]:
    """Add LINE as a person's merge does, and return what Flux then applies at the root."""
    for name in ("apps", "clusters"):
        shutil.copytree(ROOT / name, folder / name)
    kustomization = folder / "clusters/production/kustomization.yaml"
    text = kustomization.read_text()
    kustomization.write_text(text.replace("resources:\n", f"resources:\n{line}\n", 1))
    root = render_cluster(Tree(folder), "production")[0]
    return [item for item in root.objects if item["kind"] in {"Alert", "Provider"}]


@pytest.mark.parametrize("place", ["discord", "github"])
def test_a_line_in_git_turns_an_alert_on(place: str, tmp_path: Path, server: ApiServer) -> None:
    objects = turned_on(tmp_path, f"  - alerts/{place}")

    assert {identity(item) for item in objects} == {
        f"Provider flux-system/{place}",
        f"Alert flux-system/{place}",
    }
    assert conform(place, objects).findings == ()
    assert server.apply(objects, dry_run=True).stderr == ""


@pytest.mark.parametrize("place", ["discord", "github"])
def test_what_the_set_up_turns_on_applies_the_same_folder(place: str, server: ApiServer) -> None:
    made = alerts.kustomization(place)

    assert (ROOT / made["spec"]["path"] / "kustomization.yaml").exists()
    assert conform(place, [made]).findings == ()
    assert server.apply([made], dry_run=True).stderr == ""


def test_nobody_is_told_anything_until_then(renders: dict[str, list[Render]]) -> None:
    kinds = {item["kind"] for found in renders.values() for r in found for item in r.objects}

    assert not kinds & {"Alert", "Provider"}
