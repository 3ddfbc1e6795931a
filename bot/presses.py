"""What happens when somebody presses a button below an answer.

Only the one who asked may; anybody else reads a sentence that nobody else sees. A press reaches
every pod that is connected, and Discord takes the first response: the pod that can do something
responds at once, one that cannot waits a moment for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bot.errors import Stopped

if TYPE_CHECKING:
    from bot.buttons import Mark
    from bot.desk import Desk
    from bot.messages import Message
    from bot.metrics import Metrics

_NOT_YOURS = "Only the one who asked can press that."
_WRITTEN = "There is nothing left to stop: that answer is not being written any more."
_WRITING = "I am writing that answer already."
_GONE = "Your question is not there any more, so I cannot answer it again."
_RESTARTING = "I am being restarted. Please press that again in a minute."


class Archive(Protocol):
    """Where questions and their answers are found."""

    async def fetch(self, channel_id: int, message_id: int) -> Message | None:
        """Find one message; None when it is gone, or not for the bot to read."""

    async def answers(self, channel_id: int, question_id: int, me: int) -> list[int]:
        """List the messages of the bot that answer one, oldest first, as far as they are found."""


@dataclass(frozen=True, slots=True)
class Press:
    """A press: of which button, by whom, below which message. `id` is the press's own."""

    id: int
    mark: Mark
    user_id: int
    message_id: int
    me: int
    guild_id: int | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """What Discord is to be told: a sentence for the one who pressed, and whether buttons go.

    `patient` means that another pod may know better and is given a moment.
    """

    sentence: str | None = None
    clear: bool = False
    patient: bool = False


class Presses:
    """Does what the buttons say."""

    def __init__(self, desk: Desk, archive: Archive, metrics: Metrics) -> None:
        self._desk = desk
        self._archive = archive
        self._metrics = metrics

    async def pressed(self, press: Press) -> Response:
        """Do it; returns what Discord is to be told."""
        act = press.mark.act
        if press.user_id != press.mark.asker_id:
            outcome, response = "not_theirs", Response(_NOT_YOURS)
        elif act == "stop":
            outcome, response = self._stop(press)
        else:
            outcome, response = await self._again(press)
        self._metrics.presses.labels(act, outcome).inc()
        return response

    def _stop(self, press: Press) -> tuple[str, Response]:
        if self._desk.stop(press.mark.question_id, Stopped()):
            return "done", Response()
        return "too_late", Response(_WRITTEN, clear=True, patient=True)

    async def _again(self, press: Press) -> tuple[str, Response]:
        mark = press.mark
        if not self._desk.takes(press.guild_id):
            return "restarting", Response(_RESTARTING, patient=True)
        if self._desk.is_answering(mark.question_id):
            return "writing", Response(_WRITING)
        question = await self._archive.fetch(mark.channel_id, mark.question_id)
        if question is None:
            return "gone", Response(_GONE, clear=True)
        parts = await self._archive.answers(mark.channel_id, mark.question_id, press.me)
        replaces = tuple(dict.fromkeys([*parts, press.message_id]))
        refused = self._desk.again(question, press.me, stem=press.id, replaces=replaces)
        if refused is not None:
            return refused.label, Response(refused.sentence)
        return "done", Response(clear=True)
