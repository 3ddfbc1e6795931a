"""The circuit breaker: after repeated failures, a model is not asked for a while."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bot.domain.errors import ModelPaused

if TYPE_CHECKING:
    from collections.abc import Callable


class Breaker:
    """The circuit breaker of one model: while a provider is down, people are told at once.

    It opens after `failures` in a row (0: never), for `seconds`. After that, one question is let
    through as a test; if it succeeds, all questions are let through again.
    """

    def __init__(
        self, failures: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = failures
        self._seconds = seconds
        self._clock = clock
        self._failures = 0
        self._trying: float | None = None  # when the current test request began, while it is open
        self._opened = 0.0

    @property
    def open(self) -> bool:
        """Whether people are told at once that the model is down."""
        return bool(self._most) and self._failures >= self._most

    def admit(self) -> None:
        """Let a question through, or raise ModelPaused."""
        if not self.open:
            return
        now = self._clock()
        # The test request may be cancelled silently: after a while another one is let through.
        since = self._opened if self._trying is None else self._trying
        left = since + self._seconds - now
        if left > 0:
            raise ModelPaused(left)
        self._trying = now

    def failed(self) -> None:
        """Note that the model is down."""
        self._failures += 1
        self._opened, self._trying = self._clock(), None

    def succeeded(self) -> None:
        """Note that the model responded, even if with a refusal."""
        self._failures, self._trying = 0, None
