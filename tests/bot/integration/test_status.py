"""`make status`, with the metrics of a real bot; kubectl alone is a script, without a cluster."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.observability.metrics import Metrics
from clusters.status import scrape
from clusters.status.reader import Reading, per_minute
from clusters.status.scrape import NoMetrics, NoRules, Scrape, alerts

from .process import REPOSITORY
from .scenario import Scene

# Answers from files in its folder; what has no file is refused as an API server refuses it.
KUBECTL = """#!{python}
import json, pathlib, sys, time
folder = pathlib.Path({folder!r})
words = [word for word in sys.argv[1:] if not word.startswith("--")]
name = "-".join(words[:2]).split(".")[0].replace("/", "_")
if words[0] == "get":
    name = words[1].split(".")[0].replace("/", "_")
if words[0] == "port-forward":
    print("Forwarding from 127.0.0.1:" + (folder / "port").read_text() + " -> 8080", flush=True)
    time.sleep(600)
file = folder / name
if not file.exists():
    print("Error from server (Forbidden): " + name + " is forbidden: User cannot list",
          file=sys.stderr)
    sys.exit(1)
print(file.read_text())
"""
POD = "discord-sky-bot-5d8f-x2v9q"
IMAGE = "example.azurecr.io/discordskybot:main-12-abc1234@sha256:" + "0" * 64
KEYS = {
    *("schema", "at", "context", "leases", "version", "pods", "answers", "money"),
    *("unpriced_answers", "deploys", "alerts", "problems"),
}


class Cluster:
    """What the script answers."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        program = folder / "kubectl"
        program.write_text(KUBECTL.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)
        (folder / "config-current-context").write_text("sky")
        (folder / "_version").write_text("{}")
        now = datetime.now(UTC)
        lease = {
            "holderIdentity": POD,
            "renewTime": (now - timedelta(seconds=5)).isoformat(),
            "leaseDurationSeconds": 75,
        }
        self.items("leases", {"metadata": {"name": "discord-sky-bot"}, "spec": lease})
        containers = [{"image": IMAGE}]
        self.items(
            "deployments",
            {
                "spec": {"replicas": 1, "template": {"spec": {"containers": containers}}},
                "status": {"readyReplicas": 1},
            },
        )
        self.items("pods", pod())
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-30T10:00:00Z"}
        before = {
            "firstReconciled": "2026-11-29T09:00:00Z",
            "lastReconciledStatus": "HealthCheckFailed",
            "metadata": {"revision": "main@sha1:fedcba9"},
        }
        status = {
            "lastAttemptedRevision": "main@sha1:0123456789",
            "conditions": [ready],
            "history": [{}, before],
        }
        self.items("kustomizations", {"metadata": {"name": "discord-sky"}, "status": status})

    def items(self, kind: str, *items: dict[str, Any]) -> None:
        """Let there be these objects."""
        (self.folder / kind).write_text(json.dumps({"items": items}))

    def environment(self, **more: str) -> dict[str, str]:
        """Return an environment whose kubectl is the script."""
        kept = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "FORCE_COLOR"}}
        return {**kept, "PATH": str(self.folder), "KUBECONFIG": "none", **more}

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run the command without a terminal."""
        return subprocess.run(
            [sys.executable, "-m", "clusters.status", *arguments],
            cwd=REPOSITORY,
            env=self.environment(**more),
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self) -> dict[str, Any]:
        """Return what it prints for programs."""
        found: dict[str, Any] = json.loads(self.run("--json").stdout)
        assert found.keys() == KEYS
        return found


def pod(**state: object) -> dict[str, Any]:
    """Return the bot's pod, running unless STATE says something else."""
    return {
        "metadata": {"name": POD},
        "spec": {"containers": [{"image": IMAGE}]},
        "status": {"containerStatuses": [{"ready": not state, "state": state or {"running": {}}}]},
    }


class Page:
    """Serves TEXT at /metrics with STATUS."""

    text = ""
    status = 200


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """A cluster with a pod, whose metrics are not there."""
    return Cluster(tmp_path / "cluster")


