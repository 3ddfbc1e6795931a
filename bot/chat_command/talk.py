"""One conversation in a terminal: what is typed goes the way that a direct message goes."""

from __future__ import annotations

import re
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from bot.call import Call
from bot.conversation.recall import Recall
from bot.conversation.turns import EPOCH
from bot.decision import Answer, after_command
from bot.errors import NothingSaid, OverLimit, SkyError, UnknownPersona
from bot.messages import Author, Message, Place
from bot.reply.blank import is_blank
from bot.thinking import Thinking

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.conversation.files import Reader
    from bot.limits.allowance import Allowance
    from bot.llm.model import Model
    from bot.messages import Picture
    from bot.personas.cast import Cast
    from bot.safety.guard import Guard
    from bot.settings.schema import Settings

_ME, _YOU, _CHANNEL = 1, 2, 3
_WHEN = re.compile(r"<t:(\d+):R>")


class Nothing:
    """A channel of which nobody knows more than was said here."""

    async def fetch(self, channel_id: int, message_id: int) -> Message | None:
        """See chain.History."""
        del channel_id, message_id
        return None  # as its contract says

    async def recent(self, channel_id: int, before: int, most: int) -> list[Message] | None:
        """See chain.History."""
        del channel_id, before, most
        return []

    async def may_read(self, message: Message, channel_id: int) -> bool:
        """See chain.History. All that there is was said to whoever sits at the terminal."""
        return channel_id == message.channel_id


@dataclass(frozen=True, slots=True)
class Means:
    """See thinking.Means."""

    settings: Settings
    reader: Reader
    model: Model
    allowance: Allowance
    guard: Guard
    recall: Recall = field(default_factory=Recall)
    history: Nothing = field(default_factory=Nothing)


class Page:
    """Where an answer appears: piece by piece, pictures as files, remarks below."""

    def __init__(self, out: Callable[[str], object]) -> None:
        self._out = out
        self._pieces: list[str] = []
        self._below: list[str] = []
        self._spoke = self._drew = False  # whether there is a word to see, or a picture

    @property
    def text(self) -> str:
        """See thinking.Sink."""
        return "".join(self._pieces)

    @property
    def empty(self) -> bool:
        """Whether there is neither a word nor a picture."""
        return not self._spoke and not self._drew

    def say(self, piece: str) -> None:
        """See thinking.Sink."""
        self._pieces.append(piece)
        if self._spoke:
            self._out(piece)
        elif not is_blank(piece):
            self._spoke = True
            self._out(self.text)

    def show(self, picture: Picture) -> None:
        """See thinking.Sink."""
        self._drew = True
        path = Path(tempfile.mkdtemp(prefix="sky-")) / picture.name
        path.write_bytes(picture.data)
        self._below.append(f"The picture is in {path}")

    def remark(self, sentence: str) -> None:
        """See thinking.Sink."""
        self._below.append(sentence)

    def end(self) -> None:
        """End the answer: the remarks, in brackets for want of small print, and an empty line."""
        lines = [*(f"[{sentence}]" for sentence in self._below), ""]
        self._out(("\n" if self._spoke else "") + "\n".join(lines) + "\n")


class Talk:
    """What was said so far, and who answers."""

    def __init__(self, means: Means, cast: Cast, out: Callable[[str], object]) -> None:
        self._means = means
        self._cast = cast
        self._out = out
        self._numbers = count(1)
        self._last: Message | None = None  # what was answered last
        self._answer: int | None = None  # and the answer, which the next message replies to
        self.persona = cast.at(Place())

    def name(self, persona: str) -> None:
        """Let somebody else answer from now on; raises UnknownPersona."""
        self.persona = self._cast.named(persona)

    def everybody(self) -> str:
        """List who can answer."""
        there = "".join(f"  {key:<16} {persona.name}\n" for key, persona in self._cast)
        return f"{there}Now answers {self.persona.name}.\n"

    def forget(self) -> None:
        """Begin a new conversation."""
        self._last = self._answer = None

    async def say(self, words: str) -> None:
        """Say something, and show the answer."""
        message = Message(
            self._next_id(), _CHANNEL, Author(_YOU, "You"), words, replies_to=self._answer
        )
        await self._answer_to(message)

    async def again(self) -> None:
        """Let what was said last be answered anew."""
        if self._last is None:
            self._out("Nothing was answered yet.\n")
        else:
            await self._answer_to(self._last)

    async def _answer_to(self, message: Message) -> None:
        page = Page(self._out)
        before = self._means.allowance.purse.spent("day")
        try:
            over = self._means.allowance.admit(message)
            if over is not None:
                raise OverLimit(over.scope, over.until)
            await self._think(self._call(message), page)
            if page.empty:
                raise NothingSaid
            spent = self._means.allowance.purse.spent("day")
            currency = self._means.settings.budget.currency
            page.remark(f"{self.persona.name}: {spent - before:.4f} {currency}, {spent:.4f} in all")
        except SkyError as error:
            page.remark(_in_a_terminal(error))
        finally:
            self._remember(message, page.text)
            page.end()

    async def _think(self, call: Call, page: Page) -> None:
        reservation = self._means.allowance.reserve(call)
        try:
            await Thinking(call, self._means, page, reservation).run()
        finally:
            reservation.end()

    def _next_id(self) -> int:
        """Make an id as Discord does: the model is told the time that is in it."""
        return (int(time.time() * 1000) - EPOCH << 22) + next(self._numbers)

    def _call(self, message: Message) -> Call:
        command = self._means.settings.discord.command
        asked = after_command(message.text, command) or Answer("direct", message.text)
        persona, refused = self.persona, None
        if asked.persona is not None:
            try:
                persona = self._cast.named(asked.persona)
            except UnknownPersona as error:
                refused = error
        return Call(
            message,
            asked.prompt,
            _ME,
            time.monotonic(),
            persona=persona,
            image=asked.image,
            refused=refused,
        )

    def _remember(self, message: Message, text: str) -> None:
        self._last = message
        if text:
            self._means.recall.put(message)
            self._answer = self._next_id()
            answer = replace(
                message,
                id=self._answer,
                author=Author(_ME, self.persona.name, bot=True),
                text=text,
                replies_to=message.id,
            )
            self._means.recall.put(answer)


def _in_a_terminal(error: SkyError) -> str:
    """What a person reads, with times written out, and what the operator's log would say."""

    def local(found: re.Match[str]) -> str:
        return f"at {datetime.fromtimestamp(int(found[1]), UTC).astimezone():%H:%M on %d %B}"

    detail = f" ({error.label}: {error})" if str(error) else f" ({error.label})"
    return _WHEN.sub(local, error.sentence) + detail
