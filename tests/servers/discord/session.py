"""A gateway session: what outlives a connection, so that RESUME can replay what was missed."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from tests.servers.discord.errors import Json

Written = Callable[[], None]
LOG: Final = 2000


@dataclass(frozen=True, slots=True)
class Event:
    """Something to dispatch; `bare` is what a session without message content gets.

    `written` is called each time that it was written to a connection.
    """

    name: str
    full: str
    bare: str
    intent: int
    guild_id: int | None
    written: Written | None = None


class Outlet(Protocol):
    """Where a session's payloads go while it is connected."""

    def send(self, text: str, written: Written | None = None) -> None:
        """Queue one payload; `written` is called once it has gone out."""

    def shut(self, code: int, reason: str = "") -> None:
        """Close the connection."""

    def report(self) -> Json:
        """What the control API shows of it."""


@dataclass(slots=True)
class Session:
    """One identified client; `outlet` is None between connections."""

    id: str
    token: str
    intents: int
    shard: tuple[int, int]
    seq: int = 0
    outlet: Outlet | None = None
    left_at: float = 0.0
    log: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=LOG))

    def serves(self, guild_id: int | None) -> bool:
        """Whether a guild is on this session's shard; DMs are on shard 0."""
        number, of = self.shard
        return number == (0 if guild_id is None else (guild_id >> 22) % of)

    def wants(self, event: Event) -> bool:
        """Whether it asked for such an event, of such a place."""
        return self.serves(event.guild_id) and event.intent & self.intents == event.intent

    def push(self, name: str, data: str, written: Written | None = None) -> None:
        """Number a dispatch, remember it, and send it if somebody is there."""
        self.seq += 1
        text = f'{{"t":"{name}","s":{self.seq},"op":0,"d":{data}}}'
        self.log.append((self.seq, text))
        if self.outlet is not None:
            self.outlet.send(text, written)

    def missed(self, seq: int) -> list[str] | None:
        """What came after `seq`, or None when some of it has been forgotten."""
        if seq < self.seq and (not self.log or self.log[0][0] > seq + 1):
            return None
        return [text for number, text in self.log if number > seq]
