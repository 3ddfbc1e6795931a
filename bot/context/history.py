"""Find the messages that led to a call: the reply chain, or else the channel's newest messages.

A thread hangs on a message of its parent channel, so that one belongs to what is said in the
thread. Nothing is read in a channel whose history the caller cannot read, its own included.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Protocol

from bot.domain.errors import DiscordDown

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.context.message_cache import MessageCache
    from bot.domain.messages import Message
    from bot.settings.schema import ConversationSettings as Limits


_SECONDS = 3.0  # an answer without its oldest turns is better than a late one
_LINKS = 3  # that are followed
_LINK = re.compile(r"https://(?:\w+\.)?discord(?:app)?\.com/channels/(\d+)/(\d+)/(\d+)")
_UNSEEN = "I left out messages from a channel that you can't see."
_NO_HISTORY = "I left out the earlier messages here: you may not be allowed to read them."
_UNREADABLE = "I left out a message that I could not read."
_UNREAD_LINK = (
    "I did not read a message that you link to: it was deleted, or you or I can't see it."
)


class History(Protocol):
    """Finds messages that are not in the cache."""

    async def fetch(self, channel_id: int, message_id: int) -> Message | None:
        """Find a message; None if it was deleted or the bot may not read it.

        Raises DiscordDown.
        """

    async def recent(self, channel_id: int, before: int, most: int) -> list[Message] | None:
        """List the newest messages before one, oldest first; None if that fails."""

    async def may_read(self, message: Message, channel_id: int) -> bool:
        """Whether the writer of `message` can read the history of a channel; False if unknown."""


@dataclass(slots=True)
class MessageChain:
    """A call and what came before it, newest first; `cut` says that some of that is missing.

    `meant` are those whose files are opened: what is replied or linked to, and what the caller
    said right before. Other people's pictures in the channel are nobody's question.
    """

    call: Message
    messages: list[Message] = field(default_factory=list)
    meant: list[Message] = field(default_factory=list)
    linked: list[Message] = field(default_factory=list)
    cut: bool = False
    remarks: list[str] = field(default_factory=list)
    name_of: Callable[[int], str | None] = lambda _: None  # in the server where the caller is


async def read_history(
    call: Message, cache: MessageCache, history: History, limits: Limits
) -> MessageChain:
    """Find what led to `call`."""
    chain = MessageChain(call, name_of=partial(cache.name_of, call.guild_id))
    reader = _Reader(chain, cache, history, limits)
    try:
        async with asyncio.timeout(_SECONDS):
            await reader.read()
    except TimeoutError:
        chain.cut = True
    return chain


class _Reader:
    """Fills a chain within a time limit; on timeout, what was found so far is used."""

    def __init__(
        self, chain: MessageChain, cache: MessageCache, history: History, limits: Limits
    ) -> None:
        self._chain = chain
        self._call = chain.call
        self._cache = cache
        self._history = history
        self._limits = limits
        self._readable: dict[int, bool] = {}  # channels, for the caller

    async def read(self) -> None:
        """Follow the replies, or read the channel; then the message that a thread hangs on."""
        await self._follow_links()
        end = self._call
        if self._call.replies_to is not None:
            found = await self._follow_replies(self._call)
            if found is None:
                return
            end = found
        elif self._limits.history:
            await self._read_channel()
        if end.thread_of is not None and end.id != end.channel_id:
            # A forum post's first message is in the post's own thread.
            parent = end.channel_id if end.title is not None else end.thread_of
            await self._read_starter(end.channel_id, parent)

    async def _follow_replies(self, at: Message) -> Message | None:
        """Follow the chain from `at`; return its oldest message, or None if not reached."""
        while at.replies_to is not None:
            if len(self._chain.messages) + 1 >= self._limits.max_turns:
                self._chain.cut = True
                return None
            found = await self._find(at.replies_in or at.channel_id, at.replies_to)
            if found is None:
                self._chain.cut = True
                return None
            self._chain.messages.append(found)
            self._chain.meant.append(found)
            at = found
        return at

    async def _read_channel(self) -> None:
        call, most = self._call, self._limits.history
        if not await self._may_read(call.channel_id):
            self._remark(_NO_HISTORY)
            return
        found = self._cache.recent(call.channel_id, call.id, most)
        if found is None:
            listed = await self._history.recent(call.channel_id, call.id, most)
            if listed is None:
                self._chain.cut = True
                return
            self._cache.follow(call.channel_id, listed)
            found = self._cache.recent(call.channel_id, call.id, most)
        if not all(each.readable for each in found or ()):
            self._remark(_UNREADABLE)
        newest_first = [each for each in reversed(found or ()) if each.ordinary and each.readable]
        own = takewhile(lambda each: each.author.id == call.author.id, newest_first)
        self._chain.messages += newest_first
        self._chain.meant += own

    async def _read_starter(self, thread_id: int, parent_id: int) -> None:
        if any(each.id == thread_id for each in self._chain.messages):
            return
        if len(self._chain.messages) + 1 >= self._limits.max_turns:
            self._chain.cut = True
            return
        found = await self._find(parent_id, thread_id)  # one that hangs on a message has its id
        if found is not None:
            self._chain.messages.append(found)
            self._chain.meant.append(found)
            await self._follow_replies(found)

    async def _follow_links(self) -> None:
        for guild, channel, message in _LINK.findall(self._call.text)[:_LINKS]:
            here = int(guild) == self._call.guild_id
            found = await self._find(int(channel), int(message), tell=False) if here else None
            if found is None:
                self._remark(_UNREAD_LINK)
            else:
                self._chain.linked.append(found)

    async def _find(self, channel_id: int, message_id: int, *, tell: bool = True) -> Message | None:
        if self._cache.is_absent(message_id):
            return None
        found = self._cache.get(message_id)
        for place in {channel_id, found.channel_id if found else channel_id}:
            if not await self._may_read(place):
                if tell:
                    self._remark(_NO_HISTORY if place == self._call.channel_id else _UNSEEN)
                return None
        if found is None:
            found = await self._fetch(channel_id, message_id)
        if found is not None and not found.readable:
            self._remark(_UNREADABLE)
            return None
        return found

    async def _may_read(self, channel_id: int) -> bool:
        if channel_id not in self._readable:
            may = await self._history.may_read(self._call, channel_id)
            self._readable[channel_id] = may
        return self._readable[channel_id]

    def _remark(self, sentence: str) -> None:
        if sentence not in self._chain.remarks:
            self._chain.remarks.append(sentence)

    async def _fetch(self, channel_id: int, message_id: int) -> Message | None:
        try:
            found = await self._history.fetch(channel_id, message_id)
        except DiscordDown:
            return None
        if found is None:
            self._cache.note_absent(message_id)
        else:
            self._cache.put(found)
        return found
