"""The bytes of attachments, bounded (the oldest are dropped first), and their signed URLs.

https://discord.com/developers/docs/reference#signed-attachment-cdn-urls
"""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

KEPT: Final = 64 << 20


class Cdn:
    """Files by id. A URL expires after a while; each payload carries a fresh one."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._files: OrderedDict[int, tuple[str, bytes]] = OrderedDict()
        self._size = 0

    def sign(self, path: str, seconds: float) -> str:
        """Return the query (ex, is, hm) that makes the URL of `path` valid for a time."""
        now = self._clock()
        expires, issued = f"{int(now + seconds):x}", f"{int(now):x}"
        return f"ex={expires}&is={issued}&hm={self._signature(path, expires, issued)}&"

    def accepts(self, path: str, query: Mapping[str, str]) -> bool:
        """Return whether the query was signed for this path and has not expired."""
        expires, issued = query.get("ex", ""), query.get("is", "")
        expected = self._signature(path, expires, issued)
        if not hmac.compare_digest(expected, query.get("hm", "")):
            return False
        return int(expires, 16) > self._clock()

    def expire_addresses(self) -> None:
        """Invalidate every URL that was issued so far."""
        self._key = secrets.token_bytes(32)

    def _signature(self, path: str, expires: str, issued: str) -> str:
        text = f"{path}?ex={expires}&is={issued}".encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()

    def put(self, file_id: int, content_type: str, data: bytes) -> None:
        """Store a file; drop the oldest ones if there is no room."""
        self._files[file_id] = (content_type, data)
        self._size += len(data)
        while self._size > KEPT and len(self._files) > 1:
            _, (_, old) = self._files.popitem(last=False)
            self._size -= len(old)

    def forget(self) -> None:
        """Drop all files."""
        self._files.clear()
        self._size = 0

    def get(self, file_id: int) -> tuple[str, bytes] | None:
        """Return type and bytes, or None if the file is gone."""
        return self._files.get(file_id)
