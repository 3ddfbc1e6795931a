"""Files from Discord's CDN, one client for the life of the process, made when first needed."""

from __future__ import annotations

import aiohttp

from bot.conversation.files import Unfetched

_SECONDS = 15.0
_PIECE = 1 << 16
_OK = 200


class Downloads:
    """See files.Source."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: str, most: int) -> bytes:
        """See files.Source. Addresses come from Discord alone; redirects are not followed."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout)
        data = bytearray()
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status != _OK:
                    raise Unfetched(f"status {response.status}")
                async for piece in response.content.iter_chunked(_PIECE):
                    data += piece
                    if len(data) > most:
                        raise Unfetched("larger than Discord said")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unfetched(type(error).__name__) from error
        return bytes(data)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
