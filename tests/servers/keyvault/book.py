"""The log of requests and their results, without values and tokens."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

from .records import Count, Record, Where


class Book:
    """All requests since the start or the last `forget`."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._number = 0
        self._changed = asyncio.Event()

    def add(
        self,
        where: Where,
        operation: str,
        status: int,
        *,
        identity: str = "",
        secret: str = "",
        code: str = "",
        client: str = "",
    ) -> Record:
        """Record one request."""
        self._number += 1
        record = Record(
            number=self._number,
            time=time.time(),
            where=where,
            identity=identity,
            operation=operation,
            secret=secret,
            status=status,
            code=code,
            client=client,
        )
        self._records.append(record)
        self._changed.set()
        self._changed = asyncio.Event()
        return record

    def records(self) -> list[Record]:
        """Return the records, oldest first."""
        return list(self._records)

    def counts(self) -> list[Count]:
        """Count the requests that are alike."""
        alike = Counter((r.identity, r.operation, r.secret, r.status) for r in self._records)
        return [
            Count(identity=identity, operation=operation, secret=secret, status=status, count=many)
            for (identity, operation, secret, status), many in sorted(alike.items())
        ]

    def forget(self) -> None:
        """Drop all records."""
        self._records.clear()

    async def watch(self) -> AsyncIterator[Record]:
        """Yield every existing record, then each new one."""
        last = 0
        while True:
            changed = self._changed
            for record in self.records():
                if record.number > last:
                    last = record.number
                    yield record
            await changed.wait()
