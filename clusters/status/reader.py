"""Read the cluster with kubectl, and the bot's metrics through a port-forward.

What cannot be read becomes None and a sentence in `problems`, never an exception.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from clusters.azure.doctor.facts import BOT, FLUX
from clusters.kubectl import Kubectl, KubectlError, http_get
from clusters.status.scrape import Alert, NoMetrics, NoRules, Scrape, alerts, by, total

_SELECTOR = "--selector=app.kubernetes.io/name=discord-sky-bot"
_PORT = 8080
_HTTP_SECONDS = 10
_DEPLOYS = 5
SCHEMA = 1  # of the JSON: raised when a key goes or changes its meaning, not when one is added


@dataclass(frozen=True, slots=True)
class Holder:
    """A Lease. `holder` is None if nobody holds it; `expired` says that it was not renewed."""

    lease: str
    holder: str | None
    renewed_seconds_ago: float | None
    expired: bool | None


@dataclass(frozen=True, slots=True)
class Process:
    """A pod of the bot; what its metrics say is None if they were not read."""

    name: str
    tag: str | None
    ready: bool
    read: bool = False
    revision: str | None = None
    running_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """What the Deployment asks for, and how many of its pods are Ready."""

    tag: str | None
    ready: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Deploy:
    """What Flux applied: the commit (None where Flux does not keep it), when, and the result."""

    at: str
    revision: str | None
    result: str


@dataclass(frozen=True, slots=True)
class Money:
    """Money in one period; `budget` 0 means that there is no limit."""

    spent: float | None
    budget: float | None


@dataclass(frozen=True, slots=True)
class Answers:
    """Accepted calls; a rate over `over_seconds`, the counts since the processes began."""

    per_minute: float | None
    over_seconds: float | None
    outcomes: dict[str, float] | None
    refused: dict[str, float] | None
    in_flight: float | None
    waiting: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that is shown; its fields are the keys of the JSON."""

    schema: int
    at: float
    context: str
    leases: tuple[Holder, ...] | None
    version: Version | None
    pods: tuple[Process, ...] | None
    answers: Answers
    money: dict[str, Money]
    unpriced_answers: float | None
    deploys: tuple[Deploy, ...] | None
    alerts: tuple[Alert, ...] | None
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """The metrics of each pod at one moment, to compare with a later reading."""

    at: float
    scrapes: Mapping[str, Scrape]


@dataclass
class Reader:
    """Reads the cluster again and again."""

    kubectl: Kubectl
    problems: list[str] = field(default_factory=list)

    def read(self, earlier: Reading | None = None) -> tuple[Status, Reading]:
        """Read everything; rates are since EARLIER, or since the processes began without it."""
        self.problems = []
        context, at = self.kubectl.context(), time.time()
        try:
            json.loads(self.kubectl.text("get", "--raw", "/version"))
        except (KubectlError, ValueError) as error:
            self.problems.append(_sentence("the cluster", error))
            reading = Reading(at, {})
            return _status(context, {}, reading, None, self.problems), reading
        with ThreadPoolExecutor() as pool:
            asked = {
                "leases": pool.submit(self._items, "leases.coordination.k8s.io", BOT),
                "version": pool.submit(self._items, "deployments.apps", BOT, _SELECTOR),
                "pods": pool.submit(self._items, "pods", BOT, _SELECTOR),
                "deploys": pool.submit(
                    self._items,
                    "kustomizations.kustomize.toolkit.fluxcd.io",
                    FLUX,
                    "--field-selector=metadata.name=discord-sky",
                ),
            }
            found = {name: one.result() for name, one in asked.items()}
        reading = Reading(at, self._scrapes(found["pods"]))
        if found["deploys"] == []:
            self.problems.append(
                f"Flux has no Kustomization discord-sky in {FLUX}: `make doctor` says what is "
                "missing."
            )
        return _status(context, found, reading, earlier, self.problems), reading

    def _items(self, kind: str, namespace: str, *options: str) -> list[dict[str, Any]] | None:
        try:
            return self.kubectl.items(kind, namespace, *options)
        except (KubectlError, ValueError, KeyError, TypeError) as error:
            self.problems.append(_sentence(f"{kind.partition('.')[0]} in {namespace}", error))
            return None

    def _scrapes(self, items: Sequence[dict[str, Any]] | None) -> dict[str, Scrape]:
        found: dict[str, Scrape] = {}
        if items == []:
            self.problems.append(
                f"There is no pod of the bot in {BOT}: `make doctor` says what keeps it away."
            )
        for item in items or ():
            name = _name(item)
            if "running" not in (_container(item).get("state") or {}):
                self.problems.append(
                    f"Pod {name} is not running ({_waits_for(item)}): `make doctor` says why."
                )
                continue
            try:
                with self.kubectl.forwarded(f"pod/{name}", BOT, _PORT) as address:
                    found[name] = Scrape.of(http_get(f"{address}/metrics", _HTTP_SECONDS))
            except NoMetrics as error:
                self.problems.append(
                    f"The metrics of pod {name} are unknown, because {error}: deploy a version of "
                    "the bot that serves them."
                )
            except (KubectlError, OSError, http.client.HTTPException) as error:
                self.problems.append(_sentence(f"the metrics of pod {name}", error))
        return found


