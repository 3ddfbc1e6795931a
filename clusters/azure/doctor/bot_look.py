"""Ask the bot in its pod how it is: readiness, metrics, and the last words of its log."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any

from clusters.azure.doctor.facts import BOT, Bot, Pod
from clusters.azure.doctor.kubectl import Kubectl, Unanswered

_PORT = 8080
_SECONDS = 5
_LINES = 400
_SAMPLE = re.compile(r"^discord_sky_(\w+(?:\{[^}]*\})?) (\S+)", re.MULTILINE)
# What the chain is told from; the rest stays where it is.
_WANTED = (
    "credential_present",
    "credential_usable",
    "gateway_open",
    "model_requests_total",
)


def look(kubectl: Kubectl, pod: Pod, unseen: list[str]) -> Bot:
    """Look at the bot in POD; what cannot be seen is told in UNSEEN."""
    said = _log(kubectl, pod, unseen)
    if pod.waiting:  # no process listens there
        return Bot(pod=pod.name, problem=_problem(said))
    try:
        with kubectl.forwarded(f"pod/{pod.name}", BOT, _PORT) as address:
            readyz, metrics = _get(f"{address}/readyz"), _get(f"{address}/metrics")
    except (Unanswered, OSError) as error:
        unseen.append(f"/readyz and /metrics of pod {pod.name}: {error}")
        readyz, metrics = "", ""
    login = _last(said, "cannot log in")
    code = login.get("code")
    return Bot(
        pod=pod.name,
        readyz=readyz.strip(),
        metrics=samples(metrics),
        login=str(login.get("error", "")),
        login_code=code if isinstance(code, int) else None,
        login_remedy=str(login.get("remedy", "")),
        problem="" if pod.ready else _problem(said),
    )


def samples(text: str) -> dict[str, float]:
    """Read the series that the chain needs, by name and labels without their common prefix."""
    found = {name: float(value) for name, value in _SAMPLE.findall(text)}
    return {name: value for name, value in found.items() if name.startswith(_WANTED)}


def _get(url: str) -> str:
    # The terminal's proxy is not for an address of this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_SECONDS) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:  # 503 from /readyz, with the reason
        return error.read().decode(errors="replace")


def _log(kubectl: Kubectl, pod: Pod, unseen: list[str]) -> list[dict[str, Any]]:
    """Return the last lines of the log that are JSON; the ended container's, where it ended."""
    ended = ("--previous",) if pod.waiting == "CrashLoopBackOff" else ()
    try:
        text = kubectl.text("logs", pod.name, f"--namespace={BOT}", f"--tail={_LINES}", *ended)
    except Unanswered as error:
        if not pod.waiting:
            unseen.append(f"the log of pod {pod.name}: {error}")
        return []
    lines: list[dict[str, Any]] = []
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            found = {"message": line}
        lines.append(found if isinstance(found, dict) else {"message": line})
    return lines


def _last(lines: list[dict[str, Any]], message: str) -> dict[str, Any]:
    return next((line for line in reversed(lines) if line.get("message") == message), {})


def _problem(lines: list[dict[str, Any]]) -> str:
    """Return the last thing said that is worse than news."""
    bad = [line for line in lines if line.get("level") in {None, "warning", "error", "critical"}]
    last: dict[str, Any] = next(reversed(bad), {})
    words = [str(last.get(key)) for key in ("message", "problem", "remedy") if last.get(key)]
    return ": ".join(words)[:300]
