"""Sends an answer piece by piece, and breaks it where a fault says so.

What the events look like is the business of `Shape` (Responses or Chat Completions); when they
are sent, and how a stream ends, is the same for both and lies here.
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
from .records import Fault, FaultKind

Event = dict[str, Any]

# Faults that break a stream in the middle; the others begin or end one in another way.
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


class Shape(Protocol):
    """How one API writes an answer as events."""

    named: bool  # whether events carry a name beside their data

    def begin(self) -> Iterable[Event]:
        """Give the events before any text."""

    def piece(self, text: str) -> Event:
        """Give the event for a piece of text."""

    def end(self, reason: str) -> Iterable[Event | str]:
        """Give the events after the text; a string is sent as it is.

        `reason` is "completed", "incomplete", "content_filter", "failed" or "error_event".
        """


class Stream:
    """One streamed answer on one connection."""

    def __init__(
        self,
        request: web.Request,
        response: web.StreamResponse,
        shape: Shape,
        note: Callable[..., None],
    ) -> None:
        self._request = request
        self._response = response
        self._shape = shape
        self._note = note
        self._sent: list[str] = []

    async def send(self, answer: Answer, fault: Fault | None) -> str:
        """Send all of it, or what the fault lets through; gives the record's ending."""
        await self._response.prepare(self._request)
        for event in self._shape.begin():
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
        return await self._end("incomplete" if answer.truncated else "completed")

    async def _piece(self, piece: str) -> None:
        await self._event(self._shape.piece(piece))
        now = {} if self._sent else {"first_text_at": time.time()}
        self._sent.append(piece)
        self._note(text="".join(self._sent), chunks=len(self._sent), **now)

    async def _break(self, fault: Fault) -> str:
        kind = fault.kind
        if kind is FaultKind.STALL:
            await forever()
        if kind is FaultKind.RESET:
            await asyncio.sleep(0)  # lets what was written reach the socket
            reset(self._request)
        elif kind is FaultKind.CUT:
            await self._response.write_eof()
        elif kind is FaultKind.MALFORMED:
            await self._write('data: {"type": "response.output_text.delta", "delt\n\n')
            await self._response.write_eof()
        elif kind is FaultKind.ERROR_OBJECT:
            await self._event({"error": server_error_object()})
            await self._response.write_eof()
        else:
            await self._end(kind.value)
        return kind.value

    async def _end(self, reason: str) -> str:
        # What counts for the record is what was sent, so it is noted before the last event:
        # whoever sees the answer's end at the other side finds the record complete.
        self._note(ending=reason, ended_at=time.time())
        for event in self._shape.end(reason):
            if isinstance(event, str):
                await self._write(f"data: {event}\n\n")
            else:
                await self._event(event)
        await self._response.write_eof()
        return reason

    async def _event(self, event: Event) -> None:
        name = f"event: {event['type']}\n" if self._shape.named and "type" in event else ""
        data = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        await self._write(f"{name}data: {data}\n\n")

    async def _write(self, text: str) -> None:
        await self._response.write(text.encode())


def server_error_object() -> dict[str, Any]:
    """Give the error that ends a stream in the middle."""
    return {
        "type": "server_error",
        "code": "server_error",
        "message": "The server had an error processing your request. Sorry about that!",
        "param": None,
    }


def reset(request: web.Request) -> None:
    """Close the connection with a TCP reset, as a dying proxy does."""
    transport = request.transport
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def forever() -> NoReturn:
    """Wait until the client gives up; the handler is cancelled then."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")
