"""The steps of one answer: history, attachments, prompt, checks, model, reply, outcome.

`AnswerPipeline` writes into any `Sink`: a Discord reply, or a terminal (cli/chat.py). `AnswerTask`
delivers an answer on Discord.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from bot.admission import budget
from bot.context.history import read_history
from bot.context.prompt import attachments, build_prompt, thread_title, words_of
from bot.domain.errors import (
    DiscordDown,
    MayNotSpeak,
    SkyError,
    Unexpected,
    Unsaid,
)
from bot.domain.messages import Author
from bot.domain.model_request import Citation, Image, ModelRequest, Reduced, Text
from bot.personas import persona as character
from bot.personas.persona import PersonaRegistry, only_sky
from bot.reply.button_ids import button
from bot.reply.message_series import ReplyTarget
from bot.reply.stream import ReplyStream
from bot.triggers.match import after_command, without_mention

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bot.admission.admission_control import AdmissionControl, AnswerRequest
    from bot.admission.budget import Reservation
    from bot.context.attachments import AttachmentReader
    from bot.context.history import History
    from bot.context.message_cache import MessageCache
    from bot.context.prompt import Prompt
    from bot.context.web_pages import WebPage, WebPages
    from bot.domain.messages import Message, Picture
    from bot.domain.model_request import Turn
    from bot.llm.openai_client import Model
    from bot.moderation.moderation_pipeline import ModerationPipeline
    from bot.observability.metrics import Metrics
    from bot.reply.edit_rates import EditRate
    from bot.reply.message_series import MessageSink
    from bot.settings.schema import Settings

log = logging.getLogger(__name__)


_LEFT_OUT = "(left out: it did not pass moderation)"
_SOURCES = 8  # pages that are named below an answer
_REDUCED = {
    Reduced.WITHOUT_PICTURES: (
        "The language model can't open a picture here, so I answered without it."
    ),
    Reduced.WITHOUT_OLDER_HALF: (
        "The language model can't read that much at once, so I left out earlier messages."
    ),
}


class PipelineServices(Protocol):
    """What an answer needs of the bot."""

    @property
    def settings(self) -> Settings:
        """The settings."""

    @property
    def cache(self) -> MessageCache:
        """The newest messages."""

    @property
    def history(self) -> History:
        """Finds messages that are not in the cache."""

    @property
    def reader(self) -> AttachmentReader:
        """Opens attachments."""

    @property
    def pages(self) -> WebPages | None:
        """Reads the pages that people link to; None if that is off."""

    @property
    def model(self) -> Model:
        """The language model."""

    @property
    def guard(self) -> ModerationPipeline:
        """Checks questions and answers."""

    @property
    def admission(self) -> AdmissionControl:
        """The hourly limits and the budget."""


class Sink(Protocol):
    """Receives an answer."""

    @property
    def text(self) -> str:
        """The text so far."""

    def say(self, piece: str) -> None:
        """Take the next piece of text."""

    def show(self, picture: Picture) -> None:
        """Take a picture."""

    def remark(self, sentence: str) -> None:
        """Take a remark to show in small print below."""

    def know_links(self, text: str) -> None:
        """Mark the links in `text` as known, so that they may have previews."""


class AnswerPipeline:
    """One answer of the model, charged to its reservation."""

    def __init__(
        self,
        request: AnswerRequest,
        services: PipelineServices,
        sink: Sink,
        reservation: Reservation,
    ) -> None:
        self._request = request
        self._services = services
        self._sink = sink
        self._reservation = reservation

    async def run(self) -> None:
        """Write the model's answer to the sink; raises a SkyError if that fails."""
        services, request = self._services, self._request
        if request.refused is not None:
            raise request.refused
        if request.persona.greeting and request.wordless:
            self._sink.know_links(request.persona.greeting)
            self._sink.say(request.persona.greeting)
            return
        limits = services.settings.conversation
        try:
            message, prompt = self._as_it_is_now()
            chain = await read_history(message, services.cache, services.history, limits)
            wanted = attachments([message, *chain.linked, *chain.meant])
            pages: list[WebPage] = []
            # Who did not call the bot did not ask it to open a link either.
            if services.pages is not None and not request.ambient:
                pages = await services.pages.linked(chain, request.me)
            async with services.reader.opened(wanted) as files:
                conversation = build_prompt(
                    chain, prompt, files, me=request.me, limits=limits, pages=pages
                )
                for remark in conversation.remarks:
                    self._sink.remark(remark)
                await self._ask(self._question(conversation))
        except SkyError:
            raise
        except Exception as error:  # a bug: tell the person who is waiting
            raise Unexpected(type(error).__name__) from error

    async def _ask(self, request: ModelRequest) -> None:
        """Ask the model if moderation allows the question; show what it allows of the answer."""
        services, sink, charge = self._services, self._sink, self._reservation.charge
        sources = list[str]()
        services.admission.know(self._reservation, request)
        known = (turn.text for turn in request.turns if not turn.quoted)
        for text in (request.instructions, *known):
            sink.know_links(text)
        await services.guard.admit(words_of(request.turns[-1]), charge)
        request = replace(request, turns=await self._allowed(request.turns))
        answer = contextlib.aclosing(services.model.stream(request, self._reservation))
        async with services.guard.around(sink.say, charge) as say, answer as events:
            async for event in events:
                match event:
                    case Text():
                        say(event.text)
                    case Image():
                        sink.show(event.picture)
                    case Citation():
                        sources.append(event.url)
                        sink.know_links(event.url)
                    case Reduced():
                        sink.remark(_REDUCED[event])
        if sources:
            sink.remark(_sources(sources))

    async def _allowed(self, turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
        """Return the turns without the words and pictures that did not pass the checks."""
        earlier = [turn for turn in turns[:-1] if turn.role == "user"]
        texts = [words_of(turn) for turn in earlier]
        withheld = await self._services.guard.withheld(texts, self._reservation.charge)
        if not withheld:
            return turns
        left_out = {id(earlier[number]): texts[number] for number in withheld}
        return tuple(
            replace(turn, text=turn.text.removesuffix(left_out[id(turn)]) + _LEFT_OUT, images=())
            if id(turn) in left_out
            else turn
            for turn in turns
        )

    def _as_it_is_now(self) -> tuple[Message, str]:
        """Return the question and its text, including edits made while the answer waited."""
        request = self._request
        now = self._services.cache.get(request.message.id)
        if now is None or now.text == request.message.text:
            return request.message, request.prompt
        asked = after_command(now.text, self._services.settings.discord.command)
        return now, asked.prompt if asked else without_mention(now.text, request.me, now.own_role)

    def _question(self, conversation: Prompt) -> ModelRequest:
        persona, image = self._request.persona, self._request.image
        searches, drawings = budget.tool_calls(self._services.settings, persona, image=image)
        return ModelRequest(
            character.instructions(persona, joining_in=self._request.ambient),
            conversation.turns,
            model=persona.model,
            temperature=persona.temperature,
            effort=persona.effort,
            tools=persona.tools,
            image=image,
            searches=searches,
            drawings=drawings,
            name=persona.name,
        )


def _sources(urls: list[str]) -> str:
    """List the pages that an answer cites: each once, with its full address, no preview."""
    each_once = list(dict.fromkeys(urls))[:_SOURCES]
    return "Sources: " + " ".join(f"<{url}>" for url in each_once)


_CANNOT_REPLY = "🤐"


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the bot that an answer uses."""

    settings: Settings
    cache: MessageCache
    history: History
    model: Model
    sink: MessageSink
    edit_rate: EditRate
    metrics: Metrics
    admission: AdmissionControl
    reader: AttachmentReader
    guard: ModerationPipeline
    personas: PersonaRegistry = field(default_factory=only_sky)
    withholds: Callable[[SkyError], bool] = lambda _: False  # which failures are not told here
    pages: WebPages | None = None


class Outcome(enum.Enum):
    """How an answer ended."""

    COMPLETE = enum.auto()  # the whole answer was delivered
    FAILED = enum.auto()  # the person reads why there is no answer, or not all of it
    UNDELIVERED = enum.auto()  # Discord did not take it in time; it may take it later
    FORBIDDEN = enum.auto()  # Discord does not let the bot write there, or the channel is gone
    GIVEN_BACK = enum.auto()  # it failed on trial: the predecessor answers, and nobody was told


class AnswerTask:
    """One answer on Discord. It raises only CancelledError; errors are told to the person."""

    def __init__(self, request: AnswerRequest, services: Services) -> None:
        self.request = self._request = request
        self.failure: SkyError | None = None  # of an answer that was begun
        self._services = services
        question, reply = request.message, services.settings.reply
        may_thread = request.in_thread or reply.long == "thread"
        target = ReplyTarget(
            question,
            request.nonce_base or question.id,
            replaces=request.replaces,
            stop=(button("stop", question),) if reply.buttons else (),
            again=(button("again", question),) if reply.buttons else (),
            title=thread_title(request.prompt, question) if may_thread else "",
            in_thread=request.in_thread,
        )
        self._reply = ReplyStream(
            target,
            services.sink,
            services.edit_rate,
            reply,
            self._first_words,
        )
        self.interrupt: Callable[[], None] = self._reply.interrupt

    def is_about(self, question_id: int) -> bool:
        """Whether this answers that message."""
        return self._request.message.id == question_id

    @property
    def finishing(self) -> bool:
        """Whether the end of the answer is on its way to Discord, or there already."""
        return self._reply.finishing

    @property
    def messages(self) -> tuple[int, ...]:
        """The ids of all messages that show this answer, or an earlier one in its place."""
        return tuple(sorted({*self._request.replaces, *self._reply.sent}))

    def stop(self, why: SkyError) -> None:
        """Stop the answer now, with a sentence that says why."""
        self._reply.interrupt(why)

    async def delete(self) -> None:
        """Delete the messages of an answer that was aborted."""
        await self._reply.delete()

    def withholds(self, error: SkyError) -> bool:
        """Whether such a failure is not told, because a predecessor answers instead.

        It cannot do so where a button was pressed, which only this process knows of, and it does
        not join in again where this process has begun to.
        """
        request = self._request
        if request.nonce_base is not None or (request.ambient and self._reply.sent):
            return False
        return self._services.withholds(error)

    async def run(self, reservation: Reservation) -> Outcome:
        """Answer the request, charged to `reservation`; return the outcome."""
        pipeline = AnswerPipeline(self._request, self._services, self._reply, reservation)
        meter = reservation.meter if self._services.settings.reply.cost_line else None
        outcome, label = await self._deliver(pipeline.run(), lambda: meter.line if meter else "")
        seconds = time.monotonic() - self._request.taken
        self._services.metrics.answered.observe(seconds)
        facts = {"outcome": label, "seconds": round(seconds, 3), "parts": len(self._reply.sent)}
        log.info("request handled", extra=facts)
        return outcome

    async def refuse(self, error: SkyError) -> None:
        """Send the sentence of `error` instead of an answer."""

        async def fail() -> None:
            raise error

        self._reply.stay_in_channel()
        _, label = await self._deliver(fail())
        log.warning("refusal sent", extra={"outcome": label})

    async def _deliver(
        self, writing: Coroutine[None, None, None], footer: Callable[[], str] = lambda: ""
    ) -> tuple[Outcome, str]:
        """Write the reply; returns how that ended, with the metric's label for it."""
        try:
            if not self._may_write():
                writing.close()  # no request to the model for an answer that nobody could read
                raise MayNotSpeak("the bot has no permission to write there")
            failed = await self._reply.deliver(
                writing, self.withholds, ambient=self._request.ambient, footer=footer
            )
        except Unsaid as error:
            if self._may_write():
                self.failure = error
            facts = {"error": error.label, "detail": str(error), "parts": len(self._reply.sent)}
            log.warning("reply could not be delivered", extra=facts)
            late = isinstance(error, DiscordDown)
            outcome, label = (Outcome.UNDELIVERED if late else Outcome.FORBIDDEN), error.label
        else:
            self.failure = failed
            self._remember()
            outcome, label = self._outcome(failed)
        if self.failure is not None and self.withholds(self.failure):
            outcome, label = Outcome.GIVEN_BACK, "given_back"
        self._services.metrics.answers.labels(label).inc()
        if label == MayNotSpeak.label:
            await self._react_unable()
        return outcome, label

    def _may_write(self) -> bool:
        request = self._request
        return self._services.sink.may_write(request.message, in_thread=request.in_thread)

    def _outcome(self, failed: SkyError | None) -> tuple[Outcome, str]:
        if failed is None:
            return Outcome.COMPLETE, "complete"
        defect = failed if isinstance(failed, Unexpected) else None
        facts = {"error": failed.label, "detail": str(failed)}
        log.warning("answer failed", extra=facts, exc_info=defect)
        return Outcome.FAILED, failed.label

    async def _react_unable(self) -> None:
        """React to the call where the bot may not send messages."""
        with contextlib.suppress(Unsaid):  # reactions may be forbidden as well
            await self._services.sink.react(self._request.message, _CANNOT_REPLY)

    def _first_words(self) -> None:
        self._services.metrics.first_words.observe(time.monotonic() - self._request.taken)

    def _remember(self) -> None:
        """Store the whole answer; one with a picture is read from Discord later."""
        message, sent = self._request.message, self._reply.sent
        if self._reply.drew:
            return
        there = self._reply.began_in  # perhaps a thread on the question
        answer = replace(
            message,
            id=sent[0] if sent else 0,
            channel_id=there,
            thread_of=message.thread_of if there == message.channel_id else message.channel_id,
            author=Author(self._request.me, self._request.persona.name, bot=True),
            text=self._reply.text,
            attachments=(),
            forwarded="",
            extras=(),
            replies_to=message.id,
            replies_in=message.channel_id,
            replied_author_id=message.author.id,
        )
        self._services.cache.put_answer(sent, answer)
