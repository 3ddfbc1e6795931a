"""Credentials from mounted files, as they are now.

Kubernetes swaps a link in the mounted directory when a value changes, so the directory is watched,
not the file (a watch on the file sees the first change only); a slow compare finds what the watch
missed. White space around a value is dropped: a trailing newline is the commonest mistake, and it
makes the HTTP libraries fail in ways that hide it.

A value that its service refused is remembered, so that nobody waits for the same one again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from typing import TYPE_CHECKING

from bot.errors import CredentialMissing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from bot.metrics import Metrics

log = logging.getLogger(__name__)

COMPARE_SECONDS = 10.0
_STEP_MS = (
    100  # watchfiles wakes a thread this often: 50 would find a change sooner and cost double
)


class Credential:
    """One credential: its value now, and whether that was refused."""

    def __init__(self, name: str, path: Path, metrics: Metrics) -> None:
        self.name = name
        self.path = path
        self._metrics = metrics
        self._value: str | None = None
        self._refused: str | None = None
        self._changed = asyncio.Event()
        metrics.credential.labels(name).set(0)
        self.refresh()

    @property
    def value(self) -> str:
        """The value as last read; raises CredentialMissing while there is none."""
        if self._value is None:
            remedy = "The file must exist, be readable and not be empty."
            raise CredentialMissing(f"{self.path}: no value for the {self.name}. {remedy}")
        return self._value

    @property
    def usable(self) -> bool:
        """Whether there is a value that was not refused."""
        return self._value is not None and self._value != self._refused

    def refuse(self, value: str) -> None:
        """Note that the service refused `value`."""
        self._metrics.credential_refused.labels(self.name).inc()
        if value == self._value:
            self._refused = value
            log.error("credential refused", extra=self._what())

    def accept(self, value: str) -> None:
        """Note that the service accepted `value`, so an earlier refusal was not about it."""
        if value == self._refused:
            self._refused = None

    async def another(self, than: str | None, timeout: float) -> bool:  # noqa: ASYNC109  # part of the contract
        """Wait until there is a value, and one that is not `than`; False if none came in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self._value is None or self._value == than:
                    self._changed.clear()
                    await self._changed.wait()
        return self._value is not None and self._value != than

    def refresh(self) -> None:
        """Read the file again. What cannot be read leaves the value that was there."""
        try:
            value = self.path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            log.debug(
                "credential unreadable", extra={**self._what(), "error": type(error).__name__}
            )
            return
        if not value or value == self._value:
            return
        self._value = value
        self._changed.set()
        self._metrics.credential.labels(self.name).set(1)
        self._metrics.credential_changes.labels(self.name).inc()
        log.info("credential read", extra=self._what())

    def _what(self) -> dict[str, str]:
        """Name and digest for the log: enough to tell two values apart, too little to guess one."""
        digest = hashlib.sha256((self._value or "").encode()).hexdigest()[:8]
        return {"credential": self.name, "sha256": digest if self._value else ""}


async def watch(
    credentials: list[Credential],
    changes: Callable[[set[Path]], AsyncIterator[object]] | None = None,
    compare_seconds: float = COMPARE_SECONDS,
) -> None:
    """Keep `credentials` as their files are, until cancelled."""
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

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(compare())
        tasks.create_task(notice())


async def _directory_changes(directories: set[Path]) -> AsyncIterator[object]:
    """Yield at each change directly inside one of `directories`."""
    if not directories:
        return
    from watchfiles import awatch  # noqa: PLC0415  # a compiled library: not for a mere import

    async for change in awatch(
        *directories, watch_filter=None, recursive=False, step=_STEP_MS, debounce=2 * _STEP_MS
    ):
        yield change


def from_files(paths: Mapping[str, Path], metrics: Metrics) -> dict[str, Credential]:
    """Make a credential of each file, by name."""
    return {name: Credential(name, path, metrics) for name, path in paths.items()}
