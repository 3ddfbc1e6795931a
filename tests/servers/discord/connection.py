"""One WebSocket of the gateway: reads commands, writes payloads, enforces the heartbeat."""

import asyncio
import contextlib
import json
from collections import deque
from typing import Any, Final

from aiohttp import WSMsgType, web

from tests.servers.discord.compression import Encoder
from tests.servers.discord.errors import Json
from tests.servers.discord.faults import Fault
from tests.servers.discord.sessions import Written, compact

DISPATCH, HEARTBEAT, IDENTIFY, PRESENCE, RESUME, RECONNECT = 0, 1, 2, 3, 6, 7
REQUEST_MEMBERS, INVALID_SESSION, HELLO, ACK = 8, 9, 10, 11
LONGEST_COMMAND: Final = 4096
UNSENT: Final = 4000
GRACE: Final = 1.5  # heartbeat intervals


class Close(Exception):
    """The connection must be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class Connection:
    """Sends and receives payloads; the gateway interprets them."""

    def __init__(
        self, ws: web.WebSocketResponse, request: web.Request, encode: Encoder, interval: float
    ) -> None:
        self.ws = ws
        self.session_id: str | None = None
        self.interval = interval
        self.slow = 0.0
        self.acknowledges = True
        self.silent: Fault | None = None  # the black_hole fault in force here
        self.closing: int | None = None  # the code that the server closes with
        self.host = request.host  # the name or address that the client used
        self._request = request
        self._encode = encode
        self._outbox: asyncio.Queue[tuple[str | bytes, Written | None] | Close] = asyncio.Queue()
        self._beat_by = 0.0
        self._commands: deque[float] = deque()
        self._timeout: asyncio.Timeout | None = None

    def send(self, text: str, written: Written | None = None) -> None:
        """Queue a payload; a client that reads too slowly is disconnected."""
        if self._outbox.qsize() < UNSENT:
            self._outbox.put_nowait((text, written))
        else:
            self.abort()

    def send_raw(self, data: bytes) -> None:
        """Queue bytes to be sent unchanged, as one frame."""
        self._outbox.put_nowait((data, None))

    def send_op(self, op: int, data: Any = None) -> None:
        """Queue a payload that is not a dispatch."""
        self.send(compact({"t": None, "s": None, "op": op, "d": data}))

    def shut(self, code: int, reason: str = "") -> None:
        """Close once everything queued has been sent."""
        self._outbox.put_nowait(Close(code, reason))

    def abort(self) -> None:
        """Cut the TCP connection."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def stop_traffic(self, fault: Fault) -> None:
        """Send and read nothing from now on, but keep the connection open."""
        self.silent = fault
        if self._timeout is not None:
            self._timeout.reschedule(0)

    def report(self) -> Json:
        """Return the report for the control API."""
        peer = self._request.remote or ""
        return {"peer": peer, "unsent": self._outbox.qsize(), "silent": self.silent is not None}

    async def write(self) -> None:
        """Send queued payloads until the connection ends."""
        while True:
            item = await self._outbox.get()
            if self.slow:
                await asyncio.sleep(self.slow)
            if self.silent is not None:
                return
            if isinstance(item, Close):
                self.closing = item.code
                await self.ws.close(code=item.code, message=item.reason.encode())
                return
            text, written = item
            message = self._encode(text) if isinstance(text, str) else text
            with contextlib.suppress(ConnectionError):
                if isinstance(message, str):
                    await self.ws.send_str(message)
                else:
                    await self.ws.send_bytes(message)
                if written is not None:
                    written()

    async def read(self, per_minute: int) -> Json | None:
        """Return the next command; None at the end. Raises Close if a rule is broken."""
        loop = asyncio.get_running_loop()
        if not self._beat_by:
            self._beat_by = loop.time() + self.interval * GRACE
        try:
            async with asyncio.timeout_at(self._beat_by) as self._timeout:
                message = await self.ws.receive()
        except TimeoutError:
            if self.silent is not None:
                return None
            raise Close(4009, "Session timed out.") from None
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return None
        self._check_pace(per_minute, loop.time())
        command = _decoded(message.data)
        if command["op"] == HEARTBEAT:
            self._beat_by = loop.time() + self.interval * GRACE
        return command

    def _check_pace(self, per_minute: int, now: float) -> None:
        self._commands.append(now)
        while self._commands[0] < now - 60:
            self._commands.popleft()
        if len(self._commands) > per_minute:
            raise Close(4008, "You are being rate limited.")


def _decoded(data: str | bytes) -> Json:
    if len(data) > LONGEST_COMMAND:
        raise Close(4002, "Payload too long.")
    try:
        command = json.loads(data)
    except ValueError:
        command = None
    if not isinstance(command, dict) or not isinstance(command.get("op"), int):
        raise Close(4002, "Error while decoding payload.")
    return command
