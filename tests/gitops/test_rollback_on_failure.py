"""The real notification controller tells GitHub's server of a failed rollout, and main goes back.

Alert and Provider are those in Git. Only the event is not kustomize-controller's own: it is posted
as that posts it, because nothing is rolled out here.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from release.failed_rollout import FAILED

from clusters.azure.steps.alerts import SECRETS
from tests.gitops.apiserver import ApiServer
from tests.gitops.test_alerts import turned_on
from tests.loop.people.rollback_on_failure import RollbackOnFailure
from tests.release.clone import Clone
from tests.release.origin import Origin
from tests.servers.ports import free_port
from tests.tools import tool

REPOSITORY = "somebody/discord-sky"
TOKEN = "github_pat_contents"
SECONDS = 30.0
CONTROLLER = (
    "--watch-all-namespaces=true",
    "--enable-leader-election=false",
    "--metrics-addr=:0",
    "--health-addr=:0",
)


def until(holds: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {SECONDS:.0f} s: {what}"
        time.sleep(0.1)


@contextmanager
def process(command: Sequence[str | Path], url: str, **environment: str) -> Iterator[None]:
    """Run COMMAND for the block, from when URL answers anything."""
    running = subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: answers(url) or running.poll() is not None, f"{command[0]} answers")
        assert running.poll() is None, f"{command[0]} ended with {running.returncode}"
        yield
    finally:
        running.terminate()
        running.wait(10)


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - an http:// URL of our own
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def post(events: str, revision: str, message: str) -> int:
    """Post an event as kustomize-controller does; return the status of the answer."""
    made = {
        "involvedObject": {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "namespace": "flux-system",
            "name": "discord-sky",
        },
        "severity": "error",
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "message": message,
        "reason": "HealthCheckFailed",
        "metadata": {"kustomize.toolkit.fluxcd.io/revision": f"main@sha1:{revision}"},
        "reportingController": "kustomize-controller",
        "reportingInstance": "kustomize-controller-0",
    }
    header = {"Content-Type": "application/json"}
    request = urllib.request.Request(events, json.dumps(made).encode(), header)  # noqa: S310 - ours
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - the same
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    """Main with two versions, the second one deployed just now."""
    origin = Origin.new(tmp_path / "origin")
    for subject in ("Greet people", "Greet nobody"):
        tag = origin.merge(subject)
        origin.robot.clock = int(time.time()) - 600
        origin.bump(tag)
    return origin


@pytest.mark.timeout(120)
def test_flux_tells_github_of_a_failed_rollout_once_and_the_workflows_program_goes_back(
    server: ApiServer, origin: Origin, tmp_path: Path
) -> None:
    first = Clone(origin.path).git("show", "main~2:apps/discord-sky/kustomization.yaml")
    github, receiver, port = (f"127.0.0.1:{free_port()}" for _ in range(3))
    (tmp_path / "statuses-token").write_text("github_pat_statuses")
    (tmp_path / "token").write_text(TOKEN)
    hub: list[str | Path] = [
        *(sys.executable, "-m", "tests.servers.github", "--listen", github),
        *("--repository", REPOSITORY, "--git", origin.path, "--events", tmp_path / "events"),
        *("--token-file", tmp_path / "statuses-token"),
        *("--dispatch-token-file", tmp_path / "token"),
    ]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRETS["rollback"], "namespace": "flux-system"},
        "stringData": {"address": f"http://{github}/{REPOSITORY}", "token": TOKEN},
    }
    objects = [secret, *turned_on(tmp_path / "tree", "  - alerts/rollback")]
    assert server.apply(objects, dry_run=False).stderr == ""
    controller: list[str | Path] = [
        *(tool("notification-controller"), *CONTROLLER),
        *(f"--events-addr={port}", f"--receiverAddr={receiver}"),
    ]
    flux = {"KUBECONFIG": str(server.kubeconfig), "RUNTIME_NAMESPACE": "flux-system"}
    failed = origin.tip
    with process(hub, f"http://{github}"), process(controller, f"http://{port}", **flux):
        rollback = RollbackOnFailure(str(origin.path), tmp_path / "clone", tmp_path / "events")
        for took, status in (("20.018ms", 202), ("20.5s", 202), ("20.5s", 429)):
            message = f"health check failed after {took}: failed early due to stalled resources: "
            assert post(f"http://{port}/", failed, f"{message}[{FAILED}]") == status
        until(rollback.events, "GitHub has an event")
        time.sleep(1)
    (event,) = rollback.events()

    said = asyncio.run(rollback.run(event))
    again = asyncio.run(rollback.run(event))

    assert f"newTag: {origin.deployed} " in first
    assert "did not become Ready: its rollout failed after 20s." in said
    assert Clone(origin.path).git("rev-parse", "main~1") == failed
    assert again.startswith("nothing to do: main has moved on since ")
