"""Sends an answer piece by piece, and breaks it off if a fault says so.

A `Writer` (Responses or Chat Completions) formats the events; when they are sent, and how a stream
ends, is the same for both and is implemented here.
"""

import asyncio
import json
import socket
import struct
import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, Protocol

from aiohttp import web

from .answers import Answer
from .dialect import Dialect
from .errors import ApiError
from .records import Fault, FaultKind

Event = dict[str, Any] | str  # a string is sent unchanged

# Faults that break a stream in the middle.
BREAKS = {
    FaultKind.STALL,
    FaultKind.CUT,
    FaultKind.RESET,
    FaultKind.MALFORMED,
    FaultKind.ERROR_EVENT,
    FaultKind.ERROR_OBJECT,
    FaultKind.FAILED,
    FaultKind.INCOMPLETE,
    FaultKind.CONTENT_FILTER,
}
# Faults that replace the end of a whole answer.
ENDS = {FaultKind.NO_FINISH, FaultKind.FINISH_ERROR, FaultKind.FINISH_UNKNOWN}


class Writer(Protocol):
    """How one API formats an answer as events."""

    named: bool  # whether events have a name in addition to their data

    def begin(self) -> Iterable[Event]:
        """Return the events before any text."""

    def piece(self, text: str) -> Event:
        """Return the event for a piece of text."""

    def end(self, reason: str) -> Iterable[Event]:
        """Return the events after the text.

        `reason` is "completed", "incomplete", or a kind of fault.
        """


class StreamSender:
    """One streamed answer on one connection."""

    def __init__(
        self,
        request: web.Request,
        response: web.StreamResponse,
        writer: Writer,
        dialect: Dialect,
        update: Callable[..., None],
    ) -> None:
        self._request = request
        self._response = response
        self._writer = writer
        self._dialect = dialect
        self._update = update
        self._sent: list[str] = []

    async def send(self, answer: Answer, fault: Fault | None) -> str:
        """Send the whole answer, or as much as the fault permits; return the record's ending."""
        await self._response.prepare(self._request)
        if fault and fault.kind is FaultKind.EMPTY:
            await self._response.write_eof()
            return fault.kind.value
        if self._dialect.streams.comment:
            await self._write(f": {self._dialect.streams.comment}\n\n")
        for event in self._writer.begin():
            await self._event(event)
        await asyncio.sleep(answer.first)
        breaks = fault if fault and fault.kind in BREAKS else None
        for number, piece in enumerate(answer.pieces):
            if breaks and number >= breaks.after:
                return await self._break(breaks)
            if number:
                await asyncio.sleep(answer.delay)
            await self._piece(piece)
        if breaks:
            return await self._break(breaks)
        if fault and fault.kind in ENDS:
            return await self._end(fault.kind.value)
        return await self._end("incomplete" if answer.truncated else "completed")

    @staticmethod
    async def refuse(
        request: web.Request, response: web.StreamResponse, dialect: Dialect, body: str
    ) -> None:
        """Send an error as the only event of a stream, for dialects that do so."""
        await response.prepare(request)
        await response.write(_error_event(dialect, body).encode())
        await response.write_eof()

    async def _piece(self, piece: str) -> None:
        await self._event(self._writer.piece(piece))
        now = {} if self._sent else {"first_text_at": time.time()}
        self._sent.append(piece)
        self._update(text="".join(self._sent), chunks=len(self._sent), **now)

    async def _break(self, fault: Fault) -> str:
        kind = fault.kind
        if kind is FaultKind.STALL:
            await forever()
        if kind is FaultKind.RESET:
            await asyncio.sleep(0)  # lets the written data reach the socket
            reset(self._request)
        elif kind is FaultKind.CUT:
            await self._response.write_eof()
        elif kind is FaultKind.MALFORMED:
            await self._write('data: {"type": "response.output_text.delta", "delt\n\n')
            await self._response.write_eof()
        elif kind is FaultKind.ERROR_OBJECT:
            body = json.dumps({"error": server_error_object()})
            await self._write(_error_event(self._dialect, body))
            await self._response.write_eof()
        else:
            await self._end(kind.value)
        return kind.value

    async def _end(self, reason: str) -> str:
        # The record is completed before the last event is sent, so that a client that sees the
        # end of the answer finds it complete.
        self._update(ending=reason, ended_at=time.time())
        if reason in {"error_event", "failed"} and not self._writer.named:
            _, body, _ = self._dialect.tells(ApiError("stream_error"))
            await self._write(_error_event(self._dialect, body))
        else:
            for event in self._writer.end(reason):
                await self._event(event)
        await self._response.write_eof()
        return reason

    async def _event(self, event: Event) -> None:
        if isinstance(event, str):
            await self._write(f"data: {event}\n\n")
            return
        name = f"event: {event['type']}\n" if self._writer.named and "type" in event else ""
        data = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        await self._write(f"{name}data: {data}\n\n")

    async def _write(self, text: str) -> None:
        await self._response.write(text.encode())


def _error_event(dialect: Dialect, body: str) -> str:
    name = "event: error\n" if dialect.streams.error_event else ""
    return f"{name}data: {body}\n\n"


def server_error_object() -> dict[str, Any]:
    """Return the error that ends a stream in the middle."""
    return {
        "type": "server_error",
        "code": "server_error",
        "message": "The server had an error processing your request. Sorry about that!",
        "param": None,
    }


def reset(request: web.Request) -> None:
    """Close the connection with a TCP reset, as a crashing proxy does."""
    transport = request.transport
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def forever() -> NoReturn:
    """Wait until the client gives up; the handler is then cancelled."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")
