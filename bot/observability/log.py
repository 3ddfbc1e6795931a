"""JSON lines on standard output: what happened, with ids, never with content or credentials.

Name the event in the message and pass everything else as `extra`: `log.info("request handled",
extra={"message_id": …})`. Ids that all lines of a task share are bound once, with `bound`. A trace
lists the places that it went through and the exceptions' types: the text of an exception may quote
a message or a key, so it is left out.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType


_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Libraries below warning say what they send and receive: content and credentials.
_LIBRARIES = ("discord", "openai", "httpx2", "httpcore2", "aiohttp", "asyncio", "watchfiles")
_SILENT = ("azure", "msal", "urllib3")  # their warnings quote answers; ours say what they mean

_ids: ContextVar[Mapping[str, object] | None] = ContextVar("ids", default=None)


@contextmanager
def bound(**ids: object) -> Iterator[None]:
    """Add `ids` to every line logged in the block, and in the tasks that are started in it."""
    token = _ids.set({**(_ids.get() or {}), **ids})
    try:
        yield
    finally:
        _ids.reset(token)


def configure(level: str, stream: TextIO = sys.stdout) -> None:
    """Make the root logger write JSON lines of at least `level` to `stream`."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.root.level))
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class JsonLines(logging.Formatter):
    """One record, one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Write time, level, logger, message, the record's `extra`, and a trace without texts."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(_ids.get() or {})
        line.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
        if record.exc_info and record.exc_info[1] is not None:
            line["trace"] = trace(record.exc_info[1])
        return json.dumps(line, default=str, ensure_ascii=False)


def trace(error: BaseException) -> list[str]:
    """Types and places of `error` and of what caused it, the cause last; no exception's text."""
    lines: list[str] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        lines.append(type(cause).__qualname__)
        lines += _places(cause.__traceback__)
        if isinstance(cause, BaseExceptionGroup):
            lines += [f"| {line}" for part in cause.exceptions for line in trace(part)]
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return lines


def _places(tb: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(tb)
    return [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
