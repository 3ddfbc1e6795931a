"""The newest messages, so that most conversations need no request to Discord."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.domain.bounded import BoundedDict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.domain.messages import Message


_PER_CHANNEL = 128  # more than a conversation reads, with what was said meanwhile


class MessageCache:
    """The newest messages, by id and by channel. The oldest are dropped first."""

    def __init__(self, room: int = 2000) -> None:
        self._room = room
        self._seen: BoundedDict[int, Message] = BoundedDict(room)
        self._whole: BoundedDict[int, Message] = BoundedDict(room)
        self._channels: OrderedDict[int, deque[int]] = OrderedDict()
        self._followed: set[int] = set()
        self._absent: BoundedDict[int, None] = BoundedDict(room)
        self._names: BoundedDict[tuple[int, int], str] = BoundedDict(room)

    def put(self, message: Message) -> None:
        """Store a message, or its new text, and its author's name in that server."""
        self._seen[message.id] = message
        if message.guild_id is not None and message.author.local:
            self._names[message.guild_id, message.author.id] = message.author.name

    def freshen(self, message: Message) -> None:
        """Store a message that came along with another one: it has new addresses of its files."""
        known = self._seen.get(message.id)
        if known is not None:
            self.put(replace(known, attachments=message.attachments))
        elif self.get(message.id) is None:
            self.put(message)

    def hear(self, message: Message) -> None:
        """Store a message that was just posted, as the newest of its channel."""
        self.put(message)
        self._list(message)

    def put_answer(self, parts: Iterable[int], answer: Message) -> None:
        """Store a whole answer under the id of each part, because people reply to any of them."""
        for part in parts:
            self._whole[part] = answer
        if answer.id:
            self._list(answer)

    def get(self, message_id: int) -> Message | None:
        """Find a message; an answer in parts is found whole."""
        return self._whole.get(message_id) or self._seen.get(message_id)

    def name_of(self, guild_id: int | None, user_id: int) -> str | None:
        """Return a person's name in a server, if they wrote there since the bot started."""
        return None if guild_id is None else self._names.get((guild_id, user_id))

    def forget(self, message_id: int) -> None:
        """Forget a deleted message."""
        self._seen.pop(message_id, None)
        self._whole.pop(message_id, None)

    def note_absent(self, message_id: int) -> None:
        """Note that a message does not exist: most threads have no starter message."""
        self._absent[message_id] = None

    def is_absent(self, message_id: int) -> bool:
        """Whether that was noted."""
        return message_id in self._absent

    def recent(self, channel_id: int, before: int, most: int) -> list[Message] | None:
        """List what was said in a channel before a message, oldest first.

        None if there may be more than what is remembered: then follow() with what Discord lists.
        """
        ids = sorted({each for each in self._channels.get(channel_id, ()) if each < before})
        found = [message for each in ids if (message := self.get(each)) is not None]
        if len(found) < most and channel_id not in self._followed:
            return None
        return found[-most:]

    def follow(self, channel_id: int, messages: Iterable[Message]) -> None:
        """Store a channel's history from Discord; from now on all its messages are received."""
        for message in messages:
            if self.get(message.id) is None:
                self.put(message)
            self._list(message)
        self._followed.add(channel_id)

    def missed(self) -> None:
        """Note that messages may have been missed, so that channels are read again."""
        self._followed.clear()
        self._channels.clear()

    def _list(self, message: Message) -> None:
        listed = self._channels.get(message.channel_id)
        if listed is None:
            listed = self._channels[message.channel_id] = deque(maxlen=_PER_CHANNEL)
            if len(self._channels) > self._room:
                gone, _ = self._channels.popitem(last=False)
                self._followed.discard(gone)
        listed.append(message.id)
