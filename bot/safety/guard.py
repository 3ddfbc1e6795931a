"""Between people and the model, both ways: banned words, links as they are, moderation.

What an answer says passes through here piece by piece, and costs nothing where nothing is asked for
in the settings but a look for a bracket.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bot.errors import BannedWord, SkyError
from bot.observability import tasks
from bot.safety.banned import Banned, Hiding
from bot.safety.links import Unmasking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.metrics import Metrics
    from bot.safety.moderation import Moderation
    from bot.settings.safety import Safety
    from bot.usage import Usage

_SEGMENT = 240  # characters that are checked at once; the end of a sentence after so many
_CONTEXT = 400  # characters before them that are shown to the moderation as well


class Guard:
    """One for all answers."""

    def __init__(self, settings: Safety, moderation: Moderation, metrics: Metrics) -> None:
        self._banned = Banned(settings.banned_words)
        self._moderation = moderation
        self._metrics = metrics

    async def admit(self, question: str, charge: Callable[[Usage], object]) -> None:
        """Raise a Told error if the model is not to be asked that; `charge` the moderation."""
        if self._banned.found_in(question):
            raise BannedWord
        if self._moderation.watches("input"):
            await self._moderation.check(question, "input", charge)

    @asynccontextmanager
    async def around(
        self, say: Callable[[str], object], charge: Callable[[Usage], object]
    ) -> AsyncIterator[Callable[[str], object]]:
        """Give what takes the model's words, so that `say` takes what may be said of them.

        Raises AnswerWithheld or Unchecked, and ends what is inside, where the moderation says so.
        """
        if not self._moderation.watches("output"):
            filtered = _Filtered(say, self._banned, self._metrics)
            try:
                yield filtered.feed
            except SkyError:
                filtered.flush()
                raise
            filtered.flush()
            return
        checked = _Checked(say, self._moderation, charge)
        filtered = _Filtered(checked.feed, self._banned, self._metrics)
        failed: Exception | None = None
        try:
            async with tasks.Group() as group:
                group.start(checked.run(), "moderation")
                try:
                    yield filtered.feed
                except SkyError as error:
                    failed = error
                filtered.flush()
                checked.end()
        except ExceptionGroup as group:  # of one: whichever failed ended the other
            failed = failed or group.exceptions[0]
        if failed is not None:
            raise failed


class _Filtered:
    """Takes pieces, and passes on what is left of them when links and words are seen to."""

    def __init__(self, say: Callable[[str], object], banned: Banned, metrics: Metrics) -> None:
        self._say = say
        self._hiding = Hiding(banned) if banned.longest else None
        self._links = Unmasking()
        self._metrics = metrics

    def feed(self, piece: str) -> None:
        text = self._hiding.feed(piece) if self._hiding else piece
        text = self._links.feed(text)
        if text:
            self._say(text)

    def flush(self) -> None:
        if self._hiding is not None:
            self.feed("")
            text = self._links.feed(self._hiding.flush())
            self._metrics.words_hidden.inc(self._hiding.hidden)
            if text:
                self._say(text)
        rest = self._links.flush()
        if rest:
            self._say(rest)


class _Checked:
    """Takes pieces, and passes them on, some sentences at a time, as they pass the moderation."""

    def __init__(
        self,
        say: Callable[[str], object],
        moderation: Moderation,
        charge: Callable[[Usage], object],
    ) -> None:
        self._say = say
        self._moderation = moderation
        self._charge = charge
        self._pending = ""
        self._before = ""
        self._more = asyncio.Event()
        self._ended = False

    def feed(self, piece: str) -> None:
        self._pending += piece
        if len(self._pending) >= _SEGMENT:
            self._more.set()

    def end(self) -> None:
        self._ended = True
        self._more.set()

    async def run(self) -> None:
        while not (self._ended and not self._pending):
            await self._more.wait()
            self._more.clear()
            segment, self._pending = self._pending, ""
            await self._moderation.check(self._before + segment, "output", self._charge)
            self._before = (self._before + segment)[-_CONTEXT:]
            if segment:
                self._say(segment)
            if self._ended:
                self._more.set()
