"""All checks between people and the model, in both directions: banned words, links, moderation.

An answer passes through piece by piece. Without any check in the settings that costs no more than a
search for brackets.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, Protocol

from bot.domain import text as tokens
from bot.domain.bounded import BoundedDict
from bot.domain.errors import AnswerWithheld, BannedWord, QuestionWithheld, SkyError, Unchecked
from bot.domain.model_request import Usage
from bot.moderation.banned_words import BannedWords, WordMasker
from bot.observability import tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from bot.observability.metrics import Metrics
    from bot.settings.schema import SafetySettings

log = logging.getLogger(__name__)


Whose = Literal["input", "output"]


class ModerationClient(Protocol):
    """The provider's moderation endpoint."""

    async def flagged(self, text: str, model: str) -> bool:
        """Whether `text` breaks the rules; raises SkyError if that cannot be determined."""


class Moderation:
    """What the settings choose to check: questions, answers, both or neither."""

    def __init__(self, judge: ModerationClient, settings: SafetySettings, metrics: Metrics) -> None:
        self._judge = judge
        self._settings = settings
        self._metrics = metrics

    def watches(self, whose: Whose) -> bool:
        """Whether questions, or answers, are checked."""
        return self._settings.moderation in {whose, "both"}

    async def check(self, text: str, whose: Whose, charge: Callable[[Usage], object]) -> bool:
        """Raise QuestionWithheld, AnswerWithheld or Unchecked for what may not be said.

        Returns whether it was checked: False where the moderation failed and the settings allow
        that. No moderation endpoint reports usage, so `charge` receives an estimate.
        """
        if not text.strip():
            return True
        model = self._settings.moderation_model
        charge(Usage(model, moderated=tokens.likely(text)))
        try:
            flagged = await self._judge.flagged(text, model)
        except SkyError as error:
            self._metrics.moderations.labels(whose, "failed").inc()
            log.warning("moderation failed", extra={"error": error.label, "whose": whose})
            if self._settings.moderation_down == "refuse":
                raise Unchecked(error.label) from error
            return False
        self._metrics.moderations.labels(whose, "flagged" if flagged else "passed").inc()
        if flagged:
            raise QuestionWithheld if whose == "input" else AnswerWithheld
        return True


_SEGMENT = 240  # characters that are checked at once; the end of a sentence after so many
_CONTEXT = 400  # characters before them that are shown to the moderation as well
_MENTIONS = re.compile(r"^(?:@\S+\s+)+")
_KNOWN = 5000  # texts of earlier messages whose verdict is remembered


class ModerationPipeline:
    """The checks for all answers."""

    def __init__(self, settings: SafetySettings, moderation: Moderation, metrics: Metrics) -> None:
        self._banned = BannedWords(settings.banned_words)
        self._moderation = moderation
        self._metrics = metrics
        self._allowed: BoundedDict[bytes, bool] = BoundedDict(_KNOWN)  # by a text's digest

    async def admit(self, question: str, charge: Callable[[Usage], object]) -> None:
        """Raise a Told error if the model is not to be asked that; `charge` the moderation."""
        digest = _digest(question)  # its verdict is kept: later it is history
        if self._banned.found_in(question):
            self._allowed[digest] = False
            raise BannedWord
        passed = await self._passes(question, charge) if self._moderation.watches("input") else True
        if passed is not None:
            self._allowed[digest] = passed
        if passed is False:
            raise QuestionWithheld

    async def withheld(
        self, texts: Sequence[str], charge: Callable[[Usage], object]
    ) -> frozenset[int]:
        """Return which of the messages before a question must not go to the model.

        Each text is checked once, however many questions it precedes: all new ones in one request,
        and one by one only if that request is flagged. Raises Unchecked.
        """
        digests = [_digest(text) for text in texts]
        new = dict(zip(digests, texts, strict=True))
        for known in set(new) & set(self._allowed):
            del new[known]
        for digest, text in list(new.items()):
            if self._banned.found_in(text):
                self._allowed[digest] = False
                del new[digest]
        if new and self._moderation.watches("input"):
            together = await self._passes("\n\n".join(new.values()), charge)
            for digest, text in new.items():
                one_by_one = together is False and len(new) > 1
                passed = await self._passes(text, charge) if one_by_one else together
                if passed is not None:  # else it is checked when it is read again
                    self._allowed[digest] = passed
        return frozenset(n for n, each in enumerate(digests) if not self._allowed.get(each, True))

    async def _passes(self, text: str, charge: Callable[[Usage], object]) -> bool | None:
        """Return whether a text may go to the model; None if it does unchecked."""
        try:
            return await self._moderation.check(text, "input", charge) or None
        except QuestionWithheld:
            return False

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


def _digest(text: str) -> bytes:
    """Identify a text, whether it is a question or, with the mention that called, history."""
    words = _MENTIONS.sub("", text).strip()
    return hashlib.blake2b(words.encode(), digest_size=16).digest()


class _Filtered:
    """Takes pieces, and passes on what is left of them when links and words are seen to."""

    def __init__(self, say: Callable[[str], object], banned: BannedWords, metrics: Metrics) -> None:
        self._say = say
        self._hiding = WordMasker(banned) if banned.longest else None
        self._links = LinkUnmasker()
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


# An escaped character, a run of backticks, a label's end before what may be an address.
_TOKEN = re.compile(r"\\.|`+|\]\((?=[^):]{0,199}:|[^):]{200})", re.DOTALL)
# What at the end of a piece may still become one.
_OPEN = re.compile(r"(?:\\|`+|\](?:\([^):]{0,199})?)\Z")
_BLOCK = 3  # backticks


class LinkUnmasker:
    """Takes the mask off links in a text that comes piece by piece: people see where each leads.

    Discord shows `[text](https://address)` as the text alone. With a space after the bracket it
    shows both, and the address can be followed as it is. What Discord takes for an address has many
    forms (another scheme, escapes, invisible characters), but all have a colon: with one in the
    parenthesis it is parted from its bracket. Only a code block is left as it is; what else might
    be code, and is for some readers of Markdown, is not, because a mistake there would hide an
    address.
    """

    def __init__(self) -> None:
        self._held = ""
        self._ticks = 0  # that opened the code which has not been closed

    def feed(self, piece: str) -> str:
        """Take a piece; gives what can be shown by now."""
        text = self._held + piece
        still_open = _OPEN.search(text)
        end = still_open.start() if still_open else len(text)
        if still_open and (end - len(text[:end].rstrip("\\"))) % 2:
            # It is escaped, so it stays with the backslash before it: a pair of them is complete.
            end = len(text) if still_open[0] == "\\" else end - 1
        self._held = text[end:]
        return _TOKEN.sub(self._unmask, text[:end])

    def flush(self) -> str:
        """Give the rest."""
        rest, self._held = self._held, ""
        return _TOKEN.sub(self._unmask, rest)

    def _unmask(self, found: re.Match[str]) -> str:
        text, in_block = found[0], self._ticks >= _BLOCK
        if text == "](":
            return text if in_block else "] ("
        if text[0] == "\\":
            # In code nothing is escaped: a backtick behind it may close that.
            if not self._ticks or text[1] != "`":
                return text
            text = "`"
        if not self._ticks:
            self._ticks = len(text)
        elif (in_block and len(text) >= _BLOCK) or len(text) == self._ticks:
            self._ticks = 0
        return found[0]
