"""From a call to the model's words: the conversation, who answers, and what that costs.

What is said goes wherever the caller wants it: to Discord (answering.py) or to a terminal (chat).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from bot.ask import Ask
from bot.conversation.chain import follow
from bot.conversation.turns import attachments, words_of, write
from bot.decision import after_command, without_mention
from bot.errors import (
    BadPicture,
    ModelMissing,
    RequestRefused,
    SkyError,
    TooMuchText,
    Unexpected,
)
from bot.limits import ceiling
from bot.personas import character

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.call import Call
    from bot.conversation.chain import History
    from bot.conversation.files import Reader
    from bot.conversation.recall import Recall
    from bot.conversation.turns import Conversation
    from bot.limits.allowance import Allowance
    from bot.limits.money import Reservation
    from bot.llm.model import Model
    from bot.messages import Message, Picture
    from bot.safety.guard import Guard
    from bot.settings.schema import Settings

_SOURCES = 8  # pages that are named below an answer
_UNSEEN = "The language model can't open a picture here, so I answered without."
_HALF = "The language model can't read so much at once, so I left out what came before."
_NO_PICTURES = (BadPicture, ModelMissing, RequestRefused)  # what models say who cannot see


class Means(Protocol):
    """What thinking needs."""

    @property
    def settings(self) -> Settings:
        """The settings."""

    @property
    def recall(self) -> Recall:
        """The messages seen last."""

    @property
    def history(self) -> History:
        """Where the others are found."""

    @property
    def reader(self) -> Reader:
        """What opens attachments."""

    @property
    def model(self) -> Model:
        """Who answers."""

    @property
    def guard(self) -> Guard:
        """What may be asked and said."""

    @property
    def allowance(self) -> Allowance:
        """Where the money is counted."""


class Sink(Protocol):
    """Where an answer goes."""

    @property
    def text(self) -> str:
        """All that was said so far."""

    def say(self, piece: str) -> None:
        """Take the next piece of text."""

    def show(self, picture: Picture) -> None:
        """Take a picture."""

    def remark(self, sentence: str) -> None:
        """Take what is said in small print below."""


class Thinking:
    """One answer of the model, paid for out of what was reserved for it."""

    def __init__(self, call: Call, means: Means, sink: Sink, reservation: Reservation) -> None:
        self._call = call
        self._means = means
        self._sink = sink
        self._reservation = reservation

    async def run(self) -> None:
        """Let the model answer into the sink; raises a SkyError if that fails."""
        means, call = self._means, self._call
        if call.refused is not None:
            raise call.refused
        if call.persona.greeting and call.wordless:
            self._sink.say(call.persona.greeting)
            return
        limits = means.settings.conversation
        try:
            message, prompt = self._as_it_is_now()
            chain = await follow(message, means.recall, means.history, limits)
            wanted = attachments([message, *chain.linked, *chain.meant])
            async with means.reader.opened(wanted) as files:
                conversation = write(chain, prompt, files, me=call.me, limits=limits)
                for remark in conversation.remarks:
                    self._sink.remark(remark)
                await self._ask(self._question(conversation))
        except SkyError:
            raise
        except Exception as error:  # a defect of ours: somebody is waiting and is told
            raise Unexpected(type(error).__name__) from error

    async def _ask(self, ask: Ask) -> None:
        """Let the model answer what may be asked, and show what may be said of it."""
        guard, sources, charge = self._means.guard, list[str](), self._reservation.charge
        self._means.allowance.know(self._reservation, ask)
        await guard.admit(words_of(ask.turns[-1]), charge)
        async with guard.around(self._sink.say, charge) as say:
            await self._ask_with_less(ask, say, sources.append)
        if sources:
            self._sink.remark(_sources(sources))

    async def _ask_with_less(
        self, ask: Ask, say: Callable[[str], object], cite: Callable[[str], object]
    ) -> None:
        """Ask, and where the model cannot take it: without pictures, without the older half."""
        untold = {_UNSEEN, _HALF}
        while True:
            turns = ask.turns
            try:
                return await self._means.model.answer(
                    ask, say, self._sink.show, cite, self._reservation
                )
            except TooMuchText:
                if len(turns) == 1:
                    raise
                told, turns = _HALF, turns[len(turns) // 2 :]
            except _NO_PICTURES:
                if not any(turn.images for turn in turns):
                    raise
                told, turns = _UNSEEN, tuple(replace(turn, images=()) for turn in turns)
            ask = replace(ask, turns=turns)
            if told in untold:
                untold.remove(told)
                self._sink.remark(told)

    def _as_it_is_now(self) -> tuple[Message, str]:
        """Give the question and its words, as they were edited while the answer waited."""
        call = self._call
        now = self._means.recall.get(call.message.id)
        if now is None or now.text == call.message.text:
            return call.message, call.prompt
        asked = after_command(now.text, self._means.settings.discord.command)
        return now, asked.prompt if asked else without_mention(now.text, call.me)

    def _question(self, conversation: Conversation) -> Ask:
        persona, image = self._call.persona, self._call.image
        searches, drawings = ceiling.tool_calls(self._means.settings, persona, image=image)
        return Ask(
            character.instructions(persona, joining_in=self._call.unasked),
            conversation.turns,
            model=persona.model,
            temperature=persona.temperature,
            effort=persona.effort,
            tools=persona.tools,
            image=image,
            searches=searches,
            drawings=drawings,
        )


def _sources(urls: list[str]) -> str:
    """Name the pages that an answer rests on: each once, as it is, without a preview."""
    each_once = list(dict.fromkeys(urls))[:_SOURCES]
    return "Sources: " + " ".join(f"<{url}>" for url in each_once)
