"""Explain a step that failed, with the last log lines of the process that should have done it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from tests.loop.cluster.images import BuildFailed
from tests.loop.people.merge import GitFailed, ReleaseFailed
from tests.loop.people.observe import NotSeen
from tests.loop.supervisor import state

_LOG_LINES = 15


def _tail(part: str) -> str:
    log = state.LOGS / f"{part}.log"
    if not log.exists():
        return ""
    lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return "\n".join([f"\nThe last lines of {log}:", *lines])


def comes_true(what: str, steps: Coroutine[Any, Any, None]) -> bool:
    """Run STEPS; return whether all succeeded, and if not, print why WHAT did not."""
    true = True
    try:
        asyncio.run(steps)
    except* (NotSeen, GitFailed, ReleaseFailed, BuildFailed, TimeoutError, OSError) as group:
        true = False
        for error in group.exceptions:
            print(f"\n{what} did not come true: {error}", _tail(getattr(error, "part", "")))
        print("\nThe loop is still up: `make loop-status`, `make loop-logs`, `make loop-down`.")
    return true
