"""One pod's metrics, and which alert rules they fulfil. Unknown is None, never 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

_PREFIX = "discord_sky_"
RULES = Path(__file__).resolve().parents[2] / "apps/discord-sky/alerts.rules"


class NoMetrics(Exception):
    """The text is not what the bot serves at /metrics; the message says what it is."""


class NoRules(Exception):
    """The rules cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """The metrics of one process, as they were at one moment.

    `families` has, for each metric that this version of the bot knows, its samples: labels, value.
    """

    families: Mapping[str, Sequence[tuple[Mapping[str, str], float]]]

    @classmethod
    def of(cls, text: str) -> Scrape:
        """Parse Prometheus' text format. Raises NoMetrics."""
        families: dict[str, list[tuple[dict[str, str], float]]] = {}
        try:
            for family in text_string_to_metric_families(text):
                wanted = {family.name, f"{family.name}_total"}
                families[family.name] = [
                    (one.labels, one.value) for one in family.samples if one.name in wanted
                ]
        except (ValueError, KeyError, IndexError) as error:
            raise NoMetrics(f"its /metrics cannot be parsed ({error})") from None
        if not any(name.startswith(_PREFIX) for name in families):
            raise NoMetrics("its /metrics has no metric of the bot")
        return cls(
            {
                name: samples
                for name, samples in families.items()
                if all(math.isfinite(value) for _, value in samples)
            }
        )

    @property
    def began(self) -> float | None:
        """When the process began, in seconds since the epoch."""
        samples = self.families.get("process_start_time_seconds")
        return samples[0][1] if samples else None

    @property
    def revision(self) -> str | None:
        """The commit that it was built from."""
        samples = self.families.get(f"{_PREFIX}build_info")
        return samples[0][0].get("revision") if samples else None

    def total(self, name: str) -> float | None:
        """Add up a metric; 0 if it is known and nothing was counted, None if it is not known."""
        samples = self.families.get(_PREFIX + name)
        return None if samples is None else sum(value for _, value in samples)

    def by(
        self, name: str, label: str, how: Callable[[Iterable[float]], float] = sum
    ) -> dict[str, float] | None:
        """Combine a metric's samples for each value of LABEL; None if it is not known."""
        samples = self.families.get(_PREFIX + name)
        if samples is None:
            return None
        values: dict[str, list[float]] = {}
        for labels, value in samples:
            values.setdefault(labels.get(label, ""), []).append(value)
        return {key: how(each) for key, each in values.items()}


def total(scrapes: Iterable[Scrape], name: str) -> float | None:
    """Add up a metric over processes; None if there is none, or one does not know it."""
    found = [one.total(name) for one in scrapes]
    known = [value for value in found if value is not None]
    return sum(known) if found and len(known) == len(found) else None


