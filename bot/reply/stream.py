"""Text into Discord's messages while it is still being written.

The first message goes out as soon as there is a word to read, a few tens of milliseconds after the
first text, and edits follow at a pace. An answer that is complete by then is one request.
Each piece of text costs an append; all else happens at the pace of the edits.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from bot.domain.errors import (
    ContentRefused,
    DiscordDown,
    Interrupted,
    NothingSaid,
    OverLimit,
    QuestionGone,
    SkyError,
    TooBusy,
    Unsaid,
)
from bot.domain.text import has_word, is_blank
from bot.observability import tasks
from bot.reply.message_series import MessageSeries
from bot.reply.splitter import open_fence

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bot.domain.messages import Picture
    from bot.reply.edit_rates import EditRate
    from bot.reply.message_series import MessageSink, ReplyTarget
    from bot.settings.schema import ReplySettings as Timing


_TYPING_AFTER = 0.5  # a quick answer needs no typing, and no request for it
_TYPING_LASTS = 8.0  # Discord shows it for ten seconds
_WORD_WITHIN = 0.6  # seconds: then the part of a word is shown that the model stopped after
_LONGEST_WORD = 60  # characters from the first that is seen: what is longer is shown as it is
_NOT_AGAIN = (OverLimit, QuestionGone, TooBusy)  # pressing Again would only get the same words


class ReplyStream:
    """One answer on its way out."""

    def __init__(
        self,
        order: ReplyTarget,
        sink: MessageSink,
        edit_rate: EditRate,
        timing: Timing,
        on_first: Callable[[], None],
    ) -> None:
        self._channel_id = order.to.channel_id
        self._sink = sink
        self._edit_rate = edit_rate
        self._timing = timing
        self._pages = MessageSeries(order, sink, timing, on_first)
        self.know_links = self._pages.know_links
        self._pieces: list[str] = []
        self._pictures: list[Picture] = []
        self._spoke = asyncio.Event()  # there is something to see
        self._readable = asyncio.Event()  # and a word of it
        self._beginning = ""  # what was said from there on, until that is known
        self._writing: asyncio.Task[None] | None = None
        self._stopped: SkyError | None = None
        self._remarks: list[str] = []
        self.finishing = False  # whether the end is on its way to Discord, or there already

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._pieces)

    @property
    def sent(self) -> list[int]:
        """The ids of the answer's messages."""
        return self._pages.sent

    @property
    def began_in(self) -> int:
        """The channel or thread of the first message."""
        return self._pages.began_in

    def stay_in_channel(self) -> None:
        """Open no thread: what is shown is no answer."""
        self._pages.stay_in_channel()

    @property
    def drew(self) -> bool:
        """Whether there is a picture in it."""
        return bool(self._pictures)

    def say(self, piece: str) -> None:
        """Take the next piece of text; nothing is shown before there is something to see."""
        self._pieces.append(piece)
        if self._readable.is_set() or (not self._spoke.is_set() and is_blank(piece)):
            return
        self._spoke.set()
        self._beginning += piece
        if len(self._beginning) > _LONGEST_WORD or has_word(self._beginning):
            self._readable.set()

    def show(self, picture: Picture) -> None:
        """Take a picture, to be shown below the complete answer."""
        self._pictures.append(picture)

    def remark(self, sentence: str) -> None:
        """Add `sentence` in small print below the answer, if there is one."""
        self._remarks.append(sentence)

    def interrupt(self, why: SkyError | None = None) -> None:
        """End the answer now, with a word on why: that the bot stops, or another reason."""
        self._stopped = self._stopped or why or Interrupted()
        if self._writing is not None:
            self._writing.cancel()

    async def delete(self) -> None:
        """Delete the messages of an answer that was aborted."""
        await self._pages.delete()

    async def deliver(
        self,
        writing: Coroutine[None, None, None],
        withholds: Callable[[SkyError], bool] = lambda _: False,
        *,
        ambient: bool = False,
        footer: Callable[[], str] = lambda: "",
    ) -> SkyError | None:
        """Show what `writing` says through `say` until it ends; returns what went wrong with it.

        A failure of `writing` is told in the last message, but not to people who asked nothing
        (`ambient`) and have read nothing yet, and not if `withholds` says so of it. `footer` is
        asked in the end for a line to show below, which is no part of the text. Raises Unsaid if
        Discord does not take the answer.
        """
        with self._edit_rate.answering(self._channel_id):
            self._writing = tasks.start(writing, "model_stream")
            if self._stopped:
                self._writing.cancel()
            try:
                await self._show_while(self._writing)
            finally:
                if not self._writing.done():
                    self._writing.cancel()
                    await asyncio.wait({self._writing})
            failed = self._failure(self._writing)
            if failed and withholds(failed):
                return failed
            if not self.sent and (isinstance(failed, QuestionGone) or (failed and ambient)):
                return failed
            remarks = self._remarks if self._spoke.is_set() and not ambient else []
            if not self._spoke.is_set():
                self._pieces.clear()  # thousands of spaces would go before the sentence
            for sentence in [*([failed.sentence] if failed else []), *remarks]:
                self._pieces.append(_note(self.text, sentence))
            again = not isinstance(failed, _NOT_AGAIN)
            self.finishing = True
            try:
                await self._show(last=True, again=again, footer=footer())
            except ContentRefused as refused:
                if withholds(refused):
                    return refused
                await self._pages.end_with(refused.sentence, again=again)
                return refused
            return failed

    async def _show_while(self, writing: asyncio.Task[None]) -> None:
        await self._wait_for_text(writing)
        gap = self._edit_rate.first_gap(self._channel_id, self._timing.first_words_seconds)
        await asyncio.wait({writing}, timeout=gap)
        if not writing.done() and not self._readable.is_set():
            await self._wait_for_a_word(writing)
        while not writing.done():
            # Counted where it happened; the end is repeated, and says so if it is refused too.
            with contextlib.suppress(DiscordDown, ContentRefused):
                await self._show(last=False)
            await asyncio.wait({writing}, timeout=self._edit_rate.edit_gap(self._channel_id))

    async def _wait_for_text(self, writing: asyncio.Task[None]) -> None:
        typing = tasks.start(self._type(), "typing")
        spoke = tasks.start(self._spoke.wait(), "first_text")
        try:
            await asyncio.wait({writing, spoke}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            typing.cancel()
            spoke.cancel()

    async def _wait_for_a_word(self, writing: asyncio.Task[None]) -> None:
        readable = tasks.start(self._readable.wait(), "first_word")
        try:
            await asyncio.wait(
                {writing, readable}, timeout=_WORD_WITHIN, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            readable.cancel()

    async def _type(self) -> None:
        with contextlib.suppress(Unsaid):  # counted; the answer itself will find out
            await asyncio.sleep(_TYPING_AFTER)
            while True:
                await self._sink.typing(self._channel_id)
                await asyncio.sleep(_TYPING_LASTS)

    def _failure(self, writing: asyncio.Task[None]) -> SkyError | None:
        if self._stopped and writing.cancelled():
            return self._stopped
        failed = writing.exception()
        if failed is None:
            return None if self._spoke.is_set() or self._pictures else NothingSaid()
        if not isinstance(failed, SkyError):
            raise failed
        return failed

    async def _show(self, *, last: bool, again: bool = True, footer: str = "") -> None:
        """Bring Discord's messages up to what was said."""
        pictures = tuple(self._pictures)
        self._edit_rate.count(self._channel_id, edit=bool(self.sent))
        await self._pages.show(self.text, last=last, again=again, pictures=pictures, footer=footer)


def _note(text: str, sentence: str) -> str:
    """What is added to `text` to say `sentence` in Discord's small print, outside of any fence."""
    if not text:
        return sentence
    closing = "\n```" if open_fence(text) else ""
    return f"{closing}\n-# {sentence}"
