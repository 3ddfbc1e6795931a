"""Alerts are off, and one more line in production's kustomization turns them on."""

import re
import shutil
from pathlib import Path

import pytest
from release.failed_rollout import FAILED, OBJECT

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


@pytest.mark.parametrize("place", ["discord", "github", "rollback"])
def test_a_line_in_git_turns_an_alert_on(place: str, tmp_path: Path, server: ApiServer) -> None:
    objects = turned_on(tmp_path, f"  - alerts/{place}")

    more = {"Alert flux-system/discord-failed"} if place == "discord" else set()
    assert {identity(item) for item in objects} - more == {
        f"Provider flux-system/{place}",
        f"Alert flux-system/{place}",
    }
    assert conform(place, objects).findings == ()
    assert server.apply(objects, dry_run=True).stderr == ""


@pytest.mark.parametrize("place", ["discord", "github", "rollback"])
def test_what_the_set_up_turns_on_applies_the_same_folder(place: str, server: ApiServer) -> None:
    made = alerts.kustomization(place)

    assert (ROOT / made["spec"]["path"] / "kustomization.yaml").exists()
    assert conform(place, [made]).findings == ()
    assert server.apply([made], dry_run=True).stderr == ""


STALLED = f"failed early due to stalled resources: [{FAILED}]"
RUNNING = "timeout waiting for: [Deployment/discord-sky/discord-sky-bot status: 'InProgress']"
ONCE = [
    f"health check failed after {took}: {STALLED}" for took in ("2m0.504s", "20.0188s", "1h1m1s")
]
AGAIN = [f"health check failed after {took}: {STALLED}" for took in ("20.018ms", "871.3µs")]
OTHERS = [f"health check failed after 3m0s: {RUNNING}", "dry-run failed: Deployment/x invalid"]


def tells(alert: KubeObject, message: str) -> bool:
    """Apply an Alert's two lists, as the notification controller does."""
    included, excluded = (
        [bool(re.search(one, message)) for one in alert["spec"].get(name, ())]
        for name in ("inclusionList", "exclusionList")
    )
    return (any(included) or not included) and not any(excluded)


def test_github_is_told_of_what_the_rollback_program_takes_for_a_failure_and_of_no_retry(
    tmp_path: Path,
) -> None:
    """Each dispatch starts a runner, and a rollout that failed is looked at twice a minute."""
    objects = turned_on(tmp_path, "  - alerts/rollback")
    (alert,) = (item for item in objects if item["kind"] == "Alert")
    (about,) = alert["spec"]["eventSources"]

    assert (about["kind"], "flux-system", about["name"]) == OBJECT
    assert alert["spec"]["eventSeverity"] == "error"
    assert all(tells(alert, message) for message in ONCE)
    assert not any(tells(alert, message) for message in (*AGAIN, *OTHERS))


def test_people_read_of_a_version_that_failed_once_and_what_to_do(tmp_path: Path) -> None:
    objects = turned_on(tmp_path, "  - alerts/discord")
    alerts = {item["metadata"]["name"]: item for item in objects if item["kind"] == "Alert"}

    for message in ONCE:
        assert [name for name, one in alerts.items() if tells(one, message)] == ["discord-failed"]
    for message in OTHERS:
        assert [name for name, one in alerts.items() if tells(one, message)] == ["discord"]
    assert not any(tells(one, message) for one in alerts.values() for message in AGAIN)
    told = alerts["discord-failed"]["spec"]["eventMetadata"]
    assert "keeps answering" in told["runs now"]
    assert "make rollback TO=--last" in told["what to do"]


def test_nobody_is_told_anything_until_then(renders: dict[str, list[Render]]) -> None:
    kinds = {item["kind"] for found in renders.values() for r in found for item in r.objects}

    assert not kinds & {"Alert", "Provider"}
