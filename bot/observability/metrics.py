"""What can be counted from outside, under `discord_sky_`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

from bot.observability import tasks

if TYPE_CHECKING:
    from collections.abc import Iterator


_PREFIX = "discord_sky"
_WAITS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 240)


class _TaskFailures(Collector):
    """Failures of this process's background tasks."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Read them where they are counted."""
        family = CounterMetricFamily(
            f"{_PREFIX}_task_failures",
            "Exceptions that nobody expected, by background task",
            labels=["task"],
        )
        for name, count in tasks.failures.items():
            family.add_metric([name], count)
        yield family


def counts(counter: Counter) -> dict[str, float]:
    """Return the values of a counter with one label, by the label's value."""
    return {
        next(iter(one.labels.values())): one.value
        for family in counter.collect()
        for one in family.samples
        if one.name.endswith("_total")
    }


class Metrics:
    """All series, in a registry of their own. Labels take few values: never ids."""

    def __init__(self) -> None:  # noqa: PLR0915  # a line for each series
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(_TaskFailures())
        self.build = self._gauge("build_info", "The commit that runs", "revision")
        self.unknown_settings = self._gauge("settings_unknown", "Unknown keys in the settings")

        self.persona_problems = self._gauge(
            "persona_problems", "Mistakes in the personas' files and in the choice of them"
        )

        self.messages = self._counter("messages", "Messages seen, by decision", "decision")
        self.interactions = self._counter(
            "interactions", "Commands and menus, by how they ended", "kind", "outcome"
        )
        self.caught_up = self._counter(
            "caught_up", "Missed calls found by a backfill, by outcome", "outcome"
        )
        self.turned_away = self._counter("turned_away", "Calls refused, by reason", "reason")
        self.in_flight = self._gauge("answers_in_flight", "Answers being written")
        self.waiting = self._gauge("answers_waiting", "Calls waiting for a free slot")
        self.answers = self._counter("answers", "Accepted calls, by how they ended", "outcome")
        self.first_words = self._waits("first_words_seconds", "From the call to the first words")
        self.answered = self._waits("answer_seconds", "From the call to the whole answer")

        self.summaries = self._counter("summaries", "Summaries, by how they ended", "outcome")

        self.model = self._counter("model_requests", "Requests to the model, by outcome", "outcome")
        self.fallbacks = self._counter("model_fallbacks", "Requests to the fallback model")
        self.continued = self._counter("model_continued", "Broken-off answers that were continued")
        self.breaker = self._gauge(
            "model_breaker_open", "1 while the circuit breaker is open", "model"
        )
        self.moderations = self._counter(
            "moderations", "Texts sent to the moderation", "whose", "outcome"
        )
        self.words_hidden = self._counter("words_hidden", "Banned words hidden in answers")
        self.first_text = self._waits("model_first_text_seconds", "From request to first text")
        self.tokens = self._counter("model_tokens", "Tokens, as the provider counts them", "kind")

        self.web_pages = self._counter("web_pages", "Links to pages, by how they ended", "outcome")

        self.limited = self._counter("limited", "Calls over a limit, by which", "scope")
        self.spent = self._gauge("spent", "Money spent in the current day and month", "period")
        self.budget = self._gauge("budget", "Budget; 0 means unlimited", "period")
        self.spent_total = self._counter("spent_money", "Money spent since the start", "model")
        self.overrun = self._counter("overrun_money", "Cost of answers beyond their reservation")
        self.unpriced = self._counter(
            "unpriced_answers", "Answers of a model that is not in the price table", "model"
        )

        self.calls = self._counter("discord_calls", "Discord REST calls", "call", "outcome")
        self.unreadable = self._counter(
            "unreadable", "Unreadable data from Discord that was skipped, by kind", "kind"
        )
        self.button_handler = self._counter(
            "presses", "Buttons pressed, by which and how", "button", "outcome"
        )
        self.gateway_open = self._gauge("gateway_open", "1 while a session is open")
        self.gateway = self._counter("gateway_events", "Events of the gateway session", "event")
        self.heartbeat = self._gauge("heartbeat_age_seconds", "Age of the last acknowledged beat")
        self.latency = self._gauge("heartbeat_latency_seconds", "Round trip of the last beat")
        self.loop_lag = self._gauge("event_loop_lag_seconds", "Latest delay of the event loop")

        self.is_leader = self._gauge("speaking", "1 while this process leads", "shard")
        self.lease_age = self._gauge(
            "lease_age_seconds", "Seconds since the Lease was last seen renewed", "shard"
        )
        self.lease_unreachable = self._gauge(
            "lease_unreachable_seconds", "Seconds since the Lease was last read or written", "shard"
        )
        self.lease_changes = self._counter(
            "lease_changes", "Changes of leadership", "shard", "change"
        )
        self.trials = self._counter("trials", "Trials of a version, by outcome", "outcome")

        self.credential = self._gauge("credential_present", "1 when there is a value", "name")
        self.credential_usable = self._gauge(
            "credential_usable", "1 when there is a value that was not refused", "name"
        )
        self.credential_changes = self._counter("credential_changes", "New values seen", "name")
        self.credential_refused = self._counter("credential_refused", "Values refused", "name")
        self.credential_rejected = self._counter(
            "credential_rejected", "Values rejected without being tried", "name"
        )
        self.credential_refusal = self._gauge(
            "credential_last_refusal_timestamp_seconds", "When its service refused a value", "name"
        )
        self.credential_info = self._gauge(
            "credential_info", "The value in use", "name", "source", "sha256", "version"
        )
        self.credential_age = self._gauge(
            "credential_age_seconds", "Seconds since the value came into use", "name"
        )
        self.credential_expiry = self._gauge(
            "credential_expiry_seconds", "Seconds until the expiry in Key Vault", "name"
        )
        self.vault = self._counter(
            "keyvault_requests", "Requests to Key Vault", "secret", "operation", "outcome"
        )

    def render(self) -> bytes:
        """Write everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _waits(self, name: str, text: str) -> Histogram:
        return Histogram(f"{_PREFIX}_{name}", text, buckets=_WAITS, registry=self.registry)
