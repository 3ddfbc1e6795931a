"""The bytes of attachments, bounded: the oldest go first."""

from collections import OrderedDict
from typing import Final

KEPT: Final = 64 << 20


class Cdn:
    """Files by their id."""

    def __init__(self) -> None:
        self._files: OrderedDict[int, tuple[str, bytes]] = OrderedDict()
        self._size = 0

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