def _sentence(what: str, error: Exception) -> str:
    """Say in one sentence what could not be read, why, and what to do."""
    said = str(error) or type(error).__name__
    remedy = next((does for words, does in _REMEDIES if words in said.lower()), _DOCTOR)
    if isinstance(error, (ValueError, KeyError, TypeError)):
        said = "the answer is not what Kubernetes sends"
    return f"Cannot read {what} ({said.rstrip('.')}): {remedy}."


_DOCTOR = "`make doctor` looks at every link to the bot"
_CLUSTER = (
    "start the cluster, or choose another with ARGS=--context=NAME; `make doctor` has the commands"
)
_REMEDIES = (
    ("no kubectl in path", "install kubectl (`az aks install-cli` does)"),
    ("forbidden", "use a login that may read it; `kubectl auth can-i --list` shows what yours may"),
    ("unauthorized", "log in again, with `az login` or as your cluster asks for it"),
    ("logged in", "log in again, with `az login` or as your cluster asks for it"),
    ("doesn't have a resource type", "install what defines it; for Flux that is `make azure`"),
    ("was refused", _CLUSTER),
    ("unable to connect", _CLUSTER),
    ("no such host", _CLUSTER),
    ("did not answer", _CLUSTER),
    (
        "context",
        "choose a cluster with ARGS=--context=NAME; `kubectl config get-contexts` lists yours",
    ),
    ("http error 404", "deploy a version of the bot that serves /metrics"),
)


def _status(
    context: str,
    found: Mapping[str, Sequence[Mapping[str, Any]] | None],
    reading: Reading,
    earlier: Reading | None,
    problems: list[str],
) -> Status:
    scrapes = list(reading.scrapes.values())
    pods, leases, deploys = found.get("pods"), found.get("leases"), found.get("deploys")
    rate, seconds = per_minute(reading, earlier)
    spent, budget = by(scrapes, "spent", "period", max), by(scrapes, "budget", "period", max)
    judged: tuple[Alert, ...] | None = None
    try:
        complete = pods is not None and len(pods) == len(scrapes)
        judged = alerts(scrapes, complete=complete, no_pod=pods == [])
    except NoRules as error:
        problems.append(f"The alert rules cannot be read ({error}): `git status` shows a change.")
    return Status(
        schema=SCHEMA,
        at=round(reading.at, 3),
        context=context,
        leases=None if leases is None else tuple(_holder(item, reading.at) for item in leases),
        version=next((_version(item) for item in found.get("version") or ()), None),
        pods=None if pods is None else tuple(_process(item, reading) for item in pods),
        answers=Answers(
            per_minute=rate,
            over_seconds=seconds,
            outcomes=by(scrapes, "answers", "outcome"),
            refused=by(scrapes, "turned_away", "reason"),
            in_flight=total(scrapes, "answers_in_flight"),
            waiting=total(scrapes, "answers_waiting"),
        ),
        money={
            period: Money((spent or {}).get(period), (budget or {}).get(period))
            for period in ("day", "month")
        },
        unpriced_answers=total(scrapes, "unpriced_answers"),
        deploys=None if not deploys else _deploys(deploys[0]),
        alerts=judged,
        problems=tuple(problems),
    )


