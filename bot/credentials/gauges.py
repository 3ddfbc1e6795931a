"""What the operator sees of one credential: never its value, only that value's digest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bot.credentials.forms import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.credentials.held import Held
    from bot.metrics import Metrics


class CredentialGauges:
    """The series of one credential."""

    def __init__(self, name: str, metrics: Metrics, usable: Callable[[], bool]) -> None:
        self._name = name
        self._metrics = metrics
        self._labels: tuple[str, ...] | None = None
        metrics.credential.labels(name).set(0)
        metrics.credential_usable.labels(name).set_function(lambda: float(usable()))

    def taken(self, held: Held) -> None:
        """Show a value that was taken now."""
        began = time.monotonic()
        metrics = self._metrics
        metrics.credential.labels(self._name).set(1)
        metrics.credential_changes.labels(self._name).inc()
        metrics.credential_age.labels(self._name).set_function(lambda: time.monotonic() - began)
        self.show(held)

    def show(self, held: Held) -> None:
        """Show where the value came from, and when it expires."""
        info, expiry = self._metrics.credential_info, self._metrics.credential_expiry
        if self._labels is not None:
            info.remove(*self._labels)
        version = held.version.id if held.version else ""
        self._labels = (self._name, held.source, digest(held.value), version)
        info.labels(*self._labels).set(1)
        expires = held.version.expires if held.version else None
        if expires is None:
            expiry.labels(self._name)
            expiry.remove(self._name)
        else:
            at = expires
            expiry.labels(self._name).set_function(lambda: at - time.time())

    def refused(self) -> None:
        """Count a refusal by the service."""
        self._metrics.credential_refused.labels(self._name).inc()
        self._metrics.credential_refusal.labels(self._name).set_to_current_time()

    def rejected(self) -> None:
        """Count a value that was not even tried."""
        self._metrics.credential_rejected.labels(self._name).inc()
