"""What a standby hears: calls that it would have taken, kept for the moment when it speaks."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.messages import Message

_SECONDS = 120.0  # longer than a Lease lasts; older ones are found by catching up
_MOST = 2000


class Overheard:
    """Calls by shard, oldest first, for two minutes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: OrderedDict[int, tuple[float, int, Message, int]] = OrderedDict()

    def put(self, shard: int, message: Message, me: int) -> None:
        """Keep a call to the bot, whose user id is `me`."""
        self._drop_old()
        self._calls[message.id] = (self._clock(), shard, message, me)
        if len(self._calls) > _MOST:
            self._calls.popitem(last=False)

    def edit(self, message: Message) -> None:
        """Keep the new words of a call."""
        if message.id in self._calls:
            when, shard, _, me = self._calls[message.id]
            self._calls[message.id] = (when, shard, message, me)

    def forget(self, message_id: int) -> None:
        """A message was deleted."""
        self._calls.pop(message_id, None)

    def pop(self, shard: int) -> list[tuple[Message, int]]:
        """Hand out those of one shard."""
        self._drop_old()
        found = [
            (message_id, message, me)
            for message_id, (_, of, message, me) in sorted(self._calls.items())
            if of == shard
        ]
        for message_id, _, _ in found:
            del self._calls[message_id]
        return [(message, me) for _, message, me in found]

    def _drop_old(self) -> None:
        while self._calls:
            message_id, (when, *_) = next(iter(self._calls.items()))
            if self._clock() - when < _SECONDS:
                return
            del self._calls[message_id]
