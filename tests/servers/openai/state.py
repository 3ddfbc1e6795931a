"""How the server behaves (faults, scripted answers, pace), and the log of requests."""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator

from .records import (
    ActiveFault,
    Asked,
    Counts,
    Endpoint,
    Fault,
    Pace,
    Record,
    ScriptedAnswer,
)

KEPT = 20_000


class Behavior:
    """Injected faults, scripted answers and the pace. Changed by the control API."""

    def __init__(self, pace: Pace | None = None) -> None:
        self._first_pace = pace or Pace()
        self._next = 0
        self.reset()

    def reset(self) -> None:
        """Return to the initial state; the numbers of faults continue."""
        self.pace = self._first_pace
        self._faults: dict[str, tuple[Fault, float]] = {}
        self._hits: Counter[str] = Counter()
        self._script: list[ScriptedAnswer] = []
        self._served: Counter[int] = Counter()

    def inject(self, fault: Fault) -> ActiveFault:
        """Start a fault."""
        self._next += 1
        name = f"fault-{self._next}"
        self._faults[name] = (fault, time.monotonic())
        return self._active(name)

    def faults(self) -> list[ActiveFault]:
        """List every fault since they were last cleared, including spent ones."""
        return [self._active(name) for name in self._faults]

    def clear(self, name: str | None = None) -> bool:
        """End one fault or all; return whether there was one."""
        names = list(self._faults) if name is None else [name] if name in self._faults else []
        for each in names:
            del self._faults[each]
        return bool(names)

    def fault_for(self, endpoint: Endpoint, text: str) -> Fault | None:
        """Return the newest fault that applies, and count it."""
        for name in reversed(self._faults):
            fault, _ = self._faults[name]
            here = fault.endpoint in {None, endpoint}
            if here and (fault.match is None or fault.match in text) and not self._over(name):
                self._hits[name] += 1
                return fault
        return None

    def _over(self, name: str) -> bool:
        fault, began = self._faults[name]
        spent = fault.count is not None and self._hits[name] >= fault.count
        return spent or (fault.seconds is not None and time.monotonic() - began > fault.seconds)

    def _active(self, name: str) -> ActiveFault:
        return ActiveFault(
            id=name, fault=self._faults[name][0], hits=self._hits[name], over=self._over(name)
        )

    def script(self, answers: list[ScriptedAnswer]) -> None:
        """Replace the scripted answers."""
        self._script = answers
        self._served.clear()

    def scripted(self, text: str) -> ScriptedAnswer | None:
        """Return the newest scripted answer for a text."""
        for index in reversed(range(len(self._script))):
            answer = self._script[index]
            spent = answer.count is not None and self._served[index] >= answer.count
            if answer.match in text and not spent:
                self._served[index] += 1
                return answer
        return None


class RequestLog:
    """One record per request; only the newest 20,000 are kept."""

    def __init__(self) -> None:
        self._records: OrderedDict[int, Record] = OrderedDict()
        self._number = 0
        self._changes: set[asyncio.Queue[Record]] = set()

    def open(self, endpoint: Endpoint, path: str) -> Record:
        """Open a record."""
        self._number += 1
        record = Record(
            id=f"req_{self._number:06d}",
            number=self._number,
            endpoint=endpoint,
            path=path,
            received_at=time.time(),
        )
        self._put(record)
        return record

    def update(self, record: Record, **changes: object) -> Record:
        """Change a record and notify the watchers; return the new one."""
        changed = record.model_copy(update=changes)
        self._put(changed)
        return changed

    def _put(self, record: Record) -> None:
        self._records[record.number] = record
        if len(self._records) > KEPT:
            self._records.popitem(last=False)
        for queue in self._changes:
            queue.put_nowait(record)

    def records(self, match: str | None = None) -> list[Record]:
        """List records, oldest first, whose newest user text contains `match`."""
        return [r for r in self._records.values() if match is None or _is_about(r.asked, match)]

    async def watch(self) -> AsyncIterator[Record]:
        """Yield every existing record, then each change, forever."""
        queue: asyncio.Queue[Record] = asyncio.Queue()
        self._changes.add(queue)
        try:
            for record in self.records():
                yield record
            while True:
                yield await queue.get()
        finally:
            self._changes.discard(queue)

    def counts(self) -> Counts:
        """Count the kept records."""
        records = self._records.values()
        return Counts(
            total=len(records),
            open=sum(r.ending == "open" for r in records),
            by_endpoint=Counter(r.endpoint for r in records),
            by_status=Counter(str(r.status) for r in records if r.status is not None),
            by_key=Counter(r.key for r in records if r.key is not None),
            by_ending=Counter(r.ending for r in records),
        )

    def forget(self) -> None:
        """Drop all records; their numbers continue."""
        self._records.clear()


def _is_about(asked: Asked | None, match: str) -> bool:
    return asked is not None and match in asked.last_user_text
