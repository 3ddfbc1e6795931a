"""Injected faults: what goes wrong, where, and for how many times or seconds; pure except `hold`.

where      kinds
rest       status, error, rate_limit, slow, black_hole, drop, unreadable (the request is carried
           out, the response is 200 with `body`); with `edge`, responses are Cloudflare's
cdn        status, slow, black_hole, drop
gateway    status (of the handshake), reconnect, invalid_session, close (1006: the TCP connection is
           reset), black_hole, no_ack, slow; `on`: now (every connection), connect, identify,
           resume, or always (now and at every connect)
dispatch   duplicate, reorder, lose
listener   refuse: the port is closed, and open connections are reset
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, Final

from tests.servers.discord.errors import Json

KINDS: Final = {
    "rest": ("status", "error", "rate_limit", "slow", "black_hole", "drop", "unreadable"),
    "cdn": ("status", "slow", "black_hole", "drop"),
    "gateway": (
        "status",
        "reconnect",
        "invalid_session",
        "close",
        "black_hole",
        "no_ack",
        "slow",
    ),
    "dispatch": ("duplicate", "reorder", "lose"),
    "listener": ("refuse",),
}
MOMENTS: Final = ("now", "connect", "identify", "resume", "always")
LONGEST: Final = 900.0


@dataclass(slots=True)
class Fault:
    """One fault. `count` is the number of times left; without count and seconds it applies once."""

    where: str
    kind: str
    id: int = 0
    route: str | None = None  # rest: "POST /channels/{channel_id}/messages", * allowed; None: all
    event: str | None = None  # dispatch: "MESSAGE_CREATE"; None: all
    by: str | None = None  # dispatch: only events caused by a "user" or the "bot"
    on: str = "now"  # gateway: when it applies
    count: int | None = None
    seconds: float | None = None
    status: int = 503
    code: int = 0  # error and rate_limit: Discord's code; gateway close: the close code
    errors: Json | None = None  # error: errors by field, as in 50035
    message: str = "Service Unavailable"
    retry_after: float = 1.0
    scope: str = "user"  # rate_limit: user, global or shared
    edge: bool = False  # without Discord's own headers; clients recognize it by the missing Via
    grows: bool = False  # rate_limit: each request before its end extends it, see `pause`
    delay: float = 1.0
    after: bool = False  # rest: the request is carried out first, then its response is replaced
    resumable: bool = False  # invalid_session
    html: bool = False  # status: an HTML page, which implies edge; unreadable: no JSON
    body: str = "{}"  # unreadable: the whole response
    hits: int = 0
    until: float = 0.0
    over: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def shown(self) -> Json:
        """Return the fault as the control API reports it."""
        return {k: v for k, v in asdict(self).items() if k not in ("over", "until")}


class Faults:
    """The active faults."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next = 1
        self.active: dict[int, Fault] = {}
        self._holding: dict[int, Fault] = {}

    def add(self, spec: dict[str, Any]) -> Fault:
        """Activate a fault; ValueError says what is wrong with it."""
        known = {each.name for each in fields(Fault)} - {"id", "hits", "until", "over"}
        if unknown := set(spec) - known:
            msg = f"unknown field of a fault: {', '.join(sorted(unknown))}; known: {sorted(known)}"
            raise ValueError(msg)
        if spec.get("kind") not in KINDS.get(spec.get("where", ""), ()):
            msg = f"unknown fault: {spec.get('where')!r} {spec.get('kind')!r}; known: {KINDS}"
            raise ValueError(msg)
        if spec.get("on", "now") not in MOMENTS:
            msg = f"unknown moment: {spec['on']!r}; known: {MOMENTS}"
            raise ValueError(msg)
        fault = Fault(**spec, id=self._next)
        if fault.count is None and fault.seconds is None:
            fault.count = 1
        fault.until = self._clock() + (LONGEST if fault.seconds is None else fault.seconds)
        self._next += 1
        self.active[fault.id] = fault
        return fault

    def match(self, where: str, subject: str, on: str = "now", by: str = "") -> Fault | None:
        """Return and count the first fault that applies; `subject` is the route or event name."""
        moments = (on, "always") if on == "connect" else (on,)
        mine = [f for f in self.active.values() if f.where == where and f.on in moments]
        for fault in [f for f in mine if f.by in (None, by)]:
            if self._clock() >= fault.until:
                self.end(fault)
            elif fnmatchcase(subject, fault.route or fault.event or "*"):
                self._hit(fault)
                return fault
        return None

    def left(self, fault: Fault) -> float:
        """Return the seconds until the fault expires."""
        return max(0.0, fault.until - self._clock())

    def pause(self, fault: Fault) -> float:
        """Return the seconds that a rate limit tells a request to wait.

        A growing one ends when the pause that it announced first is over; each request before
        that adds another pause.
        """
        if not fault.grows:
            return fault.retry_after
        begun = self._clock() if fault.hits == 1 else fault.until
        fault.until = begun + fault.retry_after
        return fault.until - self._clock()

    def end(self, fault: Fault) -> None:
        """End a fault and release the requests that it holds."""
        self.active.pop(fault.id, None)
        self._holding.pop(fault.id, None)
        fault.over.set()

    def end_all(self) -> None:
        """End every fault, including spent ones that still hold requests."""
        for fault in [*self.active.values(), *self._holding.values()]:
            self.end(fault)

    def find(self, fault_id: int) -> Fault | None:
        """Return the fault with that number, unless it has ended."""
        return self.active.get(fault_id) or self._holding.get(fault_id)

    async def hold(self, fault: Fault) -> None:
        """Wait until the fault is over: a black hole holds its requests this way."""
        self._holding[fault.id] = fault
        try:
            await asyncio.wait_for(fault.over.wait(), self.left(fault))
        except TimeoutError:
            self.end(fault)

    def _hit(self, fault: Fault) -> None:
        fault.hits += 1
        if fault.count is not None:
            fault.count -= 1
            if fault.count <= 0:
                # Not `end`: a black hole holds its last request until its time is up.
                self.active.pop(fault.id, None)
