"""Asks the provider's moderation whether a text may be said, and what if it cannot be asked."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal, Protocol

from bot import tokens
from bot.errors import AnswerWithheld, QuestionWithheld, SkyError, Unchecked
from bot.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.metrics import Metrics
    from bot.settings.safety import Safety

log = logging.getLogger(__name__)

Whose = Literal["input", "output"]


class Judge(Protocol):
    """Who is asked: the model's provider."""

    async def flagged(self, text: str, model: str) -> bool:
        """Whether `text` is against its rules; raises SkyError if that cannot be said."""


class Moderation:
    """The settings' choice: questions, answers, both or none."""

    def __init__(self, judge: Judge, settings: Safety, metrics: Metrics) -> None:
        self._judge = judge
        self._settings = settings
        self._metrics = metrics

    def watches(self, whose: Whose) -> bool:
        """Whether questions, or answers, are checked."""
        return self._settings.moderation in {whose, "both"}

    async def check(self, text: str, whose: Whose, charge: Callable[[Usage], object]) -> None:
        """Raise QuestionWithheld, AnswerWithheld or Unchecked for what may not be said.

        No moderation tells what it used up, so `charge` is handed an estimate.
        """
        if not text.strip():
            return
        model = self._settings.moderation_model
        charge(Usage(model, moderated=tokens.likely(text)))
        try:
            flagged = await self._judge.flagged(text, model)
        except SkyError as error:
            self._metrics.moderations.labels(whose, "failed").inc()
            log.warning("moderation failed", extra={"error": error.label, "whose": whose})
            if self._settings.moderation_down == "refuse":
                raise Unchecked(error.label) from error
            return
        self._metrics.moderations.labels(whose, "flagged" if flagged else "passed").inc()
        if flagged:
            raise QuestionWithheld if whose == "input" else AnswerWithheld
