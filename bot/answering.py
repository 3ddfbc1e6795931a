"""One call from the taking to the last word: conversation, persona, model, reply."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bot.commands.buttons import button
from bot.errors import MayNotSpeak, SkyError, Unexpected, Unsaid
from bot.messages import Author
from bot.personas.cast import Cast, only_sky
from bot.reply.pages import Order
from bot.reply.writing import Reply
from bot.thinking import Thinking

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bot.call import Call
    from bot.conversation.chain import History
    from bot.conversation.files import Reader
    from bot.conversation.recall import Recall
    from bot.limits.allowance import Allowance
    from bot.limits.money import Reservation
    from bot.llm.model import Model
    from bot.metrics import Metrics
    from bot.reply.outbox import Outbox
    from bot.reply.pace import Pace
    from bot.safety.guard import Guard
    from bot.settings.schema import Settings

log = logging.getLogger(__name__)

_MUZZLED = "🤐"


@dataclass(frozen=True, slots=True)
class Kit:
    """What answering needs from around it."""

    settings: Settings
    recall: Recall
    history: History
    model: Model
    outbox: Outbox
    pace: Pace
    metrics: Metrics
    allowance: Allowance
    reader: Reader
    guard: Guard
    cast: Cast = field(default_factory=only_sky)


def _order(call: Call, kit: Kit) -> Order:
    question = call.message
    buttons = kit.settings.reply.buttons
    return Order(
        question,
        call.stem or question.id,
        replaces=call.replaces,
        stop=button("stop", question) if buttons else None,
        again=button("again", question) if buttons else None,
        title=call.prompt,
    )


class Answering:
    """One answer being made. It raises nothing but cancellation: whoever waits is told instead."""

    def __init__(self, call: Call, kit: Kit) -> None:
        self.call = self._call = call
        self._kit = kit
        self._reply = Reply(
            _order(call, kit), kit.outbox, kit.pace, kit.settings.reply, self._first_words
        )
        self.interrupt: Callable[[], None] = self._reply.interrupt

    def is_about(self, question_id: int) -> bool:
        """Whether this answers that message."""
        return self._call.message.id == question_id

    def stop(self, why: SkyError) -> None:
        """End the answer now, with a word on why."""
        self._reply.interrupt(why)

    async def run(self, reservation: Reservation) -> str:
        """Answer the call out of what was reserved for it; returns how that ended, as a label."""
        thinking = Thinking(self._call, self._kit, self._reply, reservation)
        outcome = await self._count(thinking.run())
        seconds = time.monotonic() - self._call.taken
        self._kit.metrics.answered.observe(seconds)
        log.info("answered", extra=self._ids(outcome=outcome, seconds=round(seconds, 3)))
        return outcome

    async def apologise(self, error: SkyError) -> None:
        """Tell `error` instead of an answer."""

        async def fail() -> None:
            raise error

        outcome = await self._count(fail())
        log.warning("turned away", extra=self._ids(outcome=outcome))

    async def _count(self, writing: Coroutine[None, None, None]) -> str:
        outcome = await self._outcome(writing)
        self._kit.metrics.answers.labels(outcome).inc()
        if outcome == MayNotSpeak.label:
            await self._sign()
        return outcome

    async def _outcome(self, writing: Coroutine[None, None, None]) -> str:
        try:
            if not self._kit.outbox.may_write(self._call.message):
                writing.close()  # the model is not asked for what nobody would read
                raise MayNotSpeak("the bot has no permission to write there")
            failed = await self._reply.deliver(writing, unasked=self._call.unasked)
        except Unsaid as error:
            log.warning("answer unsaid", extra=self._ids(error=error.label, detail=str(error)))
            return error.label
        self._remember()
        if failed is None:
            return "complete"
        defect = failed if isinstance(failed, Unexpected) else None
        ids = self._ids(error=failed.label, detail=str(failed))
        log.warning("answer failed", extra=ids, exc_info=defect)
        return failed.label

    async def _sign(self) -> None:
        """Show who called that they were heard, where the bot may not say so."""
        with contextlib.suppress(Unsaid):  # perhaps it may not even do that
            await self._kit.outbox.react(self._call.message, _MUZZLED)

    def _first_words(self) -> None:
        self._kit.metrics.first_words.observe(time.monotonic() - self._call.taken)

    def _remember(self) -> None:
        """Remember the answer whole; one with a picture is read from Discord, where that lies."""
        message, sent = self._call.message, self._reply.sent
        if self._reply.drew:
            return
        answer = replace(
            message,
            id=sent[0] if sent else 0,
            author=Author(self._call.me, self._call.persona.name, bot=True),
            text=self._reply.text,
            attachments=(),
            forwarded="",
            replies_to=message.id,
            replies_in=message.channel_id,
            replied_author_id=message.author.id,
        )
        self._kit.recall.put_answer(sent, answer)

    def _ids(self, **more: object) -> dict[str, object]:
        message = self._call.message
        return {
            "message_id": message.id,
            "channel_id": message.channel_id,
            "guild_id": message.guild_id,
            "parts": len(self._reply.sent),
            **more,
        }
