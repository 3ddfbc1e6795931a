"""A CONNECT proxy that forwards Azure's host names to servers in this process, and nothing else.

So clients use production addresses and check names and certificates as they do in production; they
only need HTTPS_PROXY and a CA to trust.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from aiohttp import web

_HEAD_LIMIT = 16 * 1024
_CHUNK = 64 * 1024
# Given a host name, return whether it is served now; None for an unknown host.
Reach = Callable[[str], bool | None]


class Proxy:
    """Answers CONNECT on one address; each tunnel carries TLS to RUNNER's server."""

    def __init__(self, runner: web.AppRunner, context: ssl.SSLContext, reach: Reach) -> None:
        self._runner = runner
        self._context = context
        self._reach = reach
        self._server: asyncio.Server | None = None
        self._tunnels: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> str:
        """Listen; return the address, with the actual port."""
        self._server = await asyncio.start_server(self._accept, host, port, limit=_HEAD_LIMIT)
        name, number, *_ = self._server.sockets[0].getsockname()
        return f"{name}:{number}"

    async def stop(self) -> None:
        """Close the listener and every tunnel."""
        if self._server is not None:
            self._server.close()
        for task in self._tunnels:
            task.cancel()
        await asyncio.gather(*self._tunnels, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._meet(reader, writer))
        self._tunnels.add(task)
        task.add_done_callback(self._tunnels.discard)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
                await self._serve(reader, writer)
        finally:
            await _close(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, _, rest = head.partition(" ")
        host, _, port = rest.partition(" ")[0].rpartition(":")
        reachable = self._reach(host) if (method, port) == ("CONNECT", "443") else None
        if not reachable:
            said = "503 Service Unavailable" if reachable is False else "502 Bad Gateway"
            writer.write(f"HTTP/1.1 {said}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await self._tunnel(reader, writer)

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        near, far = socket.socketpair()
        accepted = asyncio.create_task(self._speak_tls(far))
        inward, outward = await asyncio.open_connection(sock=near)
        pumps = [
            asyncio.create_task(_pump(reader, outward)),
            asyncio.create_task(_pump(inward, writer)),
        ]
        try:
            # When either side is done, close both: neither has anything more to receive.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            outward.close()  # first, because what follows may be cancelled
            for task in (accepted, *pumps):
                task.cancel()
            await asyncio.gather(accepted, *pumps, return_exceptions=True)
            await _close(outward)

    async def _speak_tls(self, far: socket.socket) -> None:
        assert self._runner.server is not None
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(self._runner.server, far, ssl=self._context)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
