"""The control API's client: how a test or the demo controls the OpenAI test server.

async with OpenAIControl("http://127.0.0.1:7112") as openai:
    await openai.inject(Fault(kind=FaultKind.RATE_LIMIT, match="weather", count=1))
    record = await openai.ended("weather")
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from pydantic import BaseModel

from .records import (
    ActiveFault,
    Counts,
    DialectChoice,
    Fault,
    FaultKind,
    Pace,
    Record,
    ScriptedAnswer,
)

__all__ = [
    "ActiveFault",
    "Counts",
    "DialectChoice",
    "Fault",
    "FaultKind",
    "OpenAIControl",
    "Pace",
    "Record",
    "ScriptedAnswer",
]

V = TypeVar("V", bound=BaseModel)
LINE_LIMIT = 8 * 2**20


class ControlRefused(Exception):
    """The control API refused a request; the text says why."""


class OpenAIControl:
    """One connection to the control API; use it as an async context manager, or `close` it."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        async with self._open().request(method, self._url + path, json=body) as response:
            if not response.ok:
                raise ControlRefused(f"{method} {path}: {await response.text()}")
            return await response.json()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
                read_bufsize=LINE_LIMIT,
            )
        return self._session

    async def ready(self, seconds: float = 10) -> None:
        """Wait until the server is listening; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    await self._call("GET", "/healthz")
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.02)
                else:
                    return

    async def reset(self) -> None:
        """Reset the server to its initial state: dialect, keys, pace, faults, script, records."""
        await self._call("POST", "/reset")

    async def keys(self) -> list[str]:
        """Return the accepted keys."""
        return list(await self._call("GET", "/keys"))

    async def accept(self, *keys: str) -> None:
        """Accept only these keys from now on: all others are revoked at once."""
        await self._call("PUT", "/keys", list(keys))

    async def models(self, *names: str) -> None:
        """Replace the list of models."""
        await self._call("PUT", "/models", list(names))

    async def speak(self, choice: DialectChoice) -> None:
        """Use this dialect, and its models, from now on."""
        await self._call("PUT", "/dialect", choice.model_dump())

    async def pace(self, pace: Pace) -> None:
        """Set the default pace of answers."""
        await self._call("PUT", "/pace", pace.model_dump())

    async def script(self, *answers: ScriptedAnswer) -> None:
        """Replace the scripted answers; with none, all answers are the default ones again."""
        await self._call("PUT", "/script", [answer.model_dump() for answer in answers])

    async def inject(self, fault: Fault) -> ActiveFault:
        """Start a fault; return it, so that its id can be used to clear it."""
        begun = await self._call("POST", "/faults", fault.model_dump(mode="json"))
        return ActiveFault.model_validate(begun)

    async def faults(self) -> list[ActiveFault]:
        """List faults, with how often each applied."""
        return [ActiveFault.model_validate(each) for each in await self._call("GET", "/faults")]

    async def clear(self, fault_id: str | None = None) -> None:
        """End one fault, or all."""
        await self._call("DELETE", "/faults" + (f"/{fault_id}" if fault_id else ""))

    async def counts(self) -> Counts:
        """Count requests by endpoint, status, key digest and ending."""
        return Counts.model_validate(await self._call("GET", "/counts"))

    async def requests(self, match: str | None = None) -> list[Record]:
        """List requests, oldest first, whose newest user text contains `match`."""
        found = await self._call("GET", "/requests")
        return [r for r in map(Record.model_validate, found) if about(match)(r)]

    async def forget(self) -> None:
        """Drop all records."""
        await self._call("DELETE", "/requests")

    async def events(self) -> AsyncIterator[Record]:
        """Yield every existing record, then each change as it happens, forever."""
        async with self._open().get(self._url + "/events") as response:
            async for line in response.content:
                if line.startswith(b"data: "):
                    yield Record.model_validate(json.loads(line[6:]))

    async def first(self, wanted: Callable[[Record], bool], seconds: float = 10) -> Record:
        """Wait for the first matching record, past ones included; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            async for record in self.events():
                if wanted(record):
                    return record
        raise ControlRefused("The server closed the stream of events.")

    async def asked(self, match: str, seconds: float = 10) -> Record:
        """Wait for a request whose newest user text contains `match`."""
        return await self.first(about(match), seconds)

    async def ended(self, match: str, seconds: float = 10) -> Record:
        """Wait until the answer to a request with `match` has ended."""
        this = about(match)
        return await self.first(lambda r: this(r) and r.ending != "open", seconds)


def about(match: str | None) -> Callable[[Record], bool]:
    """Return a predicate: whether a record's newest user text contains `match`."""
    return lambda record: (
        match is None or (record.asked is not None and match in record.asked.last_user_text)
    )