def per_minute(now: Reading, earlier: Reading | None) -> tuple[float | None, float | None]:
    """Return answers a minute and over how many seconds; one that restarted counts from 0."""
    rate, longest = 0.0, 0.0
    for name, scrape in now.scrapes.items():
        count, began = scrape.total("answers"), scrape.began
        if count is None:
            return None, None
        before = earlier.scrapes.get(name) if earlier else None
        counted = before.total("answers") if before and before.began == began else None
        if earlier and counted is not None and counted <= count:
            seconds, count = now.at - earlier.at, count - counted
        elif began is not None:
            seconds = now.at - began
        else:
            return None, None
        if seconds <= 0:  # this machine's clock and the node's differ
            return None, None
        rate, longest = rate + count * 60 / seconds, max(longest, seconds)
    return (round(rate, 3), round(longest, 1)) if now.scrapes else (None, None)


def _name(item: Mapping[str, Any]) -> str:
    return str((item.get("metadata") or {}).get("name", ""))


def _holder(item: Mapping[str, Any], at: float) -> Holder:
    spec = item.get("spec") or {}
    holder = spec.get("holderIdentity") or None
    ago = None
    try:
        ago = round(at - datetime.fromisoformat(spec["renewTime"]).timestamp(), 1)
        expired = ago > spec["leaseDurationSeconds"] if holder else None
    except (KeyError, TypeError, ValueError):
        expired = None
    return Holder(_name(item), holder, ago, expired)


def _tag(image: str) -> str | None:
    """Return an image's tag, without registry and digest; None if it has none."""
    name, colon, tag = image.partition("@")[0].rpartition(":")
    return tag if name and colon and "/" not in tag else None


def _version(item: Mapping[str, Any]) -> Version:
    spec, status = item.get("spec") or {}, item.get("status") or {}
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or [{}]
    return Version(
        _tag(containers[0].get("image", "")),
        status.get("readyReplicas", 0),
        spec.get("replicas", 1),
    )


def _container(item: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(
        iter((item.get("status") or {}).get("containerStatuses") or ()), {}
    )
    return found


def _waits_for(item: Mapping[str, Any]) -> str:
    waiting = (_container(item).get("state") or {}).get("waiting") or {}
    return str(waiting.get("reason") or (item.get("status") or {}).get("phase") or "unknown")


def _process(item: Mapping[str, Any], reading: Reading) -> Process:
    name = _name(item)
    containers = (item.get("spec") or {}).get("containers") or [{}]
    scrape = reading.scrapes.get(name)
    began = scrape.began if scrape else None
    return Process(
        name=name,
        tag=_tag(containers[0].get("image", "")),
        ready=bool(_container(item).get("ready")),
        read=scrape is not None,
        revision=scrape.revision if scrape else None,
        running_seconds=None if began is None else round(max(0.0, reading.at - began), 1),
    )


def _deploys(item: Mapping[str, Any]) -> tuple[Deploy, ...]:
    """Return what Flux keeps, newest first: the present condition, then its history before it."""
    status = item.get("status") or {}
    ready: Mapping[str, Any] = next(
        (one for one in status.get("conditions") or () if one.get("type") == "Ready"), {}
    )
    revision = status.get("lastAttemptedRevision") or status.get("lastAppliedRevision")
    state = {"True": "applied", "False": f"failed: {ready.get('message', '')}"}
    now = Deploy(
        str(ready.get("lastTransitionTime", "")),
        revision,
        state.get(str(ready.get("status")), "in progress"),
    )
    before = [
        Deploy(
            str(one.get("firstReconciled", "")),
            (one.get("metadata") or {}).get("revision"),
            str(one.get("lastReconciledStatus", "unknown")),
        )
        for one in (status.get("history") or [])[int(ready.get("status") in state) :]
    ]
    return (now, *before)[:_DEPLOYS]
