"""Alerts, and the rollback that one of them starts, if asked for: see clusters/README.md."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusters.azure.runner import Stop
from clusters.azure.steps.kubernetes import KUSTOMIZATION, apply_object, get_object, manifest
from clusters.azure.steps.model import Step, StepState, get_path

if TYPE_CHECKING:
    from clusters.azure.runner import Runner


_WEBHOOK_FILE, _TOKEN_FILE = "DISCORD_WEBHOOK_FILE", "STATUS_TOKEN_FILE"
_DISPATCH_FILE = "DISPATCH_TOKEN_FILE"
_FINE_GRAINED = "github_pat_"
_WEBHOOK = "https://discord.com/api/webhooks/"
# The Secret in flux-system with the credential of each Alert.
SECRETS = {
    "discord": "discord-webhook",
    "discord-failed": "discord-webhook",
    "github": "github-commit-status",
    "rollback": "github-dispatch",
}


def kustomization(place: str) -> Any:
    """Return the Kustomization with which Flux applies the alerts for PLACE from Git."""
    spec = {
        "interval": "10m",
        "retryInterval": "1m",
        "timeout": "1m",
        "prune": True,
        "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
        "path": f"./clusters/production/alerts/{place}",
    }
    made = manifest("Kustomization", f"alerts-{place}", spec=spec)
    return {**made, "apiVersion": "kustomize.toolkit.fluxcd.io/v1"}


def _content(file: str) -> str:
    return Path(file).expanduser().read_text().strip()


def check_files(runner: Runner) -> None:
    """Check the files that were named. Raises Stop."""
    if runner.dry_run:
        return
    values = {"discord": _WEBHOOK_FILE, "github": _TOKEN_FILE, "rollback": _DISPATCH_FILE}
    for place, value in values.items():
        if value in runner.values and (problem := _wrong(place, runner.values[value])):
            raise Stop(problem)


def _wrong(place: str, file: str) -> str:
    """Say what is wrong with a file that holds a webhook or a token, without its content."""
    try:
        content = _content(file)
    except (OSError, UnicodeDecodeError) as error:
        return f"{file} cannot be read ({type(error).__name__})."
    if place == "discord" and not content.startswith(_WEBHOOK):
        return f"{file} does not hold a Discord webhook: one begins with {_WEBHOOK}"
    if place == "rollback" and not content.startswith(_FINE_GRAINED):
        return (
            f"{file} does not hold a fine-grained token of GitHub's: one begins with "
            f"{_FINE_GRAINED}. A classic token reaches every repository of yours; this one is to "
            "reach one, with 'Contents: read and write' and no other permission."
        )
    return "" if content else f"{file} is empty."


def _alert(place: str, about: str, secret: str, flag: str, value: str) -> Step:
    """Return the step for one place. VALUE holds the file that FLAG names."""

    def data(runner: Runner) -> dict[str, str]:
        content = "" if runner.dry_run else _content(runner.values[value])
        if place == "discord":
            return {"address": content}
        return {"address": runner.fill("https://github.com/$GITHUB_REPOSITORY"), "token": content}

    def look(runner: Runner) -> StepState:
        flux = get_object(runner, f"{KUSTOMIZATION} alerts-{place}")
        if value not in runner.values:
            off = "" if flux else f"not requested; {flag} FILE turns it on"
            return StepState(exists=True, note=off)
        held = get_object(runner, f"secret {secret}")
        wanted = {key: _coded(text) for key, text in data(runner).items()}
        return StepState(exists=flux is not None and get_path(held, "data") == wanted)

    def make(runner: Runner) -> None:
        apply_object(
            runner, manifest("Secret", secret, stringData=data(runner)), f"the Secret {secret}"
        )
        apply_object(runner, kustomization(place), f"the Kustomization alerts-{place}")

    return Step(
        name=f"alerts: {place}", description=about, check=look, create=make, place="cluster"
    )


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ALERTS = (
    _alert(
        "discord",
        "deployments, rollbacks and failures in a Discord channel",
        SECRETS["discord"],
        "--discord-webhook",
        _WEBHOOK_FILE,
    ),
    _alert(
        "github",
        "a status on each commit: whether the bot became Ready with it",
        SECRETS["github"],
        "--status-token",
        _TOKEN_FILE,
    ),
    _alert(
        "rollback",
        "Git goes back by itself from a version that fails, with a token that may write contents",
        SECRETS["rollback"],
        "--dispatch-token",
        _DISPATCH_FILE,
    ),
)
