"""Ways to ask whether a process serves. Each asks once, answers in a second and never raises."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.loop.cluster import pki

Check = Callable[[], Awaitable[bool]]
_PATIENCE = 1.0
_OK = b" 200 "


def http(address: str, path: str, *, tls: str = "") -> Check:
    """Ask whether http://ADDRESS/PATH answers 200; by https with TLS "ours" or "any" (own CA)."""
    host, _, port = address.rpartition(":")

    async def ask() -> bool:
        reader, writer = await asyncio.open_connection(host, int(port), ssl=_context(tls))
        try:
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode()
            )
            return _OK in await reader.readline()
        finally:
            writer.close()

    return _patiently(ask)


def tcp(*addresses: str) -> Check:
    """Ask whether every one of ADDRESSES accepts a connection."""

    async def ask() -> bool:
        for address in addresses:
            host, _, port = address.rpartition(":")
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
        return True

    return _patiently(ask)


def unix(path: Path) -> Check:
    """Ask whether a socket in the file system accepts a connection."""

    async def ask() -> bool:
        _, writer = await asyncio.open_unix_connection(path)
        writer.close()
        return True

    return _patiently(ask)


async def started() -> bool:
    """Say yes: this process serves nothing that could be asked."""
    return True


def _context(tls: str) -> ssl.SSLContext | None:
    if not tls:
        return None
    context = ssl.create_default_context(cafile=pki.CA)
    if tls == "any":  # the component signs its own certificate, on this machine's loopback
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _patiently(ask: Check) -> Check:
    async def once() -> bool:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await ask()
        except (OSError, TimeoutError):
            return False

    return once
