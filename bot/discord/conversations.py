"""Find out whether a message in a thread goes on with a conversation with the bot.

That depends on who else wrote there before. Discord does not tell with a message, so the newest
messages of a thread are read once, when it first matters; from then on the gateway tells. They are
the ones that the answer reads anyway, and it finds them in the cache. What is found depends on the
messages alone, not on when they were read: every process, and a backfill, comes to the same result.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol

from bot.domain.bounded import BoundedDict
from bot.domain.errors import MayNotSpeak, PlaceGone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.context.message_cache import MessageCache
    from bot.domain.messages import Message


_THREADS = 2000  # remembered
_MESSAGES = 100  # of a thread that are read: as many as Discord hands out at once
_PEOPLE = 8  # remembered of a thread: two are enough, if one comes late to the books


class ThreadHistory(Protocol):
    """Reads threads."""

    async def newest(self, channel_id: int, most: int) -> list[Message]:
        """List the newest messages of a channel, oldest first; none if it may not be read.

        Raises Unsaid, and DiscordDown of it if that may go well later.
        """


@dataclass(slots=True)
class _Thread:
    """Who wrote in a thread, each with their first message; `own` is the bot's first one."""

    people: dict[int, int] = field(default_factory=dict)
    own: int | None = None
    known: bool = False
    hidden: bool = False  # it may not be read: nothing is known of who wrote there
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def note(self, message: Message, me: int) -> None:
        """Note a message, in whichever order they come."""
        if not message.readable:
            return
        if message.ordinary and not message.author.bot:
            self._note(message.author.id, message.id)
        elif not message.ordinary and message.replied_author_id not in (None, me):
            # Discord's own message about the one that the thread hangs on: that person asked.
            self._note(message.replied_author_id or 0, message.id)
        elif message.ordinary and message.author.id == me:
            self.own = min(self.own or message.id, message.id)

    def _note(self, person: int, message_id: int) -> None:
        if person in self.people or len(self.people) < _PEOPLE:
            self.people[person] = min(self.people.get(person, message_id), message_id)


class Conversations:
    """What is known of the threads in which no call may be needed."""

    def __init__(
        self,
        cache: MessageCache,
        history: ThreadHistory,
        without_call: Literal["alone", "always", "never"],
    ) -> None:
        self._cache = cache
        self._history = history
        self._always = without_call == "always"
        self._threads: BoundedDict[int, _Thread] = BoundedDict(_THREADS)

    def hear(self, message: Message, me: int) -> None:
        """Note a message that was just posted."""
        thread = self._threads.get(message.channel_id)
        if thread is not None:
            thread.note(message, me)

    def missed(self) -> None:
        """Note that messages may have been missed, so that threads are read again."""
        self._threads.clear()

    async def settle(self, message: Message, me: int) -> Message:
        """Return a message in such a thread with `continues` set where it needs no call.

        Raises DiscordDown where that cannot be known now.
        """
        opened = message.thread_owner == me
        if self._always and opened:
            return replace(message, continues=True)
        thread = await self._known(message.channel_id, me)
        others = (first for who, first in thread.people.items() if who != message.author.id)
        spoken = opened or (thread.own is not None and thread.own < message.id)
        alone = self._always or all(first > message.id for first in others)
        return replace(message, continues=spoken and alone and not thread.hidden)

    async def _known(self, thread_id: int, me: int) -> _Thread:
        thread = self._threads.get(thread_id)
        if thread is None:
            thread = self._threads[thread_id] = _Thread()
        async with thread.reading:
            if not thread.known:
                listed = await self._list(thread_id)
                for each in listed:
                    thread.note(each, me)
                thread.known, thread.hidden = True, not listed
        return thread

    async def _list(self, thread_id: int) -> Sequence[Message]:
        try:
            listed = await self._history.newest(thread_id, _MESSAGES)
        except (MayNotSpeak, PlaceGone):
            return ()
        if listed:
            self._cache.follow(thread_id, listed)
        return listed
