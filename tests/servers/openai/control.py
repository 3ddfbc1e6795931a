"""The control API's client: what a test or the demo tells the OpenAI test server.

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
    """The control API did not accept a request; its words say why."""


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
        """Wait until the server listens; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    await self._call("GET", "/healthz")
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.02)
                else:
                    return

    async def reset(self) -> None:
        """Go back to how the server began: dialect, keys, pace, faults, script, records."""
        await self._call("POST", "/reset")

    async def keys(self) -> list[str]:
        """Give the accepted keys."""
        return list(await self._call("GET", "/keys"))

    async def accept(self, *keys: str) -> None:
        """Accept these keys from now on, and no others: what is left out is revoked at once."""
        await self._call("PUT", "/keys", list(keys))

    async def models(self, *names: str) -> None:
        """Replace the models that there are."""
        await self._call("PUT", "/models", list(names))

    async def speak(self, choice: DialectChoice) -> None:
        """Speak this dialect from now on; the models are its models then."""
        await self._call("PUT", "/dialect", choice.model_dump())

    async def pace(self, pace: Pace) -> None:
        """Set how fast answers come where nothing else is said."""
        await self._call("PUT", "/pace", pace.model_dump())

    async def script(self, *answers: ScriptedAnswer) -> None:
        """Replace the scripted answers; with none, all are the server's own again."""
        await self._call("PUT", "/script", [answer.model_dump() for answer in answers])

    async def inject(self, fault: Fault) -> ActiveFault:
        """Begin a fault; clear it with its id."""
        begun = await self._call("POST", "/faults", fault.model_dump(mode="json"))
        return ActiveFault.model_validate(begun)

    async def faults(self) -> list[ActiveFault]:
        """List faults, with how often each struck."""
        return [ActiveFault.model_validate(each) for each in await self._call("GET", "/faults")]

    async def clear(self, fault_id: str | None = None) -> None:
        """End one fault, or all."""
        await self._call("DELETE", "/faults" + (f"/{fault_id}" if fault_id else ""))

    async def counts(self) -> Counts:
        """Count requests by endpoint, status, key digest and ending."""
        return Counts.model_validate(await self._call("GET", "/counts"))

    async def requests(self, match: str | None = None) -> list[Record]:
        """List requests, oldest first; `match` must be in the newest user text."""
        found = await self._call("GET", "/requests")
        return [r for r in map(Record.model_validate, found) if about(match)(r)]

    async def forget(self) -> None:
        """Drop all records."""
        await self._call("DELETE", "/requests")

    async def events(self) -> AsyncIterator[Record]:
        """Give every record there is, then each change as it happens, without end."""
        async with self._open().get(self._url + "/events") as response:
            async for line in response.content:
                if line.startswith(b"data: "):
                    yield Record.model_validate(json.loads(line[6:]))

    async def first(self, wanted: Callable[[Record], bool], seconds: float = 10) -> Record:
        """Wait for the first record (of the past as well) that is wanted; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            async for record in self.events():
                if wanted(record):
                    return record
        raise ControlRefused("The server closed the stream of events.")

    async def asked(self, match: str, seconds: float = 10) -> Record:
        """Wait until something with `match` in the newest user text was asked."""
        return await self.first(about(match), seconds)

    async def ended(self, match: str, seconds: float = 10) -> Record:
        """Wait until the answer to something with `match` in it has ended."""
        this = about(match)
        return await self.first(lambda r: this(r) and r.ending != "open", seconds)


def about(match: str | None) -> Callable[[Record], bool]:
    """Make the test whether a record's newest user text contains `match`."""
    return lambda record: (
        match is None or (record.asked is not None and match in record.asked.last_user_text)
    )
