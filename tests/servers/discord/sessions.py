"""Gateway sessions, which outlive connections, and the dispatch of events to all of them."""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from tests.servers.discord import intents
from tests.servers.discord.counts import Counts
from tests.servers.discord.errors import Json
from tests.servers.discord.faults import Faults

Written = Callable[[], None]
REPLAY_LIMIT: Final = 2000
MAX_SESSIONS: Final = 256
REORDER_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Event:
    """An event to dispatch; `bare` is what a session without message content receives.

    `written` is called each time it has been written to a connection.
    """

    name: str
    full: str
    bare: str
    intent: int
    guild_id: int | None
    written: Written | None = None


class Transport(Protocol):
    """Sends a session's payloads while it is connected."""

    def send(self, text: str, written: Written | None = None) -> None:
        """Queue one payload; `written` is called once it has been sent."""

    def shut(self, code: int, reason: str = "") -> None:
        """Close the connection."""

    def report(self) -> Json:
        """Return the report for the control API."""


@dataclass(slots=True)
class Session:
    """One identified client; `transport` is None between connections."""

    id: str
    token: str
    intents: int
    shard: tuple[int, int]
    seq: int = 0
    transport: Transport | None = None
    left_at: float = 0.0
    log: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=REPLAY_LIMIT))

    def serves(self, guild_id: int | None) -> bool:
        """Return whether a guild is on this session's shard; DMs are on shard 0."""
        number, of = self.shard
        return number == (0 if guild_id is None else (guild_id >> 22) % of)

    def wants(self, event: Event) -> bool:
        """Return whether it serves the event's guild and requested its intent."""
        return self.serves(event.guild_id) and event.intent & self.intents == event.intent

    def push(self, name: str, data: str, written: Written | None = None) -> None:
        """Number a dispatch, store it, and send it if there is a connection."""
        self.seq += 1
        text = f'{{"t":"{name}","s":{self.seq},"op":0,"d":{data}}}'
        self.log.append((self.seq, text))
        if self.transport is not None:
            self.transport.send(text, written)

    def missed(self, seq: int) -> list[str] | None:
        """Return the payloads after `seq`, or None if some of them have been dropped."""
        if seq < self.seq and (not self.log or self.log[0][0] > seq + 1):
            return None
        return [text for number, text in self.log if number > seq]


def compact(data: Json) -> str:
    """Return compact JSON, as it is sent."""
    return json.dumps(data, separators=(",", ":"))


class SessionManager:
    """All sessions, connected or resumable."""

    def __init__(self, counts: Counts, faults: Faults, clock: Callable[[], float]) -> None:
        self.by_id: dict[str, Session] = {}
        self._counts, self._faults, self._clock = counts, faults, clock
        self._held: list[Event] = []
        self._release: asyncio.TimerHandle | None = None

    @property
    def live(self) -> list[Session]:
        """Return the sessions with a connection."""
        return [each for each in self.by_id.values() if each.transport is not None]

    def add(self, session: Session, resume_seconds: float) -> None:
        """Add a session; drop those that were not resumed in time."""
        self.forget(resume_seconds)
        self.by_id[session.id] = session

    def forget(self, resume_seconds: float) -> None:
        """Drop sessions that can no longer be resumed, and the oldest beyond the limit."""
        gone = [each for each in self.by_id.values() if each.transport is None]
        gone.sort(key=lambda each: each.left_at)
        spare = len(self.by_id) - MAX_SESSIONS
        for number, each in enumerate(gone):
            if number < spare or self._clock() - each.left_at > resume_seconds:
                del self.by_id[each.id]

    def forget_all(self) -> None:
        """Drop every session, and events held back for them."""
        self._let_go()
        self.by_id.clear()

    def dispatch(
        self,
        name: str,
        full: Json,
        *,
        guild_id: int | None,
        bare: Json | None = None,
        by: str = "user",
        written: Written | None = None,
    ) -> None:
        """Send an event to every session that wants it; `by` is who caused it."""
        whole = compact(full)
        intent = intents.needed(name, in_guild=guild_id is not None)
        event = Event(name, whole, compact(bare) if bare else whole, intent, guild_id, written)
        fault = self._faults.match("dispatch", name, by=by)
        if fault is not None:
            self._counts.faults[f"dispatch {fault.kind}"] += 1
        kind = fault.kind if fault else ""
        if kind == "lose":
            return
        if kind == "reorder" and not self._held:
            self._hold(event)
            return
        for each in [event, *([event] if kind == "duplicate" else []), *self._let_go()]:
            self._deliver(each)

    def _deliver(self, event: Event) -> None:
        for session in self.by_id.values():
            if session.wants(event):
                self._counts.dispatched += 1
                sees = session.intents & intents.MESSAGE_CONTENT
                session.push(event.name, event.full if sees else event.bare, event.written)

    def _hold(self, event: Event) -> None:
        """Hold an event back until the next one has overtaken it, or for a short time."""
        self._held.append(event)
        self._release = asyncio.get_running_loop().call_later(REORDER_SECONDS, self._flush)

    def _flush(self) -> None:
        for event in self._let_go():
            self._deliver(event)

    def _let_go(self) -> list[Event]:
        if self._release is not None:
            self._release.cancel()
            self._release = None
        held, self._held = self._held, []
        return held
