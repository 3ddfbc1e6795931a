"""The Discord messages of one answer: how its text is spread over them, and their buttons.

A full message is never edited again. The growing message has a Stop button, and the last message of
a complete answer has an Again button. An answer may replace an earlier one: then the earlier
messages are edited first, and those that are not needed are deleted.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from bot.domain.errors import ContentRefused, MayNotSpeak, PlaceGone, Unsaid
from bot.domain.messages import Button, Picture, Post
from bot.domain.text import is_blank
from bot.reply.splitter import LIMIT, Part, SplitPosition, next_part

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.domain.messages import Message
    from bot.settings.schema import ReplySettings as Settings


class MessageSink(Protocol):
    """Where answers go. All methods raise Unsaid if Discord does not take it."""

    async def send(self, to: Message, post: Post, nonce: str, channel_id: int) -> int:
        """Reply to `to`, mentioning nobody; returns the new message's id.

        In a channel other than that of `to`, it is a message by itself.
        """

    async def edit(
        self, channel_id: int, message_id: int, post: Post, was: Post | None, *, patient: bool
    ) -> None:
        """Change a message that shows `was` (None: unknown); `patient` repeats where it may help.

        Text, buttons and files are replaced; removed previews stay removed.
        """

    async def delete(self, channel_id: int, message_id: int) -> None:
        """Delete one of the bot's messages."""

    async def start_thread(
        self, on: Message, message_id: int, title: str
    ) -> tuple[int, tuple[int, ...]]:
        """Start a thread on `on`, or on one of the bot's messages in the channel of `on`.

        Returns its id, and what an earlier answer left in it, if it was there already.
        """

    async def typing(self, channel_id: int) -> None:
        """Show for ten seconds that an answer is being written."""

    async def react(self, to: Message, emoji: str) -> None:
        """Add a reaction to a message."""

    def may_write(self, to: Message, *, in_thread: bool = False) -> bool:
        """Whether the bot may answer `to` where it was written, as far as it knows.

        With `in_thread` it is enough that it may open a thread there and write in that.
        """


MOST_MESSAGES = 60  # of one answer: what is longer ends in a file, whatever the settings say
_SMALL_PRINT = "\n-# "
_WHOLE = "\n-# The full answer is in the file."
_LEFT_OUT = "\n-# My answer is longer, but I'm not allowed to attach files here."
_NO_FILES = "I'm not allowed to attach files here, so I can't show what I made."
_NEUTRAL_TITLE = "Answer"
# Links that Discord shows a preview of: not those between < and >.
_LINK = re.compile(r"(?<!<)\bhttps?://[^\s<>]+")
_AFTER_LINK = ".,:;!?'\"()[]*_~|`"  # trailing punctuation that may belong to the sentence


def nonce(nonce_base: int, part: int) -> str:
    """Return the nonce of one part of an answer: at most 25 characters, equal for each retry."""
    return f"{nonce_base}-{part}"


@dataclass(frozen=True, slots=True)
class ReplyTarget:
    """What an answer replies to, and its options.

    `nonce_base` is the question's id, or that of the button press that asks for it again.
    `replaces` are the messages of the earlier answer, oldest first. `title` names a thread; with
    `in_thread` the answer goes into one on the question, or into the channel if that fails.
    """

    to: Message
    nonce_base: int
    replaces: tuple[int, ...] = ()
    stop: tuple[Button, ...] = ()
    again: tuple[Button, ...] = ()
    title: str = ""
    in_thread: bool = False


@dataclass(frozen=True, slots=True)
class _Page:
    """A message that is there, and what it shows; None if that is not known."""

    channel_id: int
    id: int
    post: Post | None


