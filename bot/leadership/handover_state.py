"""The state that outlives a leader: what it processed, and what a standby buffered.

`HandoverState` is what travels in the annotations of a shard's Lease. `ProcessedMessages` accepts
each message once, however often it is received and whichever pod leads next. A predecessor that
released its Lease finishes what it accepted, so that is left alone; should it fail, what it had not
finished is checked again once it must have ended. After a crash nothing of that counts: Discord's
history shows what was answered.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bot.domain.messages import Message


class HandoverState(Protocol):
    """Something small that must outlive a pod: annotation `discord-sky/<name>` of a shard's Lease.

    Both methods are quick, never wait, and are called from the event loop. Each renewal of a Lease
    carries what `dump` returns, so a pod that is killed loses what changed since the last one: a
    few seconds of it, and more if the API server did not answer (see LeaseTiming).
    """

    name: str

    def dump(self, shard: int) -> str:
        """Return what to keep for `shard`; a few kilobytes at most.

        Called before each renewal that carries it, and at the hand-over.
        """

    def load(self, shard: int, text: str) -> None:
        """Load what another process kept.

        Called when this process begins to lead `shard`, and for the shards of other processes
        whenever their Leases are read. Ignore text that cannot be read; do not raise.
        """


_SECONDS = 120.0  # longer than a Lease lasts; the backfill finds older ones
_MOST = 2000


class StandbyBuffer:
    """Messages by shard that the bot would have answered, oldest first, for two minutes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: OrderedDict[int, tuple[float, int, Message, int]] = OrderedDict()

    def put(self, shard: int, message: Message, me: int) -> None:
        """Keep a message that calls the bot, whose user id is `me`."""
        self._drop_old()
        self._calls[message.id] = (self._clock(), shard, message, me)
        if len(self._calls) > _MOST:
            self._calls.popitem(last=False)

    def take(self, message_id: int) -> tuple[Message, int] | None:
        """Return one message and drop it; None if it was not received in the last two minutes."""
        self._drop_old()
        found = self._calls.pop(message_id, None)
        return (found[2], found[3]) if found else None

    def edit(self, message: Message) -> None:
        """Keep the new text of a message."""
        if message.id in self._calls:
            when, shard, _, me = self._calls[message.id]
            self._calls[message.id] = (when, shard, message, me)

    def forget(self, message_id: int) -> None:
        """Drop a message that was deleted."""
        self._calls.pop(message_id, None)

    def pop(self, shard: int) -> list[tuple[Message, int]]:
        """Return the messages of one shard, and drop them."""
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


_REMEMBERED = 10_000  # ids: Discord repeats an event after a resume, minutes later at most
_TOLD_SECONDS = 150.0  # longer than a standby buffers messages
_STAYING_SECONDS = 120.0  # for a process that yielded its Lease: it has not begun to end


@dataclass(slots=True)
class Left:
    """What another process left: message ids, and how many more seconds it may work on them."""

    taken: list[int] = field(default_factory=list)
    unfinished: list[int] = field(default_factory=list)
    passed: dict[int, float] = field(default_factory=dict)


