"""One call from the taking to the last word: conversation, persona, model, reply."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bot import personas
from bot.buttons import button
from bot.cast import Cast, only_sky
from bot.chain import follow
from bot.conversation import attachments, write
from bot.decision import after_command, without_mention
from bot.errors import MayNotSpeak, SkyError, Unexpected, Unsaid
from bot.llm_streams import Ask
from bot.messages import Author
from bot.pages import Order
from bot.reply import Reply
from bot.usage import reckoned

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bot.allowance import Allowance
    from bot.chain import History
    from bot.channels import Outbox
    from bot.conversation import Conversation
    from bot.files import Reader
    from bot.guard import Guard
    from bot.llm import Model
    from bot.messages import Message
    from bot.metrics import Metrics
    from bot.pace import Pace
    from bot.personas import Persona
    from bot.recall import Recall
    from bot.settings import Settings

log = logging.getLogger(__name__)

_MUZZLED = "🤐"
_SOURCES = 8  # pages that are named below an answer


@dataclass(frozen=True, slots=True)
class Call:
    """A message that the bot answers, the words in it, the bot's own id, and when it was taken.

    `persona` is who answers; `image` says that a picture is asked for, `unasked` that the bot joins
    in by itself. `refused` is what is told instead of an answer. `replaces` are the messages of an
    earlier answer, in whose place this one comes; `stem` names its messages if the question did so
    already, for the earlier ones.
    """

    message: Message
    prompt: str
    me: int
    taken: float
    persona: Persona = personas.DEFAULT
    image: bool = False
    unasked: bool = False
    refused: SkyError | None = None
    replaces: tuple[int, ...] = ()
    stem: int | None = None

    @property
    def wordless(self) -> bool:
        """Whether nothing was asked: no words, no file, and no other message that is meant."""
        asked = self.prompt or self.message.attachments or self.message.forwarded
        return not asked and self.message.replies_to is None


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
        self._call = call
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

    async def run(self) -> None:
        """Answer the call."""
        outcome = await self._count(self._write())
        seconds = time.monotonic() - self._call.taken
        self._kit.metrics.answered.observe(seconds)
        log.info("answered", extra=self._ids(outcome=outcome, seconds=round(seconds, 3)))

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
            failed = await self._reply.deliver(writing)
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

    async def _write(self) -> None:
        kit, call = self._kit, self._call
        if call.refused is not None:
            raise call.refused
        if call.persona.greeting and call.wordless:
            self._reply.say(call.persona.greeting)
            return
        limits = kit.settings.conversation
        try:
            message, prompt = self._as_it_is_now()
            chain = await follow(message, kit.recall, kit.history, limits)
            wanted = attachments([message, *chain.linked, *chain.messages])
            async with kit.reader.opened(wanted) as files:
                conversation = write(chain, prompt, files, me=call.me, limits=limits)
                for remark in conversation.remarks:
                    self._reply.remark(remark)
                await self._think(self._ask(conversation))
        except SkyError:
            raise
        except Exception as error:  # a defect of ours: somebody is waiting and is told
            raise Unexpected(type(error).__name__) from error

    async def _think(self, ask: Ask) -> None:
        """Let the model answer what may be asked, and show what may be said of it."""
        guard, sources = self._kit.guard, list[str]()
        await guard.admit(ask.turns[-1].text)
        async with guard.around(self._reply.say) as say:
            await self._pay(ask, say, sources.append)
        if sources:
            self._reply.remark(_sources(sources))

    async def _pay(
        self, ask: Ask, say: Callable[[str], object], cite: Callable[[str], object]
    ) -> None:
        """Count the money for an answer, however it ends."""
        kit, reply = self._kit, self._reply
        purse = kit.allowance.purse
        try:
            purse.charge(await kit.model.answer(ask, say, reply.show, cite))
        except SkyError as error:
            if error.usage is not None:
                purse.charge(error.usage)
            raise
        except asyncio.CancelledError:  # stopped half-way: the provider tells nothing then
            purse.charge(reckoned(ask.model or kit.settings.openai.model, ask, reply.text))
            raise

    def _as_it_is_now(self) -> tuple[Message, str]:
        """Give the question and its words, as they were edited while the answer waited."""
        call = self._call
        now = self._kit.recall.get(call.message.id)
        if now is None or now.text == call.message.text:
            return call.message, call.prompt
        asked = after_command(now.text, self._kit.settings.discord.command)
        return now, asked.prompt if asked else without_mention(now.text, call.me)

    def _ask(self, conversation: Conversation) -> Ask:
        persona = self._call.persona
        return Ask(
            personas.instructions(persona, joining_in=self._call.unasked),
            conversation.turns,
            model=persona.model,
            temperature=persona.temperature,
            effort=persona.effort,
            tools=persona.tools,
            image=self._call.image,
        )

    def _first_words(self) -> None:
        self._kit.metrics.first_words.observe(time.monotonic() - self._call.taken)

    def _remember(self) -> None:
        message, sent = self._call.message, self._reply.sent
        answer = replace(
            message,
            id=sent[0] if sent else 0,
            author=Author(self._call.me, self._call.persona.name, bot=True),
            text=self._reply.text,
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


def _sources(urls: list[str]) -> str:
    """Name the pages that an answer rests on: each once, as it is, without a preview."""
    each_once = list(dict.fromkeys(urls))[:_SOURCES]
    return "Sources: " + " ".join(f"<{url}>" for url in each_once)
