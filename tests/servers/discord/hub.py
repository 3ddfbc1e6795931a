"""Sends events to the sessions that want them, and plays the faults of dispatching."""

import asyncio
import json
from collections.abc import Callable
from typing import Final

from tests.servers.discord import intents
from tests.servers.discord.counts import Counts
from tests.servers.discord.errors import Json
from tests.servers.discord.faults import Faults
from tests.servers.discord.session import Event, Session, Written

SESSIONS: Final = 256
HELD_AT_MOST: Final = 2.0


def compact(data: Json) -> str:
    """JSON as it goes over the wire."""
    return json.dumps(data, separators=(",", ":"))


class Hub:
    """All sessions, connected or to be resumed."""

    def __init__(self, counts: Counts, faults: Faults, clock: Callable[[], float]) -> None:
        self.sessions: dict[str, Session] = {}
        self._counts, self._faults, self._clock = counts, faults, clock
        self._held: list[Event] = []
        self._release: asyncio.TimerHandle | None = None

    @property
    def live(self) -> list[Session]:
        """Those with a connection."""
        return [each for each in self.sessions.values() if each.outlet is not None]

    def add(self, session: Session, resume_seconds: float) -> None:
        """A new session; those that nobody came back for in time are forgotten."""
        self.forget(resume_seconds)
        self.sessions[session.id] = session

    def forget(self, resume_seconds: float) -> None:
        """Drop sessions that can no longer be resumed, and the oldest beyond what is bearable."""
        gone = [each for each in self.sessions.values() if each.outlet is None]
        gone.sort(key=lambda each: each.left_at)
        spare = len(self.sessions) - SESSIONS
        for number, each in enumerate(gone):
            if number < spare or self._clock() - each.left_at > resume_seconds:
                del self.sessions[each.id]

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
        """Send an event to every session that wants it; `by` whom it came about."""
        whole = compact(full)
        intent = intents.needed(name, in_guild=guild_id is not None)
        event = Event(name, whole, compact(bare) if bare else whole, intent, guild_id, written)
        fault = self._faults.strike("dispatch", name, by=by)
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
        for session in self.sessions.values():
            if session.wants(event):
                self._counts.dispatched += 1
                sees = session.intents & intents.MESSAGE_CONTENT
                session.push(event.name, event.full if sees else event.bare, event.written)

    def _hold(self, event: Event) -> None:
        """Keep an event back until the next one has passed it, or for a little while."""
        self._held.append(event)
        self._release = asyncio.get_running_loop().call_later(HELD_AT_MOST, self._flush)

    def _flush(self) -> None:
        for event in self._let_go():
            self._deliver(event)

    def _let_go(self) -> list[Event]:
        if self._release is not None:
            self._release.cancel()
            self._release = None
        held, self._held = self._held, []
        return held
