"""Pace requests to Discord: within its rate limits, and shared fairly between answers.

Discord takes 5 messages per 5 s in a channel (edits are counted likewise, apart) and 50 requests a
second in all (https://discord.com/developers/docs/topics/rate-limits). New messages and last edits
must go out; edits in between may be rarer, so those give way. Where a limit is near, an answer is
shown a little later: if it is complete by then, it needs no edit at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_CHANNEL_GAP = 1.25  # seconds between edits in one channel: 4 of the 5 per 5 s
_EDITS_PER_SECOND = 20  # of the 50 requests; the rest is for messages, typing and reading
_REQUESTS_PER_SECOND = 40
_BURST = 8  # 48 in the fullest second
_BEHIND = 0.5  # seconds to wait: from here on edits in between are left out
_WINDOW = 5.0  # seconds for which Discord counts in a channel
_NEAR = 4  # new messages or edits in a channel's window: one more, and the limit is reached
_NEAR_EVERYWHERE = 30 * _WINDOW  # of the 40 requests a second
_NEAR_GAP = 0.6  # seconds: what short answers take to be complete


class EditRate:
    """Knows which answers are being written, and so how often each of them may be edited."""

    def __init__(self, edit_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._edit_seconds = edit_seconds
        self._clock = clock
        self._live: Counter[int] = Counter()
        self._shown: deque[tuple[float, int, bool]] = deque()  # in the last window, oldest first
        self._near: Counter[tuple[int, bool]] = Counter()  # the same, in each channel

    @contextlib.contextmanager
    def answering(self, channel_id: int) -> Iterator[None]:
        """Count an answer in `channel_id` as live for as long as the block lasts."""
        self._live[channel_id] += 1
        try:
            yield
        finally:
            self._live[channel_id] -= 1
            if not self._live[channel_id]:
                del self._live[channel_id]

    def edit_gap(self, channel_id: int) -> float:
        """Seconds until the next edit of one live answer in `channel_id`."""
        here = self._live[channel_id] * _CHANNEL_GAP
        everywhere = self._live.total() / _EDITS_PER_SECOND
        return max(self._edit_seconds, here, everywhere)

    def count(self, channel_id: int, *, edit: bool) -> None:
        """Count that an answer in `channel_id` is shown, or shown again (`edit`), from now on."""
        self._forget()
        self._shown.append((self._clock(), channel_id, edit))
        self._near[channel_id, edit] += 1

    def first_gap(self, channel_id: int, wanted: float) -> float:
        """Seconds for which a new answer's text is collected: `wanted`, more near a limit."""
        self._forget()
        here = max(self._near[channel_id, False], self._near[channel_id, True])
        near = here >= _NEAR or len(self._shown) >= _NEAR_EVERYWHERE
        return max(wanted, _NEAR_GAP) if near else wanted

    def _forget(self) -> None:
        """Drop what lies before the window."""
        while self._shown and self._shown[0][0] <= self._clock() - _WINDOW:
            _, channel_id, edit = self._shown.popleft()
            self._near[channel_id, edit] -= 1
            if not self._near[channel_id, edit]:
                del self._near[channel_id, edit]


class RateLimiter:
    """Lets requests through at the rate that Discord allows one bot, a few at once."""

    def __init__(
        self, rate: float = _REQUESTS_PER_SECOND, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._step = 1 / rate
        self._clock = clock
        self._next = self._blocked_until = 0.0

    def delay(self) -> float:
        """Take the next slot; return the seconds until it."""
        now = self._clock()
        self._next = max(self._next + self._step, now - _BURST * self._step)
        return max(0.0, self._next - now)

    def block(self, seconds: float) -> None:
        """Let no request through for this long, because Discord's edge blocks all of them."""
        self._blocked_until = max(self._blocked_until, self._clock() + seconds)
        self._next = max(self._next, self._blocked_until)

    @property
    def blocked(self) -> float:
        """Seconds for which nothing is let through."""
        return max(0.0, self._blocked_until - self._clock())

    @property
    def behind(self) -> bool:
        """Whether so many requests wait that optional ones should be skipped."""
        return self._next - self._clock() > _BEHIND

    async def __call__(self) -> None:
        """Wait for a slot."""
        delay = self.delay()
        if delay:
            await asyncio.sleep(delay)
