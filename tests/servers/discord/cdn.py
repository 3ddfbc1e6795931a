"""The bytes of attachments, bounded: the oldest go first; and the signatures of their addresses.

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
    """Files by their id. An address is valid for a while only; each payload carries a fresh one."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._files: OrderedDict[int, tuple[str, bytes]] = OrderedDict()
        self._size = 0

    def sign(self, path: str, seconds: float) -> str:
        """The query that makes the address of `path` valid for so long: ex, is and hm."""
        now = self._clock()
        expires, issued = f"{int(now + seconds):x}", f"{int(now):x}"
        return f"ex={expires}&is={issued}&hm={self._signature(path, expires, issued)}&"

    def accepts(self, path: str, query: Mapping[str, str]) -> bool:
        """Whether the query was signed for this path and has not expired."""
        expires, issued = query.get("ex", ""), query.get("is", "")
        expected = self._signature(path, expires, issued)
        if not hmac.compare_digest(expected, query.get("hm", "")):
            return False
        return int(expires, 16) > self._clock()

    def expire_addresses(self) -> None:
        """Make every address that was handed out so far invalid."""
        self._key = secrets.token_bytes(32)

    def _signature(self, path: str, expires: str, issued: str) -> str:
        text = f"{path}?ex={expires}&is={issued}".encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()

    def put(self, file_id: int, content_type: str, data: bytes) -> None:
        """Keep a file, at the cost of the oldest."""
        self._files[file_id] = (content_type, data)
        self._size += len(data)
        while self._size > KEPT and len(self._files) > 1:
            _, (_, old) = self._files.popitem(last=False)
            self._size -= len(old)

    def forget(self) -> None:
        """Let all be gone."""
        self._files.clear()
        self._size = 0

    def get(self, file_id: int) -> tuple[str, bytes] | None:
        """Type and bytes, or None when it is gone."""
        return self._files.get(file_id)
