"""The control API's client: how a test controls the servers for Key Vault and Entra.

async with VaultControl("http://127.0.0.1:7113") as vault:
    await vault.begin(Fault(kind=FaultKind.UNREACHABLE, seconds=120))
    record = await vault.first(lambda r: r.operation == "get" and r.secret == "discord-token")
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self

import aiohttp
from pydantic import BaseModel, TypeAdapter

from .records import (
    ActiveFault,
    Clock,
    Count,
    Fault,
    FaultKind,
    Federation,
    Identity,
    Lifetime,
    Record,
    Role,
)

__all__ = [
    "ActiveFault",
    "Count",
    "Fault",
    "FaultKind",
    "Federation",
    "Identity",
    "Record",
    "Role",
    "VaultControl",
]


class ControlRefused(Exception):
    """The control API refused a request; the text says why."""


class VaultControl:
    """One connection to the control API; use it as an async context manager."""

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

    async def begin(self, fault: Fault) -> ActiveFault:
        """Start a fault."""
        return ActiveFault.model_validate(await self._call("POST", "/faults", fault))

    async def faults(self) -> list[ActiveFault]:
        """List faults, with how often each applied."""
        return TypeAdapter(list[ActiveFault]).validate_python(await self._call("GET", "/faults"))

    async def clear(self) -> None:
        """End all faults."""
        await self._call("DELETE", "/faults")

    async def clock(self, offset: float) -> None:
        """Set the servers' clock OFFSET seconds ahead of the machine's."""
        await self._call("PUT", "/clock", Clock(offset=offset))

    async def token_lifetime(self, seconds: int) -> None:
        """Set the lifetime of access tokens issued from now on."""
        await self._call("PUT", "/token-lifetime", Lifetime(seconds=seconds))

    async def identities(self) -> list[Identity]:
        """List identities, without their secrets."""
        return TypeAdapter(list[Identity]).validate_python(await self._call("GET", "/identities"))

    async def put(self, identity: Identity) -> None:
        """Add an identity, or replace the one with its client id, including its roles."""
        await self._call("PUT", "/identities", identity)

    async def requests(self) -> list[Record]:
        """List requests, oldest first."""
        return TypeAdapter(list[Record]).validate_python(await self._call("GET", "/requests"))

    async def forget(self) -> None:
        """Drop all records."""
        await self._call("DELETE", "/requests")

    async def counts(self) -> list[Count]:
        """Count requests by identity, operation, secret and status."""
        return TypeAdapter(list[Count]).validate_python(await self._call("GET", "/counts"))

    async def events(self) -> AsyncIterator[Record]:
        """Yield every existing record, then each new one, forever."""
        async with self._open().get(self._url + "/events") as response:
            async for line in response.content:
                yield Record.model_validate_json(line)

    async def first(self, wanted: Callable[[Record], bool], seconds: float = 10) -> Record:
        """Wait for the first matching record, past ones included; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            async for record in self.events():
                if wanted(record):
                    return record
        raise ControlRefused("The server closed the stream of events.")

    async def _call(self, method: str, path: str, body: BaseModel | None = None) -> Any:
        sent = None if body is None else body.model_dump(mode="json")
        async with self._open().request(method, self._url + path, json=sent) as response:
            if not response.ok:
                raise ControlRefused(f"{method} {path}: {await response.text()}")
            return await response.json()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
            self._session = aiohttp.ClientSession(timeout=timeout)
        return self._session
