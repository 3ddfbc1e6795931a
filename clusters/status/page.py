"""The figures as a page for a terminal of any width, and as JSON."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from clusters.status.reader import Deploy, Money, Reader, Reading, Status
from clusters.status.scrape import Alert

_UNKNOWN = "unknown"
_WINDOW = 60.0  # seconds that a rate on the live page looks back
_STYLES = {"firing": "bold red", "unknown": "yellow", "ok": "green"}


def as_json(status: Status) -> str:
    """Return the figures for a program; what is unknown is null."""
    return json.dumps(asdict(status), indent=1)


def show_live(reader: Reader, console: Console, seconds: float) -> None:
    """Show the page and read again every SECONDS until Ctrl-C, which leaves the last page there."""
    readings: deque[Reading] = deque()
    shown: Status | None = None
    try:
        with Live(Text("Reading the cluster …"), console=console, screen=True) as live:
            while True:
                shown, reading = reader.read(readings[0] if readings else None)
                readings.append(reading)
                while len(readings) > 1 and readings[0].at < reading.at - _WINDOW:
                    readings.popleft()
                live.update(page(shown), refresh=True)
                time.sleep(seconds)
    except KeyboardInterrupt:
        if shown:
            console.print(page(shown))


def page(status: Status) -> RenderableType:
    """Lay the figures out, with what needs somebody first."""
    at = time.strftime("%H:%M:%S", time.localtime(status.at))
    parts: list[RenderableType] = [Text(_plain(f"Discord Sky, {status.context}, {at}"), "bold")]
    parts += [Text(_plain(problem), "yellow") for problem in status.problems]
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value, style in _rows(status):
        table.add_row(Text(name, "bold"), Text(_plain(value), style))
    return Group(*parts, table)


def _plain(text: str) -> str:
    """Leave out what a terminal would obey: some of this was written by others."""
    return "".join(one if one.isprintable() else " " for one in text)


def _rows(status: Status) -> Iterator[tuple[str, str, str]]:
    yield from _who(status)
    answers = status.answers
    yield "answers/min", _rate(answers.per_minute, answers.over_seconds), ""
    yield "in work", f"{_number(answers.in_flight)}, waiting: {_number(answers.waiting)}", ""
    yield "outcomes", _counts(answers.outcomes), ""
    yield "refused", _counts(answers.refused), ""
    for period, money in status.money.items():
        yield f"this {period}" if period == "month" else "today", _money(money), ""
    yield "no price", f"{_number(status.unpriced_answers)} answers", ""
    yield from _listed("deploys", status.deploys, _deploy)
    yield from _alerts(status.alerts)


def _who(status: Status) -> Iterator[tuple[str, str, str]]:
    held = [one for one in status.leases or () if one.holder]
    if status.leases is None:
        yield "leader", _UNKNOWN, ""
    elif not held:
        yield "leader", "nobody", "bold red"
    for lease in held:
        ago = "at an unknown time"
        if lease.renewed_seconds_ago is not None:
            ago = f"{_time(max(0.0, lease.renewed_seconds_ago))} ago"
        late = "; it has expired, so nobody leads" if lease.expired else ""
        name = "" if len(status.leases or ()) == 1 else f"{lease.lease}: "
        yield "leader", f"{name}{lease.holder}, renewed {ago}{late}", "red" if late else ""
    if (version := status.version) is None:
        yield "version", _UNKNOWN, ""
    else:
        ready = f"{version.ready} of {version.wanted} ready"
        yield "version", f"{version.tag or _UNKNOWN}, {ready}", ""
    if status.pods is None:
        yield "pods", _UNKNOWN, ""
    elif not status.pods:
        yield "pods", "none", "bold red"
    for pod in status.pods or ():
        runs = _UNKNOWN if pod.running_seconds is None else _time(pod.running_seconds)
        state = "ready" if pod.ready else "not ready"
        commit = (pod.revision or _UNKNOWN)[:12]
        about = f"commit {commit}, running for {runs}" if pod.read else "its metrics are unknown"
        yield "pod", f"{pod.name}: {pod.tag or _UNKNOWN}, {state}, {about}", ""


def _listed(
    name: str, found: tuple[Deploy, ...] | None, shown: Callable[[Deploy], str]
) -> Iterator[tuple[str, str, str]]:
    if found is None:
        yield name, _UNKNOWN, ""
    for place, one in enumerate(found or ()):
        yield name if place == 0 else "", shown(one), ""


def _deploy(one: Deploy) -> str:
    branch, _, commit = (one.revision or "").rpartition("@")
    what = f"{branch} {commit.rpartition(':')[2][:7]}".strip() or "commit unknown"
    return f"{one.at or 'at an unknown time'} {what}: {one.result}"


def _alerts(found: tuple[Alert, ...] | None) -> Iterator[tuple[str, str, str]]:
    if found is None:
        yield "alerts", _UNKNOWN, ""
        return
    for one in found:
        if one.state == "firing":
            about = f": {', '.join(one.about)}" if one.about else ""
            wait = f"; notifies after {one.after}" if one.after else ""
            said = f"{one.name} ({one.severity}){about}{wait}; see {one.runbook}"
            yield "ALERT", said, _STYLES["firing"]
    for state in ("ok", _UNKNOWN):
        names = [one.name for one in found if one.state == state]
        if names:
            yield "alerts", f"{state}: {', '.join(names)}", _STYLES[state]
    names = [one.name for one in found if one.state == "not judged"]
    if names:
        yield "alerts", f"not judged, they need Prometheus: {', '.join(names)}", ""


def _rate(rate: float | None, seconds: float | None) -> str:
    return _UNKNOWN if rate is None or seconds is None else f"{rate:.1f} (over {_time(seconds)})"


def _money(money: Money) -> str:
    if money.spent is None and money.budget is None:
        return _UNKNOWN
    spent = _UNKNOWN if money.spent is None else f"{money.spent:.2f}"
    budget = _UNKNOWN if money.budget is None else f"{money.budget:.2f}"
    return f"{spent} spent, no budget" if money.budget == 0 else f"{spent} of {budget} spent"


def _number(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:,.0f}"


def _counts(counts: Mapping[str, float] | None) -> str:
    if counts is None:
        return _UNKNOWN
    most = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {value:,.0f}" for name, value in most) or "none"


def _time(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
