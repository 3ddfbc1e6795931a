"""The stream of events, for tests that wait; bounded, in case a reader stops reading."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.servers.discord.errors import Json

KEPT: Final = 5000
UNREAD: Final = 10_000


class EventLog:
    """Numbered events. A reader that is too slow gets None and must start again."""

    def __init__(self) -> None:
        self.number = 0
        self._kept: deque[Json] = deque(maxlen=KEPT)
        self._readers: set[asyncio.Queue[Json | None]] = set()

    def put(self, kind: str, data: Json) -> None:
        """Append an event and pass it to every reader."""
        self.number += 1
        event = {"n": self.number, "kind": kind, "data": data}
        self._kept.append(event)
        for queue in list(self._readers):
            if queue.qsize() >= UNREAD:
                self._readers.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    @contextmanager
    def reader(self, since: int | None = None) -> Iterator["asyncio.Queue[Json | None]"]:
        """Return a queue of the events after number `since`; without it, of new events only."""
        queue: asyncio.Queue[Json | None] = asyncio.Queue()
        if since is not None:
            for event in self._kept:
                if event["n"] > since:
                    queue.put_nowait(event)
        self._readers.add(queue)
        try:
            yield queue
        finally:
            self._readers.discard(queue)
