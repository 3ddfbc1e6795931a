"""From a call back along the chain of replies, to a bounded list of turns for the model."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.messages import Message
    from bot.settings import Conversation as Limits

_FETCH_SECONDS = 3.0  # an answer without its oldest turns is better than a late one
_NAME_LENGTH = 32  # Discord's own limit


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said. A person's text begins with the name and a colon."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns, oldest first; `cut` says whether older ones were left out."""

    turns: tuple[Turn, ...]
    cut: bool = False


class History(Protocol):
    """Where messages are found that are not in the recall."""

    async def fetch(self, channel_id: int, message_id: int) -> Message | None:
        """Find one message; None when it is gone, or not for the bot to read."""


class Recall:
    """The messages seen last, by id, so that most chains cost no request. Oldest go first."""

    def __init__(self, room: int = 2000) -> None:
        self._room = room
        self._seen: OrderedDict[int, Message] = OrderedDict()
        self._whole: OrderedDict[int, Message] = OrderedDict()

    def put(self, message: Message) -> None:
        """Remember a message, or its new text."""
        self._keep(self._seen, message.id, message)

    def put_answer(self, parts: Iterable[int], answer: Message) -> None:
        """Remember a whole answer under the id of each of its parts: a reply to any means it."""
        for part in parts:
            self._keep(self._whole, part, answer)

    def forget(self, message_id: int) -> None:
        """Drop a message that was deleted."""
        self._seen.pop(message_id, None)
        self._whole.pop(message_id, None)

    def get(self, message_id: int) -> Message | None:
        """Look up the message; an answer in several parts comes whole."""
        return self._whole.get(message_id) or self._seen.get(message_id)

    def _keep(self, store: OrderedDict[int, Message], key: int, message: Message) -> None:
        store[key] = message
        store.move_to_end(key)
        if len(store) > self._room:
            store.popitem(last=False)


async def gather(
    call: Message, prompt: str, *, me: int, recall: Recall, history: History, limits: Limits
) -> Conversation:
    """Follow the replies back from `call`, whose words without the call itself are `prompt`."""
    chain, cut = await _chain(call, recall, history, limits.max_turns)
    words = prompt or "(calls you and says nothing more)"
    newest = Turn("user", f"{_name(call)}: {_with_names(words, call)}"[: limits.max_characters])
    turns, room = [newest], limits.max_characters - len(newest.text)
    for message in chain:
        turn = _turn(message, me)
        room -= len(turn.text)
        if room < 0:
            cut = True
            break
        if turn.text:
            turns.append(turn)
    return Conversation(tuple(reversed(turns)), cut)


async def _chain(
    call: Message, recall: Recall, history: History, max_turns: int
) -> tuple[list[Message], bool]:
    """List what `call` replies to, what that replies to and so on, and whether some is missing."""
    chain: list[Message] = []
    at = call
    try:
        async with asyncio.timeout(_FETCH_SECONDS):
            while at.replies_to is not None:
                if len(chain) + 1 >= max_turns:
                    return chain, True
                place = at.replies_in or at.channel_id
                found = recall.get(at.replies_to) or await history.fetch(place, at.replies_to)
                if found is None:
                    return chain, True
                recall.put(found)
                chain.append(found)
                at = found
    except TimeoutError:
        return chain, True
    return chain, False


def _turn(message: Message, me: int) -> Turn:
    text = _with_names(message.text, message).strip()
    if message.author.id == me:
        return Turn("assistant", text)
    return Turn("user", f"{_name(message)}: {text}" if text else "")


def _name(message: Message) -> str:
    """The writer's name, unable to pass for the beginning of another message."""
    return re.sub(r"[\s:]+", " ", message.author.name).strip()[:_NAME_LENGTH] or "Someone"


def _with_names(text: str, message: Message) -> str:
    """`text` with names where Discord writes numbers."""
    return re.sub(r"<@!?(\d+)>", lambda hit: f"@{message.names.get(int(hit[1]), 'someone')}", text)