class MessageSeries:
    """Updates the Discord messages as the text grows. All methods raise Unsaid."""

    def __init__(
        self,
        order: ReplyTarget,
        sink: MessageSink,
        settings: Settings,
        on_first: Callable[[], None],
    ) -> None:
        self.sent: list[int] = []  # the ids of the answer's messages
        self._channels: list[int] = []  # of each of them
        self._order = order
        self._sink = sink
        self._on_first = on_first
        self._settings = settings
        self._long = settings.long
        self._channel_id = order.to.channel_id
        self._enters = order.in_thread  # a thread on the question, with the first message
        # What is there of an earlier answer, in the channel and in its thread.
        self._earlier = {order.to.channel_id: list(order.replaces)}
        self._place = SplitPosition()  # where the message begins that is still growing
        self._links = 0  # before that place
        self._known: set[str] = set()
        self._footer = ""  # with what sets it off, once the answer is complete
        self._page: _Page | None = None  # the newest message
        self._growing = False  # whether that is the one for the text at the place

    def know_links(self, text: str) -> None:
        """Take the addresses in `text` for ones that are known to who reads the answer.

        Discord fetches the preview of a link that nobody pressed: one that the model made up can
        carry words of the conversation away in its address.
        """
        self._known.update(_links(text))

    def stay_in_channel(self) -> None:
        """Open no thread on the question."""
        self._enters = False

    async def show(
        self,
        text: str,
        *,
        last: bool,
        again: bool = True,
        pictures: tuple[Picture, ...] = (),
        footer: str = "",
    ) -> None:
        """Show `text`. With `last` the answer is complete; with `again` it gets an Again button.

        A `footer` is shown in small print below the complete answer, if its last message has room.
        """
        self._footer = f"{_SMALL_PRINT}{footer}" if footer and last else ""
        buttons = self._order.stop if not last else self._order.again if again else ()
        while self._place.position < len(text):
            part, following = next_part(text, self._place, growing=not last)
            full = following.position < len(text)
            if full and self._fold():
                await self._hide_rest(text, part, buttons, last=last)
                return
            if not is_blank(part.content):
                fits = not full and len(part.content) + len(self._footer) <= LIMIT
                shown = Post(
                    part.content + self._footer if fits else part.content,
                    buttons if not full else (),
                    self._previews(part),
                    pictures if last and not full else (),
                )
                await self._put(shown, patient=full or last)
            if not full:
                break
            await self._turn(part, following)
        if last:
            await self._finish(buttons, pictures)

    async def end_with(self, sentence: str, *, again: bool) -> None:
        """End the answer where Discord refuses more text, and say why."""
        buttons = self._order.again if again else ()
        there = self._page.post if self._page is not None and self._growing else None
        room = LIMIT - len(sentence) - len("\n-# ")
        words = next_part(there.text, SplitPosition(), room)[0].content if there else ""
        try:
            await self._put(
                Post(f"{words}\n-# {sentence}" if words else sentence, buttons), patient=True
            )
        except ContentRefused:  # what was taken before is not taken any more
            await self._put(Post(sentence, buttons), patient=True)
        await self._finish(buttons, ())

    @property
    def began_in(self) -> int:
        """The channel or thread of the first message."""
        return self._channels[0] if self._channels else self._order.to.channel_id

    async def delete(self) -> None:
        """Delete the messages that were sent. One that Discord does not delete stays."""
        for channel_id, message_id in zip(self._channels, self.sent, strict=True):
            with contextlib.suppress(Unsaid):
                await self._sink.delete(channel_id, message_id)

    def _fold(self) -> bool:
        """Whether the rest of a text that goes on goes into a file."""
        begun = len(self.sent) + (not self._growing)
        folds = self._long == "file" and begun >= self._settings.long_from - 1
        return folds or begun >= MOST_MESSAGES

    async def _hide_rest(
        self, text: str, part: Part, buttons: tuple[Button, ...], *, last: bool
    ) -> None:
        """Fill the last message that is shown; when the text is whole, attach all of it."""
        if not last:
            await self._put(Post(part.content, buttons, self._previews(part)), patient=True)
            return
        below = max(len(_WHOLE), len(_LEFT_OUT)) + len(self._footer)
        shorter, _ = next_part(text, self._place, LIMIT - below)
        whole = Picture("answer.md", text.encode())
        words = shorter.content + _WHOLE + self._footer
        post = Post(words, buttons, self._previews(shorter), (whole,))
        try:
            await self._put(post, patient=True)
            await self._finish(buttons, post.files)
        except MayNotSpeak:  # no permission for files, or Discord takes none of that size
            self._long = "parts"
            if self._fold():
                words = shorter.content + _LEFT_OUT + self._footer
                await self._put(replace(post, text=words, files=()), patient=True)
                await self._finish(buttons, ())
            else:
                footer = self._footer.removeprefix(_SMALL_PRINT)
                await self.show(text, last=True, again=bool(buttons), footer=footer)

    async def _put(self, post: Post, *, patient: bool) -> None:
        """Bring the growing message to `post`; where files are refused, a sentence says so."""
        try:
            await self._put_as_it_is(post, patient=patient)
        except MayNotSpeak:
            if not post.files or post.text.removesuffix(self._footer).endswith(_WHOLE):
                raise
            text, below = post.text, f"{_SMALL_PRINT}{_NO_FILES}"
            if len(text) + len(below) > LIMIT:
                text = text.removesuffix(self._footer)
            said = f"{text}{below}" if text.strip() else _NO_FILES
            await self._put_as_it_is(replace(post, text=said[:LIMIT], files=()), patient=patient)

    async def _put_as_it_is(self, post: Post, *, patient: bool) -> None:
        page = self._page
        if page is None or not self._growing:
            self._page = await self._open(post)
            self._growing = True
            self.sent.append(self._page.id)
            self._channels.append(self._page.channel_id)
            if len(self.sent) == 1:
                self._on_first()
        elif post != page.post:
            await self._sink.edit(page.channel_id, page.id, post, page.post, patient=patient)
            self._page = replace(page, post=post)

    async def _open(self, post: Post) -> _Page:
        """Start a message, the first one in the thread on the question if the answer goes there."""
        if not self._enters:
            return await self._open_here(post)
        self._enters = False
        await self._enter_thread()
        try:
            return await self._open_here(post)
        except (MayNotSpeak, PlaceGone):  # locked, full, or deleted at once
            home = self._order.to.channel_id
            if self._channel_id == home or post.files:
                raise
            self._channel_id = home
            return await self._open_here(post)

    async def _enter_thread(self) -> None:
        """Open the thread on the question; where that fails, stay in the channel."""
        to, title = self._order.to, self._order.title
        try:
            try:
                thread, earlier = await self._sink.start_thread(to, to.id, title)
            except ContentRefused:
                thread, earlier = await self._sink.start_thread(to, to.id, _NEUTRAL_TITLE)
        except Unsaid:
            return
        replaces = self._earlier[self._channel_id]
        self._earlier[self._channel_id] = [each for each in replaces if each not in earlier]
        self._channel_id, self._earlier[thread] = thread, list(earlier)

    async def _open_here(self, post: Post) -> _Page:
        """Start a message: reuse one of the earlier answer if any is left, or send a new one."""
        earlier = self._earlier.get(self._channel_id, [])
        while earlier:
            page = _Page(self._channel_id, earlier[0], post)
            try:
                await self._sink.edit(page.channel_id, page.id, post, None, patient=True)
            except PlaceGone:
                del earlier[0]
            else:
                del earlier[0]
                return page
        number = nonce(self._order.nonce_base, len(self.sent))
        there = await self._sink.send(self._order.to, post, number, self._channel_id)
        return _Page(self._channel_id, there, post)

    async def _turn(self, part: Part, following: SplitPosition) -> None:
        """Move on to the next message, in a thread if long answers continue there."""
        self._place, self._growing = following, False
        self._links += _count_links(part)
        here = self._channel_id == self._order.to.channel_id
        if self._long == "thread" and here and len(self.sent) == self._settings.long_from - 1:
            try:
                thread, earlier = await self._sink.start_thread(
                    self._order.to, self.sent[0], self._order.title
                )
            except Unsaid:  # no permission, a direct message, a thread that has no threads
                self._long = "parts"
            else:
                self._channel_id, self._earlier[thread] = thread, list(earlier)

    async def _finish(self, buttons: tuple[Button, ...], pictures: tuple[Picture, ...]) -> None:
        """Finish the newest message, and delete what is left of an earlier answer."""
        page = self._page
        if page is None and pictures:
            footer = self._footer.lstrip("\n")
            await self._put(Post(footer, buttons, files=pictures), patient=True)
        elif page is not None and page.post is not None and page.post.buttons != buttons:
            self._growing = True
            await self._put(replace(page.post, buttons=buttons), patient=True)
        earlier, self._earlier = self._earlier, {}
        for channel_id, messages in earlier.items():
            for each in messages:
                with contextlib.suppress(Unsaid):  # gone already, or it stays
                    await self._sink.delete(channel_id, each)

    def _previews(self, part: Part) -> bool:
        """Whether the links of a part have previews: there are few, and each is known."""
        links = _links(part.text)
        if self._links + len(links) > self._settings.previews:
            return False
        *whole, last = links or [""]
        # The last one may be still growing.
        grows = any(each.startswith(last) for each in self._known) and part.text.endswith(last)
        return self._known.issuperset(whole) and (not last or last in self._known or grows)


def _links(text: str) -> list[str]:
    """The addresses in a text of which Discord makes a preview."""
    return [found.rstrip(_AFTER_LINK) for found in _LINK.findall(text)]


def _count_links(part: Part) -> int:
    return len(_links(part.text))
