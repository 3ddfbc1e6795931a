"""Handle presses of the buttons below an answer.

Only the person who asked may use them; anybody else gets a sentence that only they can see. Every
connected pod receives a press, and Discord accepts the first response. So the pod that can handle
the press responds at once, and a pod that cannot waits briefly for another one to do it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
import discord

from bot.admission.hourly_limits import Caller
from bot.discord import converters
from bot.discord.command_replies import denial_text
from bot.domain.errors import DiscordDown, Stopped
from bot.domain.messages import Location
from bot.reply import button_ids

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.answers.dispatcher import Dispatcher
    from bot.domain.messages import Author, Message
    from bot.observability.metrics import Metrics
    from bot.reply.button_ids import ButtonId

log = logging.getLogger(__name__)


_NOT_YOURS = "Only the person who asked can use that button."
_WRITTEN = "There is nothing to stop: that answer is already finished."
_WRITING = "I'm already writing that answer."
_GONE = "Your question has been deleted, so I can't answer it again."
_AWAY = "I can't read your question on Discord right now. Please try again in a minute."
_PATIENCE, _LOOK = 1.2, 0.05  # seconds; Discord waits for a response for three
_RESTARTING = "I'm restarting. Please try again in a minute."


class Archive(Protocol):
    """Where questions and their answers are found."""

    async def fetch(self, channel_id: int, message_id: int) -> Message | None:
        """Find a message; None if it was deleted or the bot may not read it."""

    async def answers(self, channel_id: int, question_id: int, me: int) -> list[int]:
        """List the bot's messages that answer a question, oldest first, as far as known."""


async def _nothing() -> None:
    """Acknowledge to nobody."""


@dataclass(frozen=True, slots=True)
class ButtonPress:
    """A press: of which button, by whom and where, below which message. `id` is its own."""

    id: int
    mark: ButtonId
    by: Author
    message_id: int
    me: int
    guild_id: int | None = None
    place: Location = field(default_factory=Location)


@dataclass(frozen=True, slots=True)
class PressResponse:
    """The outcome of a press, and the response: a sentence, and whether to `clear` the buttons.

    `then` must be called afterwards, even if Discord refuses the response: it starts the answer
    that was booked, which has buttons of its own.
    """

    outcome: str
    sentence: str | None = None
    clear: bool = False
    then: Callable[[], None] | None = field(default=None, compare=False)


