"""How many requests are answered in an hour: per person, channel and server. Pure.

Every admitted request is noted, so a limit holds for any 60 minutes, not for those of a clock. A
person over a limit is told once when to try again. Refused requests do not count, so asking again
does not extend the wait.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from bot.domain.bounded import BoundedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.settings.schema import LimitsSettings as Settings


HOUR = 3600.0
_KEPT = 20_000  # people and places; the least recent callers are forgotten

Scope = Literal["user", "channel", "server", "day", "month", "set_aside"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and where. `ambient` means that the bot joins in unprompted."""

    user_id: int
    channel_id: int
    guild_id: int | None = None
    ambient: bool = False


@dataclass(frozen=True, slots=True)
class LimitReached:
    """Which limit is reached, until when (seconds since 1970), and whether to say so."""

    scope: Scope
    until: float
    tell: bool = False


class NoticeLog:
    """Who has already been told to wait, and until when."""

    def __init__(self) -> None:
        self._until: BoundedDict[tuple[str, int], float] = BoundedDict(_KEPT)

    def first(self, scope: str, who: int, until: float, now: float) -> bool:
        """Say whether to tell `who` now; from then on they know it until `until`."""
        if self._until.get((scope, who), 0.0) > now:
            return False
        self._until[scope, who] = until
        return True


class HourlyLimits:
    """Admits requests, or says which limit is reached and until when."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._calls: BoundedDict[tuple[Scope, int], deque[float]] = BoundedDict(_KEPT)
        self._told = NoticeLog()

    def admit(self, caller: Caller) -> LimitReached | None:
        """Count a request and admit it, or say what prevents it."""
        over, now = self.over(caller), self._clock()
        if over is not None:
            listener = _listener(caller, over.scope)
            tell = not caller.ambient and self._told.first(over.scope, listener, over.until, now)
            return replace(over, tell=tell)
        for scope, who, _ in self._bounds(caller):
            self._calls[scope, who].append(now)
        return None

    def withdraw(self, caller: Caller) -> None:
        """Take back the newest count of a request that came to nothing."""
        for scope, who, _ in self._bounds(caller):
            if calls := self._calls.get((scope, who)):
                calls.pop()

    def over(self, caller: Caller) -> LimitReached | None:
        """Say what prevents a request; counts nothing."""
        now = self._clock()
        for scope, who, most in self._bounds(caller):
            calls = self._recent(scope, who, now)
            if len(calls) >= most:
                return LimitReached(scope, calls[-most] + HOUR if most else now + HOUR)
        return None

    def _bounds(self, caller: Caller) -> Iterator[tuple[Scope, int, int]]:
        """Yield each limit that applies: what it counts, whose, and how many are admitted."""
        settings = self._settings
        below = 1 - settings.reserve if caller.ambient else 1.0
        if settings.user_per_hour and not caller.ambient:
            yield "user", caller.user_id, settings.user_per_hour
        if settings.channel_per_hour:
            yield "channel", caller.channel_id, int(settings.channel_per_hour * below)
        if settings.server_per_hour and caller.guild_id is not None:
            yield "server", caller.guild_id, int(settings.server_per_hour * below)

    def _recent(self, scope: Scope, who: int, now: float) -> deque[float]:
        calls = self._calls.get((scope, who))
        if calls is None:
            calls = deque()
        self._calls[scope, who] = calls
        while calls and calls[0] <= now - HOUR:
            calls.popleft()
        return calls


def _listener(caller: Caller, scope: Scope) -> int:
    """Name who is told: the person for a personal limit, otherwise the place, once for everyone."""
    return caller.user_id if scope == "user" else caller.channel_id