@pytest.fixture
def served(cluster: Cluster) -> Iterator[Page]:
    """The pod's metrics, written by the bot's own code."""
    shown = Page()
    shown.text = Metrics().render().decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(shown.status)
            self.end_headers()
            self.wfile.write(shown.text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        (cluster.folder / "port").write_text(str(server.server_port))
        yield shown
        server.shutdown()


async def test_it_shows_what_a_real_bot_does(scene: Scene, cluster: Cluster) -> None:
    (cluster.folder / "port").write_text(str(scene.bot.port))
    await scene.answer(await scene.call("show this"))
    await scene.bot.logged("request handled")

    found = await asyncio.to_thread(cluster.json)
    page = await asyncio.to_thread(cluster.run)

    assert found["problems"] == []
    assert found["leases"][0]["holder"] == POD
    assert not found["leases"][0]["expired"]
    assert found["version"] == {"tag": "main-12-abc1234", "ready": 1, "wanted": 1}
    assert found["pods"][0]["revision"] == "unknown"
    assert found["pods"][0]["running_seconds"] > 0
    counted = await scene.bot.metric("answers_total", outcome="complete")
    assert found["answers"]["outcomes"]["complete"] == counted
    assert found["answers"]["per_minute"] > 0
    assert found["answers"]["in_flight"] == 0
    assert found["money"]["day"]["spent"] == await scene.bot.metric("spent", period="day")
    assert [one["result"] for one in found["deploys"]] == ["applied", "HealthCheckFailed"]
    states = {one["name"]: one["state"] for one in found["alerts"]}
    assert states["DiscordSkyNobodySpeaks"] == "ok"
    assert states["DiscordSkyModelWithoutPrice"] == "not judged"
    assert page.returncode == 0
    assert "\x1b" not in page.stdout  # no terminal: no colours
    assert f"{POD}, renewed" in page.stdout
    assert "main 0123456: applied" in page.stdout


def problem(cluster: Cluster) -> str:
    """Return the one problem that it names, after a look at exit code and standard error."""
    done = cluster.run("--json")
    assert (done.returncode, done.stderr) == (1, "")
    (found,) = json.loads(done.stdout)["problems"]
    return str(found)


def test_without_kubectl_it_says_so(cluster: Cluster) -> None:
    (cluster.folder / "kubectl").unlink()

    assert problem(cluster) == (
        "Cannot read the cluster (there is no kubectl in PATH): install kubectl "
        "(`az aks install-cli` does)."
    )
    assert "leader      unknown" in cluster.run().stdout


@pytest.mark.usefixtures("served")
def test_without_the_right_to_read_something_the_rest_is_shown(cluster: Cluster) -> None:
    (cluster.folder / "leases").unlink()

    assert "Cannot read leases in discord-sky" in problem(cluster)
    assert "use a login that may read it" in problem(cluster)
    found = cluster.json()
    assert found["leases"] is None
    assert found["answers"]["outcomes"] == {}  # known, and nothing was counted


def test_without_a_pod_nobody_answers_and_nothing_is_zero(cluster: Cluster) -> None:
    cluster.items("pods")

    assert problem(cluster).startswith("There is no pod of the bot in discord-sky: `make doctor`")
    found = cluster.json()
    assert found["answers"]["per_minute"] is None
    assert found["money"]["day"] == {"spent": None, "budget": None}
    firing = [one for one in found["alerts"] if one["state"] == "firing"]
    assert [one["name"] for one in firing] == ["DiscordSkyNobodySpeaks"]


def test_a_pod_that_does_not_run_is_named_with_the_reason(cluster: Cluster) -> None:
    cluster.items("pods", pod(waiting={"reason": "ErrImagePull"}))

    said = problem(cluster)

    assert said == f"Pod {POD} is not running (ErrImagePull): `make doctor` says why."


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (404, "", "deploy a version of the bot that serves /metrics."),
        (200, "<html>", "cannot be parsed"),
        (200, "", "has no metric of the bot"),
        (200, "python_gc 1\n", "has no metric of the bot"),
    ],
)
def test_a_pod_without_metrics_is_unknown(
    cluster: Cluster, served: Page, status: int, text: str, said: str
) -> None:
    served.status, served.text = status, text

    assert said in problem(cluster)
    found = cluster.json()
    assert found["pods"][0]["read"] is False
    states = {one["name"]: one["state"] for one in found["alerts"]}
    assert set(states.values()) == {"unknown", "not judged"}


def test_a_metric_that_an_older_bot_does_not_have_is_unknown(
    cluster: Cluster, served: Page
) -> None:
    lacking = ("discord_sky_spent", "discord_sky_answers_total", "discord_sky_model_breaker_open")
    served.text = "\n".join(
        line
        for line in served.text.splitlines()
        if not re.search(rf"\b({'|'.join(lacking)})\b", line)
    )

    found = cluster.json()
    page = cluster.run().stdout

    assert found["answers"]["outcomes"] is None
    assert found["answers"]["per_minute"] is None
    assert found["money"]["day"]["spent"] is None
    states = {one["name"]: one["state"] for one in found["alerts"]}
    assert states["DiscordSkyModelDown"] == "unknown"
    assert states["DiscordSkyCredentialUnusable"] == "ok"
    assert re.search(r"^outcomes +unknown", page, re.MULTILINE)


@pytest.mark.usefixtures("served")
def test_objects_that_are_not_as_they_should_be_are_no_stack_trace(cluster: Cluster) -> None:
    for kind in ("leases", "deployments", "pods", "kustomizations"):
        (cluster.folder / kind).write_text("not JSON")
    found = cluster.json()
    assert len(found["problems"]) == 4
    for kind in ("leases", "deployments", "pods", "kustomizations"):
        cluster.items(kind, {})
    done = cluster.run("--json")

    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["leases"][0]["holder"] is None
    assert found["version"]["tag"] is None


