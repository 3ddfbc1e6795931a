"""Leases without a cluster: one locked file per shard, released when its process ends.

What outlives the holder is stored as JSON in a file beside the lock.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import re
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from bot.leadership.lease_record import HolderStatus, LeaseChanged, LeaseRecord, LeaseUnreachable

if TYPE_CHECKING:
    from collections.abc import Iterator


_OWN_NAME = re.compile(r".*-(\d+)-[0-9a-f]{6}")


class FileLeaseStore:
    """One store per process: it holds its locks until it releases them or ends."""

    def __init__(self, path: Path, holder: str = "") -> None:
        self.me = holder or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._path = path
        self._held: dict[int, TextIO] = {}

    async def read(self, shard: int) -> LeaseRecord:
        """See LeaseStore. A file that cannot be understood counts as missing."""
        with self._reasons():
            return self._load(shard)

    async def write(self, shard: int, record: LeaseRecord) -> LeaseRecord:
        """See LeaseStore."""
        with self._reasons(), _locked(self._file(shard, "guard")):
            if self._load(shard).version != record.version:
                raise LeaseChanged
            if record.holder == self.me and shard not in self._held:
                self._hold(shard)
            written = LeaseRecord(
                record.holder,
                record.annotations,
                record.acquired,
                record.renewed,
                record.transitions,
                secrets.token_hex(8),
            )
            self._save(shard, written)
            if not record.holder and shard in self._held:
                self._held.pop(shard).close()
            return written

    async def holder_status(self, shard: int, record: LeaseRecord) -> HolderStatus:
        """See LeaseStore: a free lock has no living holder, whatever the file says."""
        del record
        with self._reasons(), self._file(shard, "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return HolderStatus.ALIVE
        return HolderStatus.ENDED

    async def presence(self, holder: str) -> HolderStatus:
        """See LeaseStore. A process whose name was chosen for it counts as alive."""
        own = _OWN_NAME.fullmatch(holder)
        return HolderStatus.ENDED if own and not _runs(int(own[1])) else HolderStatus.ALIVE

    async def version(self) -> str:
        """See LeaseStore."""
        return ""

    async def close(self) -> None:
        """Release every lock."""
        for lock in self._held.values():
            lock.close()
        self._held.clear()

    def _hold(self, shard: int) -> None:
        lock = self._file(shard, "lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise LeaseChanged from None
        self._held[shard] = lock

    def _load(self, shard: int) -> LeaseRecord:
        try:
            text = self._file(shard, "json").read_text()
            kept = json.loads(text)
            return LeaseRecord(
                holder=str(kept["holder"]),
                annotations={str(name): str(note) for name, note in kept["notes"].items()},
                acquired=_moment(kept["acquired"]),
                renewed=_moment(kept["renewed"]),
                transitions=int(kept["transitions"]),
                version=str(kept["version"]),
            )
        except (FileNotFoundError, ValueError, KeyError, AttributeError, TypeError):
            return LeaseRecord()

    def _save(self, shard: int, record: LeaseRecord) -> None:
        kept = {
            "holder": record.holder,
            "notes": dict(record.annotations),
            "acquired": record.acquired and record.acquired.isoformat(),
            "renewed": record.renewed and record.renewed.isoformat(),
            "transitions": record.transitions,
            "version": record.version,
        }
        fresh = self._file(shard, f"{os.getpid()}.new")
        fresh.write_text(json.dumps(kept))
        fresh.replace(self._file(shard, "json"))

    def _file(self, shard: int, kind: str) -> Path:
        return self._path.with_name(f"{self._path.name}-{shard}.{kind}")

    @contextlib.contextmanager
    def _reasons(self) -> Iterator[None]:
        """Create the folder, and turn what goes wrong with it into a sentence."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            yield
        except OSError as error:
            folder = self._path.parent
            remedy = "Name a place that can be written with SKY_LEASE__FILE."
            raise LeaseUnreachable(
                f"cannot write in {folder} ({error.strerror}). {remedy}"
            ) from error


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # held for a write of a few kilobytes
        yield


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _moment(text: str | None) -> datetime.datetime | None:
    return datetime.datetime.fromisoformat(text) if text else None
