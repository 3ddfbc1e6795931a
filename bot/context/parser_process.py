"""Parse the files of strangers in a child process that can harm nothing.

A parser is a large program that meets hostile files: one that unpacks to gigabytes, one with a
million pages, one that never ends. The child (documents.py) has little memory, time and CPU, no
environment and no network, and it ends with its file. The bot's own process imports no parser.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.observability import tasks

_AT_ONCE = 2  # each may take _MEMORY of the container's 512 MiB
_MEMORY = 160 << 20  # bytes of addresses; fewer of them are ever used
_WAITING = 10.0  # seconds for others' files
_GRACE = 5.0  # seconds that a child may take to start and to end
_ESCAPED = 6  # bytes that one character takes in JSON, at the most twice
_SHARE = 0.4  # of the CPU time that the container may use

# Without `site`, which a child has no use for: it imports from where the bot does.
_PROGRAM = "import sys; sys.path[:] = sys.argv[2:]; from bot.context.documents import main; main()"
_ROOT = Path(__file__).parents[2]

TOO_SLOW = "it takes too long to read"
BUSY = "too many files are being read right now; ask again in a minute"
BROKEN = "it can't be read; it may be damaged"


class ParseError(Exception):
    """A file cannot be read; the message says why, as a clause about "it"."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """The text of a file.

    `pages` of its `of_pages` were read, both 0 where it has no pages; a page is a slide or a sheet,
    too. `truncated` says that there is more than was read.
    """

    text: str
    title: str = ""
    pages: int = 0
    of_pages: int = 0
    truncated: bool = False


class ParserProcess:
    """Starts a child process for each file, a few at once."""

    def __init__(
        self,
        *,
        characters: int = 1 << 16,
        pages: int = 50,
        seconds: float = 20,
        memory: int = _MEMORY,
        waiting: float = _WAITING,
    ) -> None:
        """Read at most `characters` and `pages` of a file, for at most `seconds`.

        A file waits for its turn for `waiting` seconds.
        """
        self._order = {
            "characters": characters,
            "pages": pages,
            "seconds": seconds,
            "memory": memory,
        }
        self._seconds = seconds
        self._most = 2 * _ESCAPED * characters + (1 << 16)  # bytes of a result
        self._waiting = waiting
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def parse(self, kind: str, data: bytes) -> Parsed:
        """Return the text of a file of a kind: "pdf", "office", "html" or "page".

        Raises ParseError if it cannot be read. A caller that is cancelled leaves no child behind.
        """
        try:
            async with asyncio.timeout(self._waiting):
                await self._places.acquire()
        except TimeoutError:
            raise ParseError(BUSY) from None
        try:
            return _parsed(await self._run(kind, data))
        finally:
            self._places.release()

    async def _run(self, kind: str, data: bytes) -> bytes:
        order = json.dumps({"kind": kind, "share": _share(), **self._order})
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, order, *_import_path()),
            stdin=pipe,
            stdout=pipe,
            stderr=nothing,
            env={},
            cwd="/",
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._seconds + _GRACE):
                return await self._exchange(child, data)
        except TimeoutError:
            raise ParseError(TOO_SLOW) from None
        finally:
            if child.returncode is None:
                # Not `child.kill()`: that also reaps the child, which asyncio waits for.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
            await asyncio.shield(_reap(child))

    async def _exchange(self, child: asyncio.subprocess.Process, data: bytes) -> bytes:
        """Give the child its file, and read what it says, which is a bounded number of bytes."""
        assert child.stdout is not None
        giving = tasks.start(_give(child, data), "give_file")
        said = bytearray()
        try:
            while piece := await child.stdout.read(1 << 16):
                said += piece
                if len(said) > self._most:
                    raise ParseError(BROKEN)
        finally:
            giving.cancel()
            await asyncio.wait([giving])
        return bytes(said)


async def _give(child: asyncio.subprocess.Process, data: bytes) -> None:
    assert child.stdin is not None
    with contextlib.suppress(ConnectionError):  # it ended before it had read everything
        child.stdin.write(data)
        await child.stdin.drain()
        child.stdin.close()


async def _reap(child: asyncio.subprocess.Process) -> None:
    """Wait for the end of a child, and for that of its output: then nothing of it is left."""
    assert child.stdout is not None
    while await child.stdout.read(1 << 16):
        pass
    await child.wait()


def _parsed(said: bytes) -> Parsed:
    """Read what the child says; a child that ended without a word was ended by its limits."""
    try:
        result: dict[str, Any] = json.loads(said)
        if (error := result.pop("error", None)) is not None:
            raise ParseError(str(error))
        return Parsed(**result)
    except (ValueError, TypeError, AttributeError):
        raise ParseError(BROKEN) from None


def _import_path() -> list[str]:
    return [str(_ROOT), *(each for each in sys.path if each)]


def _share() -> float:
    """Return the part of a CPU that a child may take: all of one where nothing bounds the bot."""
    for read in (_quota_v2, _quota_v1):
        with contextlib.suppress(OSError, ValueError, IndexError):
            cpus = read()
            return min(1.0, _SHARE * cpus / _AT_ONCE) if cpus > 0 else 1.0
    return 1.0


_CGROUPS = Path("/sys/fs/cgroup")


def _quota_v2() -> float:
    quota, period = (_CGROUPS / "cpu.max").read_text().split()[:2]
    return 0.0 if quota == "max" else int(quota) / int(period)


def _quota_v1() -> float:
    folder = _CGROUPS / "cpu"
    quota, period = (
        int((folder / f"cpu.cfs_{each}_us").read_text()) for each in ("quota", "period")
    )
    return quota / period