@pytest.mark.usefixtures("served")
def test_what_others_wrote_cannot_steer_the_terminal(cluster: Cluster) -> None:
    lease = {"holderIdentity": "evil\x1b[2J[bold]"}
    cluster.items("leases", {"metadata": {"name": "discord-sky-bot"}, "spec": lease})

    page = cluster.run(COLUMNS="200").stdout

    assert "\x1b" not in page
    assert "evil [2J[bold]" in page


def test_an_alert_is_shown_with_what_it_is_about(cluster: Cluster, served: Page) -> None:
    metrics = Metrics()
    metrics.is_leader.labels("0").set(1)
    metrics.breaker.labels("gpt-x").set(1)
    metrics.budget.labels("day").set(10)
    metrics.spent.labels("day").set(9)
    metrics.credential_usable.labels("discord-token").set(0)
    served.text = metrics.render().decode()

    found = cluster.json()

    firing = {one["name"]: one["about"] for one in found["alerts"] if one["state"] == "firing"}
    assert firing == {
        "DiscordSkyModelDown": ["gpt-x"],
        "DiscordSkyBudgetNearlySpent": ["day"],
        "DiscordSkyCredentialUnusable": ["discord-token"],
    }
    assert "9.00 of 10.00 spent" in cluster.run().stdout


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("colour", [{}, {"NO_COLOR": "1"}])
def test_the_live_page_ends_with_ctrl_c_on_a_narrow_terminal(
    cluster: Cluster, colour: dict[str, str]
) -> None:
    main, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "clusters.status", "--every", "1"],
        cwd=REPOSITORY,
        env=cluster.environment(TERM="xterm", COLUMNS="30", LINES="80", **colour),
        stdin=other,
        stdout=other,
        stderr=other,
    )
    os.close(other)
    said, ends = b"", time.monotonic() + 60
    while b"renewed" not in said and time.monotonic() < ends:
        said += os.read(main, 65536)
    process.send_signal(signal.SIGINT)
    while True:
        try:
            if not (more := os.read(main, 65536)):
                break
        except OSError:  # the other end is closed
            break
        said += more
    os.close(main)

    assert process.wait(60) == 0
    assert b"Traceback" not in said
    assert (b"\x1b[33m" in said or b"\x1b[32m" in said) == (not colour)


@pytest.mark.parametrize("every", ["0", "nan", "soon"])
def test_a_wrong_interval_is_refused(cluster: Cluster, every: str) -> None:
    done = cluster.run("--every", every)

    assert done.returncode == 2
    assert "is not a number of seconds from 1 to 3600" in done.stderr


def _counted(answers: int, began: float, at: float, name: str = POD) -> Reading:
    text = (
        f"# TYPE discord_sky_answers_total counter\ndiscord_sky_answers_total {answers}\n"
        f"# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {began}\n"
    )
    return Reading(at, {name: Scrape.of(text)})


def test_rates_are_between_two_readings_and_begin_anew_with_a_process() -> None:
    first = _counted(100, began=0, at=600)

    assert per_minute(first, None) == (10, 600)
    assert per_minute(_counted(103, began=0, at=660), first) == (3, 60)
    assert per_minute(_counted(2, began=600, at=660), first) == (2, 60)  # restarted
    assert per_minute(_counted(2, began=700, at=660), None) == (None, None)  # clocks differ
    assert per_minute(Reading(660, {}), first) == (None, None)


def test_every_rule_is_judged_or_named_as_not_judged(tmp_path: Path) -> None:
    """Each judge belongs to a rule as it stands; a rule that was changed is not judged."""
    found = alerts([], complete=True, no_pod=False)
    changed = tmp_path / "alerts.rules"
    changed.write_text(scrape.RULES.read_text().replace("== 1", "== 2"))

    judged = [one.name for one in found if one.state != "not judged"]
    after = {one.name: one.state for one in alerts([], complete=True, no_pod=False, rules=changed)}

    assert len(judged) == len(scrape._JUDGES) + 1
    assert after["DiscordSkyModelDown"] == "not judged"
    changed.write_text("groups: 3")
    with pytest.raises(NoRules):
        alerts([], complete=True, no_pod=False, rules=changed)


def test_a_pod_that_was_not_read_leaves_a_rule_undecided() -> None:
    metrics = Metrics()
    metrics.is_leader.labels("0").set(0)
    read = [Scrape.of(metrics.render().decode())]

    partly = {one.name: one.state for one in alerts(read, complete=False, no_pod=False)}
    whole = {one.name: one.state for one in alerts(read, complete=True, no_pod=False)}

    assert partly["DiscordSkyNobodySpeaks"] == partly["DiscordSkyModelDown"] == "unknown"
    assert whole["DiscordSkyNobodySpeaks"] == "firing"


@given(st.text() | st.from_regex(r"discord_sky_[a-z]+(\{[a-z]=\"[^\"]*\"\})? [-+0-9.eNaInf]+\n?"))
def test_any_text_is_metrics_or_refused(text: str) -> None:
    try:
        found = Scrape.of(text)
    except NoMetrics:
        return
    json.dumps({name: found.total(name.removeprefix("discord_sky_")) for name in found.families})
