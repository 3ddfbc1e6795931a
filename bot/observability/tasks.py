"""Background tasks: all of the bot's tasks are started here, so that none fails unseen.

An exception that nobody expects is logged with its type and place, and counted in `failures`
(metric `discord_sky_task_failures_total`). Cancellation is no failure. A SkyError is none either:
it is an answer to somebody who awaits the task.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from bot.domain.errors import SkyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

T = TypeVar("T")

log = logging.getLogger(__name__)

failures: Counter[str] = Counter()  # of this process, by the task's name
_running: set[asyncio.Task[Any]] = set()  # the event loop itself keeps weak references only
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_LONG = 60.0  # seconds: what ran so long did not fail to begin


def start(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Run `work` in the background; `name` says what it is, without ids."""
    task = asyncio.create_task(work, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


async def keep_running(work: Callable[[], Awaitable[None]], name: str) -> None:
    """Run `work` until it returns, and again after a growing pause whenever it fails."""
    pause = _FIRST_PAUSE
    while True:
        began = time.monotonic()
        try:
            return await work()
        except Exception as error:  # noqa: BLE001  # a task's edge
            report(name, error)
        if time.monotonic() - began > _LONG:
            pause = _FIRST_PAUSE
        await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # no secret
        pause = min(2 * pause, _LONGEST_PAUSE)


def report(name: str, error: BaseException) -> None:
    """Log and count a failure that nobody expected."""
    failures[name] += 1
    log.error("task failed", extra={"task": name, "error": type(error).__name__}, exc_info=error)


class Group(asyncio.TaskGroup):
    """Tasks that belong together: when one fails, the others end and the failure is raised."""

    def start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run `work` as one of the group."""
        return self.create_task(work, name=name)


def watch_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Log and count what fails outside of these tasks: callbacks, and tasks of libraries."""
    loop.set_exception_handler(_failed_in_loop)


def _failed_in_loop(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if error is not None:
        report("event_loop", error)
    else:  # such as a task that was destroyed while it waited; the text names no content
        log.warning("event loop reported a problem", extra={"reason": context.get("message")})


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if task.cancelled():
        return
    error = task.exception()
    if error is not None and not isinstance(error, SkyError):
        report(task.get_name(), error)
