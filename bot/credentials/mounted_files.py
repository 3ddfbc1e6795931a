"""Watch the mounted credential files.

Kubernetes swaps a link in the mounted directory when a value changes, so the directory is watched,
not the file (a watch on the file sees the first change only); a slow compare finds what the watch
missed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bot.observability import tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bot.credentials.credential import Credential

log = logging.getLogger(__name__)


COMPARE_SECONDS = 10.0
_STEP_MS = (
    100  # watchfiles wakes a thread this often: 50 would find a change sooner and cost double
)


async def watch(
    credentials: list[Credential],
    changes: Callable[[set[Path]], AsyncIterator[object]] | None = None,
    compare_seconds: float = COMPARE_SECONDS,
) -> None:
    """Keep `credentials` in step with their files, until cancelled."""
    follow = changes or _directory_changes

    def refresh() -> None:
        for credential in credentials:
            credential.refresh()

    async def compare() -> None:
        while True:
            await asyncio.sleep(compare_seconds)
            refresh()

    async def notice() -> None:
        while True:
            directories = {credential.path.parent for credential in credentials}
            present = {path for path in directories if path.is_dir()}
            try:
                async for _ in follow(present):
                    refresh()
            except OSError as error:  # too many watches, a directory that went away
                log.warning("directory watch ended", extra={"error": type(error).__name__})
            await asyncio.sleep(compare_seconds)

    async with tasks.Group() as group:
        group.start(compare(), "mounted_files_compare")
        group.start(notice(), "mounted_files_notice")


async def _directory_changes(directories: set[Path]) -> AsyncIterator[object]:
    """Yield at each change directly inside one of `directories`."""
    if not directories:
        return
    from watchfiles import awatch  # noqa: PLC0415  # a compiled library: not for a mere import

    async for change in awatch(
        *directories, watch_filter=None, recursive=False, step=_STEP_MS, debounce=2 * _STEP_MS
    ):
        yield change
