"""Flux reports nothing until a line in Git enables it; each Prometheus alert has a runbook."""

import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from release.failed_rollout import FAILED, OBJECT

from bot.observability.metrics import Metrics
from clusters.azure.steps import alerts
from tests.gitops.apiserver import ApiServer
from tests.gitops.conform import conform
from tests.gitops.findings import ROOT, KubeObject, Tree, identity
from tests.gitops.render import Render, render_cluster
from tests.wording.links import anchors


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


RULES_FILE = ROOT / "apps/discord-sky/alerts.rules"
RUNBOOKS = ROOT / "apps/discord-sky/RUNBOOKS.md"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES_FILE.read_text())["groups"] for rule in group["rules"]
]
PARTS = [
    "What people notice.",
    "What it means.",
    "How to see it.",
    "What to do.",
    "How to undo.",
]


def runbooks() -> dict[str, str]:
    """Return the section of each heading below the title, by the heading."""
    text = RUNBOOKS.read_text()
    found = [*re.finditer(r"^## (.+)$", text, re.MULTILINE)]
    ends = [one.start() for one in found[1:]] + [len(text)]
    return {one[1]: text[one.end() : end] for one, end in zip(found, ends, strict=True)}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_leads_to_the_runbook_of_its_name(rule: dict[str, Any]) -> None:
    path, _, anchor = rule["annotations"]["runbook_url"].partition("#")

    assert ROOT / path == RUNBOOKS
    assert anchor in anchors(RUNBOOKS)
    assert anchor == rule["alert"].lower()


def test_every_runbook_belongs_to_an_alert() -> None:
    assert list(runbooks()) == [rule["alert"] for rule in RULES]


@pytest.mark.parametrize(("name", "text"), runbooks().items(), ids=list(runbooks()))
def test_a_runbook_says_what_somebody_on_call_asks(name: str, text: str) -> None:
    places = [text.find(f"\n**{part}** ") for part in PARTS]

    assert -1 not in places, name
    assert all(first < second for first, second in pairwise(places))


def test_runbooks_name_only_metrics_that_the_bot_has() -> None:
    families = list(Metrics().registry.collect())
    known = {f"{one.name}_total" if one.type == "counter" else one.name for one in families}
    named = set(re.findall(r"\bdiscord_sky_\w+", RUNBOOKS.read_text()))

    assert named
    assert named - known == set()


def test_one_command_makes_addresses_of_a_fork_from_the_paths() -> None:
    """Run the README's own command."""
    readme = (ROOT / "apps/discord-sky/README.md").read_text()
    found = re.search(r"^(sed '\S+: \S+' apps/discord-sky/alerts\.rules) >", readme, re.MULTILINE)
    assert found
    made = subprocess.run(
        ["bash", "-c", found[1]], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout

    rules = [rule for group in yaml.safe_load(made)["groups"] for rule in group["rules"]]
    assert [rule["annotations"]["runbook_url"] for rule in rules] == [
        f"https://github.com/YOU/YOUR-FORK/blob/main/{rule['annotations']['runbook_url']}"
        for rule in RULES
    ]
