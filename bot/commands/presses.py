"""What happens when somebody presses a button below an answer.

Only the one who asked may; anybody else reads a sentence that nobody else sees. A press reaches
every pod that is connected, and Discord takes the first response: the pod that can do something
responds at once, one that cannot waits a moment for that.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bot.commands.screens import barred_text
from bot.errors import DiscordDown, Stopped
from bot.limits.hourly import Caller
from bot.messages import Place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.commands.buttons import Mark
    from bot.desk import Desk
    from bot.messages import Author, Message
    from bot.metrics import Metrics

_NOT_YOURS = "Only the one who asked can press that."
_WRITTEN = "There is nothing left to stop: that answer is not being written any more."
_WRITING = "I am writing that answer already."
_GONE = "Your question is not there any more, so I cannot answer it again."
_AWAY = "Discord does not show me your question just now. Please press that again in a minute."
_PATIENCE, _LOOK = 1.2, 0.05  # seconds; Discord waits for a response for three
_RESTARTING = "I am being restarted. Please press that again in a minute."


class Archive(Protocol):
    """Where questions and their answers are found."""

    async def fetch(self, channel_id: int, message_id: int) -> Message | None:
        """Find one message; None when it is gone, or not for the bot to read."""

    async def answers(self, channel_id: int, question_id: int, me: int) -> list[int]:
        """List the messages of the bot that answer one, oldest first, as far as they are found."""


async def _nothing() -> None:
    """Acknowledge to nobody."""


@dataclass(frozen=True, slots=True)
class Press:
    """A press: of which button, by whom and where, below which message. `id` is its own."""

    id: int
    mark: Mark
    by: Author
    message_id: int
    me: int
    guild_id: int | None = None
    place: Place = field(default_factory=Place)


@dataclass(frozen=True, slots=True)
class Response:
    """How it went, and what Discord is told: a sentence for whoever pressed; whether buttons go.

    `then` has to be done after that, whether Discord took it or not: it begins the answer that was
    booked, which brings its own buttons.
    """

    outcome: str
    sentence: str | None = None
    clear: bool = False
    then: Callable[[], None] | None = field(default=None, compare=False)


class Presses:
    """Does what the buttons say."""

    def __init__(
        self, desk: Desk, archive: Archive, metrics: Metrics, patience: float = _PATIENCE
    ) -> None:
        self._desk = desk
        self._archive = archive
        self._metrics = metrics
        self._patience = patience

    async def pressed(
        self, press: Press, acknowledge: Callable[[], Awaitable[None]] = _nothing
    ) -> Response:
        """Do it; returns what Discord is to be told.

        `acknowledge` is called before anything that may take longer than Discord waits; where it
        raises, somebody else has the press.
        """
        if press.by.id != press.mark.asker_id:
            return Response("not_theirs", _NOT_YOURS)
        if press.mark.act == "stop":
            return await self._stop(press)
        return await self._again(press, acknowledge)

    def count(self, press: Press, outcome: str) -> None:
        """Count a press, once it is known who responded to it."""
        self._metrics.presses.labels(press.mark.act, outcome).inc()

    async def _stop(self, press: Press) -> Response:
        if await self._soon(lambda: self._desk.stop(press.mark.question_id, Stopped())):
            return Response("done")
        return Response("too_late", _WRITTEN, clear=True)

    async def _again(self, press: Press, acknowledge: Callable[[], Awaitable[None]]) -> Response:
        mark = press.mark
        barred = self._desk.bars(press.by, press.place, direct=press.guild_id is None)
        if barred is not None:  # since they asked: the lists hold for every answer
            return Response(barred, barred_text(barred))
        if not await self._soon(lambda: self._desk.takes(press.guild_id)):
            return Response("restarting", _RESTARTING)
        if self._desk.is_answering(mark.question_id):
            return Response("writing", _WRITING)
        # Before anything is awaited: of many presses at once none finds what another took.
        caller = Caller(press.by.id, mark.channel_id, press.guild_id)
        if (refused := self._desk.book(mark.question_id, caller)) is not None:
            return Response(refused.label, refused.sentence)
        response = None
        try:
            await acknowledge()
            response = await self._anew(press)
        finally:
            if response is None or response.then is None:
                self._desk.cancel(mark.question_id)
        return response

    async def _anew(self, press: Press) -> Response:
        mark, desk = press.mark, self._desk
        try:
            question = await self._archive.fetch(mark.channel_id, mark.question_id)
        except DiscordDown as error:
            return Response(error.label, _AWAY)
        if question is None:
            return Response("gone", _GONE, clear=True)
        parts = await self._archive.answers(question.channel_id, question.id, press.me)
        replaces = tuple(dict.fromkeys([*parts, press.message_id]))

        def begin() -> None:
            desk.again(question, press.me, stem=press.id, replaces=replaces)

        return Response("done", clear=True, then=begin)

    async def _soon(self, works: Callable[[], bool]) -> bool:
        """Try until it works: this pod may be about to take over, or another may respond first."""
        until = time.monotonic() + self._patience
        while not (well := works()) and time.monotonic() < until:  # noqa: ASYNC110  # for a second
            await asyncio.sleep(_LOOK)
        return well