class ProcessedMessages:
    """The messages that were accepted, by shard. A HandoverState."""

    name = "taken"

    def __init__(self, ending_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Assume that a process that released its Lease has ended after `ending_seconds`."""
        self._ending = ending_seconds
        self._clock = clock
        self._when: OrderedDict[int, tuple[int, float]] = OrderedDict()  # shard, time of acceptance
        self._open: dict[int, set[int]] = {}
        self._left: dict[int, Left] = {}
        self._passed: dict[int, dict[int, float]] = {}

    def take(self, shard: int, message_id: int) -> bool:
        """Note a message; False if it was accepted before."""
        if message_id in self._when:
            return False
        self.retake(shard, message_id)
        return True

    def retake(self, shard: int, message_id: int) -> None:
        """Note that a message, accepted before or not, is being answered again."""
        self._note(shard, message_id)
        self._open.setdefault(shard, set()).add(message_id)

    def finish(self, shard: int, message_id: int) -> None:
        """Note that the message is finished."""
        self._open.get(shard, set()).discard(message_id)

    def forget(self, shard: int, message_id: int) -> None:
        """Allow the message to be accepted again."""
        self.finish(shard, message_id)
        self._when.pop(message_id, None)

    def __contains__(self, message_id: int) -> bool:
        return message_id in self._when

    def pass_on(self, shard: int, message_ids: Iterable[int]) -> None:
        """Leave messages to another process that stays; they are checked if it takes too long."""
        due = self._clock() + _STAYING_SECONDS
        for message_id in message_ids:
            self.finish(shard, message_id)
            self._passed.setdefault(shard, {})[message_id] = due

    def hasten(self, shard: int, seconds: float) -> None:
        """Check what was left to another process after `seconds` at the latest."""
        due, passed = self._clock() + seconds, self._passed.get(shard, {})
        for message_id, at in passed.items():
            passed[message_id] = min(at, due)

    def dump(self, shard: int, *, staying: bool = False) -> str:
        """See HandoverState. A process that is `staying` has more time to finish its messages."""
        now = self._clock()
        recent = [
            message_id
            for message_id, (of, when) in self._when.items()
            if of == shard and now - when < _TOLD_SECONDS
        ]
        passed = {each: max(0.0, at - now) for each, at in self._passed.get(shard, {}).items()}
        if staying:
            passed |= dict.fromkeys(self._open.get(shard, set()), _STAYING_SECONDS)
        return json.dumps(
            {
                "taken": packed(recent),
                "unfinished": packed(self._open.get(shard, set())),
                "passed": {str(each): round(left, 1) for each, left in passed.items()},
            }
        )

    def load(self, shard: int, text: str) -> None:
        """See HandoverState."""
        try:
            kept = json.loads(text)
            left = Left(
                unpacked(kept["taken"]),
                unpacked(kept["unfinished"]),
                {int(each): float(left) for each, left in kept["passed"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            left = Left()
        self._left[shard] = left

    def settle(self, shard: int, *, orderly: bool) -> list[int]:
        """Begin with what was loaded; returns what the predecessor had not finished.

        `orderly` says that the predecessor released its Lease and finishes it.
        """
        left = self._left.pop(shard, Left())
        now = self._clock()
        passed = {each: now + seconds for each, seconds in left.passed.items()}
        if orderly:
            ending = now + self._ending
            passed |= {each: max(ending, passed.get(each, ending)) for each in left.unfinished}
            for message_id in left.taken:
                self._note(shard, message_id)
        for message_id in passed:
            self._note(shard, message_id)
        self._passed.setdefault(shard, {}).update(passed)
        return left.unfinished

    def overdue(self, shard: int) -> list[int]:
        """Return the messages whose process must have ended by now, to be checked again."""
        now, own = self._clock(), self._open.get(shard, set())
        passed = self._passed.get(shard, {})
        due = [each for each, at in passed.items() if at <= now and each not in own]
        for message_id in due:
            del self._passed[shard][message_id]
            self.forget(shard, message_id)
        return due

    def _note(self, shard: int, message_id: int) -> None:
        self._when[message_id] = (shard, self._clock())
        if len(self._when) > _REMEMBERED:
            self._when.popitem(last=False)


def packed(ids: Iterable[int]) -> str:
    """Encode ids compactly: sorted, each as its difference from the one before."""
    words, before = [], 0
    for each in sorted(ids):
        words.append(f"{each - before:x}")
        before = each
    return " ".join(words)


def unpacked(text: str) -> list[int]:
    """Decode what `packed` wrote; raises ValueError."""
    ids, at = [], 0
    for word in text.split():
        at += int(word, 16)
        ids.append(at)
    return ids
