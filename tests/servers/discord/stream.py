"""The reading end of the event stream."""

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp

from tests.servers.discord.records import Event, Message


class Stream:
    """Events in order, each once."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws

    async def __aiter__(self) -> AsyncIterator[Event]:
        async for frame in self._ws:
            yield Event.of(frame.json())
        msg = f"the event stream ended ({self._ws.close_code})"
        raise ConnectionError(msg)

    async def event(self, predicate: Callable[[Event], bool], timeout: float) -> Event:  # noqa: ASYNC109  the tests' own clock
        """Return the next matching event; TimeoutError if none arrives in time."""
        async with asyncio.timeout(timeout):
            async for event in self:
                if predicate(event):
                    return event
        raise ConnectionError  # unreachable: the iteration ends by raising

    async def message(self, predicate: Callable[[Message], bool], timeout: float) -> Message:  # noqa: ASYNC109  the tests' own clock
        """Return the next matching new or edited message."""
        found = await self.event(
            lambda e: e.kind in ("message", "edit") and predicate(Message.of(e.data)), timeout
        )
        return Message.of(found.data)
