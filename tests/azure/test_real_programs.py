"""The real kubectl, against a real API server with Flux's own definitions, and the real flux.

Only Azure and GitHub are scripted here, and what no API server alone does: the download of the
operator's release, and the end of a namespace.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clusters.azure.runner import ROOT, Completed, Runner, python
from clusters.azure.steps.alerts import ALERTS
from clusters.azure.steps.cluster import requests
from clusters.azure.steps.flux import CLUSTER_SETTINGS, FLUX, KEY, NAMESPACE
from clusters.azure.steps.kubernetes import OPERATOR, OPERATOR_VERSION
from clusters.azure.steps.model import Step
from clusters.azure.steps.running import INTO
from tests.azure.fake.cloud import REPOSITORY, SUBSCRIPTION, FakeCloud
from tests.azure.fake.programs import new_cloud
from tests.gitops.apiserver import ApiServer, api_server
from tests.tools import tool

_VALUES = {
    "NAME": "discord-sky",
    "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
    "ACR_LOGIN_SERVER": "example.azurecr.io",
    "AZURE_TENANT_ID": "00000000-0000-0000-0000-000000000002",
    "BOT_CLIENT_ID": "00000000-0000-0000-0000-000000000003",
    "IMAGE_REFLECTOR_CLIENT_ID": "00000000-0000-0000-0000-000000000004",
    "KEYVAULT_NAME": "example-vault",
    "GITHUB_REPOSITORY": REPOSITORY,
    "GIT_URL": f"ssh://git@github.com/{REPOSITORY}.git",
}


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """Start an API server."""
    with api_server() as running:
        yield running


@dataclass
class Real:
    """Runs kubectl and flux for real; what waits for a controller has been done already."""

    server: ApiServer
    cloud: FakeCloud

    def __call__(
        self, argv: list[str], stdin: str | None, env: Mapping[str, str], *, live: bool
    ) -> Completed:
        """See clusters.azure.runner.Execute."""
        if argv[0] not in {"kubectl", "flux"}:
            return self.cloud.execute(argv, stdin, env, live=live)
        if OPERATOR in argv or argv[3] in {"wait", "rollout"} or argv[3:5] == _NAMESPACE_GONE:
            return Completed(0, "", "")
        done = subprocess.run(
            [tool(argv[0]), *argv[1:]],
            input=stdin,
            env={**os.environ, **env, "HOME": str(self.server.kubeconfig.parent)},
            capture_output=True,
            text=True,
            check=False,
        )
        return Completed(done.returncode, done.stdout, done.stderr)


_NAMESPACE_GONE = ["delete", "namespace"]


@pytest.fixture
def runner(server: ApiServer) -> Runner:
    """Set the runner before that cluster."""
    values = {**_VALUES, "KUBECONFIG": str(server.kubeconfig)}
    return Runner(values, Real(server, new_cloud()), print, lambda _seconds: None)


def _make(runner: Runner, step: Step) -> None:
    found = step.check(runner)
    # This server has a namespace flux-system from the start, which is nobody's.
    assert not found.exists or (step is NAMESPACE and not found.owned)
    if callable(step.create):
        step.create(runner)
    for command in () if callable(step.create) else step.create:
        runner.run(command)


def _be_ready(server: ApiServer, what: str) -> None:
    """Do what the operator does last."""
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "ReconciliationSucceeded",
        "message": "",
        "lastTransitionTime": "2026-11-24T20:00:00Z",
    }
    patch = json.dumps({"status": {"conditions": [ready]}})
    flags = ("--subresource=status", "--type=merge", f"--patch={patch}")
    done = server.kubectl("patch", what, "-n", "flux-system", *flags)
    assert done.returncode == 0, done.stderr


def test_what_the_set_up_applies_is_found_again_and_removed(
    runner: Runner, server: ApiServer, tmp_path: Path
) -> None:
    webhook = tmp_path / "webhook"
    webhook.write_text("https://discord.com/api/webhooks/1/made-up")
    runner.values["DISCORD_WEBHOOK_FILE"] = str(webhook)
    steps = (
        NAMESPACE,
        KEY,
        CLUSTER_SETTINGS,
        FLUX,
        ALERTS[0],
    )

    for step in steps:
        _make(runner, step)
    _be_ready(server, "fluxinstance/flux")

    assert {step.name: step.check(runner).exists for step in steps} == dict.fromkeys(
        (step.name for step in steps), True
    )
    assert NAMESPACE.check(runner).owned
    _another_address_differs(runner)
    assert callable(NAMESPACE.delete)
    NAMESPACE.delete(runner)
    assert not NAMESPACE.check(runner).owned
    assert server.kubectl("get", "fluxinstances", "-A", "-o", "name").stdout == ""


def _another_address_differs(runner: Runner) -> None:
    """A FluxInstance that says something else is applied again."""
    there, runner.values["GIT_URL"] = (
        runner.values["GIT_URL"],
        "ssh://git@github.com/example/other.git",
    )
    assert not FLUX.check(runner).exists
    runner.values["GIT_URL"] = there


def test_the_operator_of_the_set_up_is_the_one_whose_definitions_are_checked() -> None:
    pins = (Path(__file__).parents[1] / "tools" / "crds" / "go.mod").read_text()

    assert f"github.com/controlplaneio-fluxcd/flux-operator {OPERATOR_VERSION}" in pins


def test_flux_has_the_commands_that_the_set_up_runs() -> None:
    """Each ends because no cluster is there, not because of a word that flux does not know."""
    line = ["reconcile", "image", "repository", "discord-sky", "-n", "flux-system"]
    command = [str(tool("flux")), "--kubeconfig", "/nowhere", *line]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "no such file or directory" in done.stderr
    assert "unknown" not in done.stderr


@pytest.mark.parametrize("secret", ["discord-token", "openai-api-key"])
def test_the_bot_has_the_command_that_sets_a_secret(secret: str) -> None:
    """With the repository's own settings; it ends because nobody types a value."""
    vault = {"KEYVAULT_NAME": "example-vault"}
    words = python(f"-m bot secrets set {secret} {INTO}").argv(vault)[1:]

    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (1, f"not a valid {secret}: it is empty.\n"), (
        done.stderr
    )


def test_requests_are_added_up_as_the_scheduler_does() -> None:
    pod: Any = {
        "spec": {
            "containers": [
                {"resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}},
                {"resources": {}},
                {"resources": {"requests": {"cpu": "0.05"}}},
            ],
            "initContainers": [{"resources": {"requests": {"cpu": "20m", "memory": "1Gi"}}}],
        }
    }

    assert str(requests(pod)) == "150m CPU, 1024 MiB"