class ButtonHandler:
    """Carries out Stop and Again."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        archive: Archive,
        metrics: Metrics,
        patience: float = _PATIENCE,
    ) -> None:
        self._dispatcher = dispatcher
        self._archive = archive
        self._metrics = metrics
        self._patience = patience

    async def pressed(
        self, press: ButtonPress, acknowledge: Callable[[], Awaitable[None]] = _nothing
    ) -> PressResponse:
        """Handle a press; return the response for Discord.

        `acknowledge` is called before anything that may take longer than Discord waits; if it
        raises, another pod has responded to the press.
        """
        if press.by.id != press.mark.asker_id:
            return PressResponse("not_theirs", _NOT_YOURS)
        if press.mark.act == "stop":
            return await self._stop(press)
        return await self._again(press, acknowledge)

    def count(self, press: ButtonPress, outcome: str) -> None:
        """Count a press, once it is known who responded to it."""
        self._metrics.button_handler.labels(press.mark.act, outcome).inc()

    async def _stop(self, press: ButtonPress) -> PressResponse:
        if await self._soon(lambda: self._dispatcher.stop(press.mark.question_id, Stopped())):
            return PressResponse("done")
        return PressResponse("too_late", _WRITTEN, clear=True)

    async def _again(
        self, press: ButtonPress, acknowledge: Callable[[], Awaitable[None]]
    ) -> PressResponse:
        mark = press.mark
        denial = self._dispatcher.denies(press.by, press.place, direct=press.guild_id is None)
        if denial is not None:  # the lists apply to every answer, also if they changed meanwhile
            return PressResponse(denial, denial_text(denial))
        if not await self._soon(lambda: self._dispatcher.takes(press.guild_id)):
            return PressResponse("restarting", _RESTARTING)
        # Discord shows the last edit, with this button, before it confirms it to the bot.
        await self._soon(lambda: not self._dispatcher.is_finishing(mark.question_id))
        if self._dispatcher.is_answering(mark.question_id):
            return PressResponse("writing", _WRITING)
        # Before the first await, so that concurrent presses cannot book the same answer twice.
        caller = Caller(press.by.id, mark.channel_id, press.guild_id)
        if (refused := self._dispatcher.book(mark.question_id, caller)) is not None:
            return PressResponse(refused.label, refused.sentence)
        response = None
        try:
            await acknowledge()
            response = await self._anew(press)
        finally:
            if response is None or response.then is None:
                self._dispatcher.cancel(mark.question_id)
        return response

    async def _anew(self, press: ButtonPress) -> PressResponse:
        mark, dispatcher = press.mark, self._dispatcher
        try:
            question = await self._archive.fetch(mark.channel_id, mark.question_id)
        except DiscordDown as error:
            return PressResponse(error.label, _AWAY)
        if question is None:
            return PressResponse("gone", _GONE, clear=True)
        parts = await self._archive.answers(question.channel_id, question.id, press.me)
        replaces = tuple(dict.fromkeys([*parts, press.message_id]))

        def begin() -> None:
            dispatcher.again(question, press.me, nonce_base=press.id, replaces=replaces)

        return PressResponse("done", clear=True, then=begin)

    async def _soon(self, works: Callable[[], bool]) -> bool:
        """Try until it works: this pod may be about to take over, or another may respond first."""
        until = time.monotonic() + self._patience
        while not (well := works()) and time.monotonic() < until:  # noqa: ASYNC110  # for a second
            await asyncio.sleep(_LOOK)
        return well


_TAKEN, _LATE = 40060, 10062  # another pod responded; the three seconds are over


def to_button_press(interaction: discord.Interaction, me: int) -> ButtonPress | None:
    """Read a press of one of an answer's buttons; None if it is something else."""
    if interaction.type is not discord.InteractionType.component or interaction.message is None:
        return None
    data: Mapping[str, Any] = interaction.data or {}
    mark = button_ids.read(str(data.get("custom_id", "")))
    if mark is None:
        return None
    return ButtonPress(
        interaction.id,
        mark,
        converters.author(interaction.user),
        interaction.message.id,
        me,
        interaction.guild_id,
        converters.place(interaction.channel, interaction.guild),
    )


async def respond(
    interaction: discord.Interaction, press: ButtonPress, button_handler: ButtonHandler
) -> None:
    """Handle a press and send the response to Discord."""
    outcome = "failed"

    async def acknowledge() -> None:
        await interaction.response.defer()

    response: PressResponse | None = None
    try:
        response = await button_handler.pressed(press, acknowledge)
        await _tell(interaction, response)
    except discord.HTTPException as error:
        outcome = {_TAKEN: "elsewhere", _LATE: "late"}.get(error.code, outcome)
        if outcome != "elsewhere":
            log.warning("button press not acknowledged", extra={"code": error.code})
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        log.warning("button press not acknowledged", extra={"error": type(error).__name__})
    else:
        outcome = response.outcome
    if response is not None and response.then is not None:
        outcome = response.outcome  # it was acknowledged; only the old buttons were not removed
        response.then()
    button_handler.count(press, outcome)


async def _tell(interaction: discord.Interaction, response: PressResponse) -> None:
    acknowledged = interaction.response.is_done()
    if response.clear and acknowledged:
        await interaction.edit_original_response(view=None)
    elif response.clear:
        await interaction.response.edit_message(view=None)
    elif response.sentence and not acknowledged:
        await interaction.response.send_message(response.sentence, ephemeral=True)
        return
    elif not acknowledged:
        await interaction.response.defer()
    if response.sentence:
        await interaction.followup.send(response.sentence, ephemeral=True)
