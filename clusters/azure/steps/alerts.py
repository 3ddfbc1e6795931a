"""Where deploys, rollbacks and failures are told, if a person names a place: clusters/README.md."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusters.azure.runner import Stop
from clusters.azure.steps.kubernetes import KUSTOMIZATION, an_object, applied, get
from clusters.azure.steps.model import Found, Step, at

if TYPE_CHECKING:
    from clusters.azure.runner import Desk


_WEBHOOK_FILE, _TOKEN_FILE = "DISCORD_WEBHOOK_FILE", "STATUS_TOKEN_FILE"
_WEBHOOK = "https://discord.com/api/webhooks/"


def kustomization(place: str) -> Any:
    """Write what lets Flux apply the alerts for PLACE from Git, without a line there."""
    spec = {
        "interval": "10m",
        "retryInterval": "1m",
        "timeout": "1m",
        "prune": True,
        "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
        "path": f"./clusters/production/alerts/{place}",
    }
    made = an_object("Kustomization", f"alerts-{place}", spec=spec)
    return {**made, "apiVersion": "kustomize.toolkit.fluxcd.io/v1"}


def _content(file: str) -> str:
    return Path(file).expanduser().read_text().strip()


def check_files(desk: Desk) -> None:
    """Look into the files that were named, before anything is made. Raises Stop."""
    if desk.dry:
        return
    for place, value in (("discord", _WEBHOOK_FILE), ("github", _TOKEN_FILE)):
        if value in desk.values and (problem := _wrong(place, desk.values[value])):
            raise Stop(problem)


def _wrong(place: str, file: str) -> str:
    """Say what is wrong with a file that holds a webhook or a token; never what is in it."""
    try:
        content = _content(file)
    except (OSError, UnicodeDecodeError) as error:
        return f"{file} cannot be read ({type(error).__name__})."
    if place == "discord" and not content.startswith(_WEBHOOK):
        return f"{file} does not hold a Discord webhook: one begins with {_WEBHOOK}"
    return "" if content else f"{file} is empty."


def _alert(place: str, about: str, secret: str, flag: str, value: str) -> Step:
    """Make the step for one place. VALUE names the file that FLAG names."""

    def data(desk: Desk) -> dict[str, str]:
        content = "" if desk.dry else _content(desk.values[value])
        if place == "discord":
            return {"address": content}
        return {"address": desk.filled("https://github.com/$GITHUB_REPOSITORY"), "token": content}

    def look(desk: Desk) -> Found:
        flux = get(desk, f"{KUSTOMIZATION} alerts-{place}")
        if value not in desk.values:
            off = "" if flux else f"not asked for; {flag} FILE turns it on"
            return Found(there=True, note=off)
        held = get(desk, f"secret {secret}")
        wanted = {key: _coded(text) for key, text in data(desk).items()}
        return Found(there=flux is not None and at(held, "data") == wanted)

    def make(desk: Desk) -> None:
        applied(desk, an_object("Secret", secret, stringData=data(desk)), f"the Secret {secret}")
        applied(desk, kustomization(place), f"the Kustomization alerts-{place}")

    return Step(name=f"alerts: {place}", about=about, look=look, make=make, place="cluster")


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ALERTS = (
    _alert(
        "discord",
        "deploys, rollbacks and failures in a Discord channel",
        "discord-webhook",
        "--discord-webhook",
        _WEBHOOK_FILE,
    ),
    _alert(
        "github",
        "a status on each commit: whether the bot became Ready with it",
        "github-commit-status",
        "--status-token",
        _TOKEN_FILE,
    ),
)