def by(
    scrapes: Iterable[Scrape],
    name: str,
    label: str,
    how: Callable[[Iterable[float]], float] = sum,
) -> dict[str, float] | None:
    """Combine a metric over processes for each value of LABEL; None as for `total`."""
    found = [one.by(name, label, how) for one in scrapes]
    known = [values for values in found if values is not None]
    if not found or len(known) < len(found):
        return None
    keys = sorted({key for values in known for key in values})
    return {key: how([values[key] for values in known if key in values]) for key in keys}


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule, and how it stands; `state` is firing, ok, unknown or "not judged".

    The time that the rule waits before it fires (`after`) is not waited for.
    """

    name: str
    severity: str
    state: str
    about: tuple[str, ...] = ()
    after: str = ""
    runbook: str = ""


_LEASE_SECONDS = 30  # as in the rule

Judge = Callable[[Sequence[Scrape]], list[str] | None]


def _each(
    name: str,
    label: str,
    how: Callable[[Iterable[float]], float],
    bad: Callable[[float], bool],
) -> Judge:
    def judge(scrapes: Sequence[Scrape]) -> list[str] | None:
        values = by(scrapes, name, label, how)
        return None if values is None else [key for key, value in values.items() if bad(value)]

    return judge


def _mistaken(scrapes: Sequence[Scrape]) -> list[str] | None:
    most = 0.0
    for one in scrapes:
        mistakes, unknown = one.total("persona_problems"), one.total("settings_unknown")
        if mistakes is None or unknown is None:
            return None
        most = max(most, mistakes + unknown)
    return [f"{most:g}"] if most else []


def _nearly_spent(scrapes: Sequence[Scrape]) -> list[str] | None:
    spent, budget = by(scrapes, "spent", "period", max), by(scrapes, "budget", "period", max)
    if spent is None or budget is None:
        return None
    return [key for key, most in budget.items() if most > 0 and spent.get(key, 0) > 0.8 * most]


# By the rule's expression: a rule that somebody changed is not judged by what it said before.
# Rules with `increase` or `offset` need Prometheus' memory.
_JUDGES: dict[str, Judge] = {
    "min by (name) (discord_sky_credential_expiry_seconds) < 14 * 86400": _each(
        "credential_expiry_seconds", "name", min, lambda value: value < 14 * 86400
    ),
    "min by (name) (discord_sky_credential_usable) == 0": _each(
        "credential_usable", "name", min, lambda value: value == 0
    ),
    "max(discord_sky_persona_problems + discord_sky_settings_unknown) > 0": _mistaken,
    (
        "max by (period) (discord_sky_spent) > 0.8 * max by (period) (discord_sky_budget) "
        "and max by (period) (discord_sky_budget) > 0"
    ): _nearly_spent,
    "max by (model) (discord_sky_model_breaker_open) == 1": _each(
        "model_breaker_open", "model", max, lambda value: value == 1
    ),
    "max by (pod) (discord_sky_lease_unreachable_seconds) > 30": _each(
        "lease_unreachable_seconds", "shard", max, lambda value: value > _LEASE_SECONDS
    ),
}
_NOBODY = "max by (shard) (discord_sky_speaking) == 0 or absent(discord_sky_speaking)"


def alerts(
    scrapes: Sequence[Scrape], *, complete: bool, no_pod: bool, rules: Path = RULES
) -> tuple[Alert, ...]:
    """Judge every rule that these metrics can decide. Raises NoRules.

    COMPLETE: every pod's metrics were read; NO_POD: it is known that there is no pod.
    """
    try:
        read = yaml.safe_load(rules.read_text())
        return tuple(
            _alert(rule, scrapes, complete=complete, no_pod=no_pod)
            for group in read["groups"]
            for rule in group["rules"]
            if "alert" in rule
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise NoRules(f"{type(error).__name__} in {rules.name}") from None


def _alert(
    rule: Mapping[str, object], scrapes: Sequence[Scrape], *, complete: bool, no_pod: bool
) -> Alert:
    expression = " ".join(str(rule["expr"]).split())
    labels, notes = rule.get("labels"), rule.get("annotations")
    about: list[str] = []
    if expression == _NOBODY:
        leads = by(scrapes, "speaking", "shard", max)
        about = [f"shard {key}" for key, value in (leads or {}).items() if value == 0]
        if no_pod or (leads == {} and complete):
            state, about = "firing", ["no pod"] if no_pod else []
        elif leads is None or ((about or not leads) and not complete):
            state = "unknown"  # the pod that was not read may lead
        else:
            state = "firing" if about else "ok"
    elif (judge := _JUDGES.get(expression)) is None:
        state = "not judged"
    else:
        found = judge(scrapes) if scrapes else None
        about = found or []
        state = "firing" if found else "ok" if found is not None and complete else "unknown"
    return Alert(
        name=str(rule["alert"]),
        severity=str(labels.get("severity", "")) if isinstance(labels, dict) else "",
        state=state,
        about=tuple(about) if state == "firing" else (),
        after=str(rule.get("for", "")),
        runbook=str(notes.get("runbook_url", "")) if isinstance(notes, dict) else "",
    )
