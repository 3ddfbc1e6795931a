"""Settings of the server and its application; the control API replaces the value."""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

from tests.servers.discord import intents


@dataclass(frozen=True, slots=True)
class Settings:
    """Discord's own numbers, if it has published or shown them. Seconds unless named otherwise."""

    heartbeat_interval_ms: int = 41_250
    privileged_intents: int = intents.MESSAGE_CONTENT  # those that the application may request
    max_concurrency: int = 1  # concurrent identifies, each of a different shard
    identify_seconds: float = 5.0  # between two identifies of the same shard
    identifies_per_day: int = 1000
    gateway_commands_per_minute: int = 120
    resume_seconds: float = 180.0  # "a few minutes"
    nonce_seconds: float = 180.0  # "the past few minutes"
    ack_seconds: float = 3.0
    interaction_seconds: float = 900.0
    requests_per_second: int = 50
    attachment_seconds: float = 86_400.0  # how long an attachment's URL is valid
    active_threads: int = 1000  # of one guild
    old_edits_per_minute: int = 60  # edits of messages older than an hour; our own guess

    def changed(self, changes: dict[str, Any]) -> Self:
        """Return a copy with these changes; ValueError names an unknown setting or a wrong type."""
        known = {each.name: each.type for each in fields(self)}
        for name, value in changes.items():
            if name not in known:
                msg = f"unknown setting {name!r}; known: {', '.join(known)}"
                raise ValueError(msg)
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                msg = f"{name} must be a non-negative number, not {value!r}"
                raise ValueError(msg)
        return replace(self, **changes)
