"""Key Vault asked by a process of its own, which ends soon after: vault_child.py.

Azure's libraries take 19 MiB for good once they are loaded, for two questions an hour. The process
takes 50 MiB and a quarter of a CPU-second, and while a credential is refused it goes on running, so
only the first of many questions waits for it to start.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from itertools import count
from typing import TYPE_CHECKING, Any

from bot.credentials.keyvault import Secret, VaultTrouble, Version
from bot.observability import tasks

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping


_COMMAND = (sys.executable, "-m", "bot.credentials.vault_child")
_LINGERS = 15.0  # seconds after the last answer: five of the longest pauses between questions
_SECONDS = 30.0  # for an answer: AzureVault's own ten, and the start where CPU is scarce
_ENDING_SECONDS = 0.5  # for the process to end by itself
_LONGEST = 2**20  # bytes of a line; a secret has at most 25,000, and JSON six for each


class VaultProcess:
    """One vault, asked as the identity that ENVIRON names. See keyvault.Vault."""

    def __init__(
        self,
        url: str,
        environ: Mapping[str, str],
        *,
        lingers: float = _LINGERS,
        seconds: float = _SECONDS,
    ) -> None:
        self._command = (*_COMMAND, url)
        self._environ = environ
        self._lingers = lingers
        self._seconds = seconds
        self._starting = asyncio.Lock()
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._process: Process | None = None
        self._running: asyncio.Task[None] | None = None

    async def read(self, name: str) -> Secret:
        """See Vault."""
        found = await self._ask("read", name)
        return Secret(found["value"], Version(**found["version"]))

    async def look(self, name: str) -> Version:
        """See Vault."""
        return Version(**await self._ask("look", name))

    async def close(self) -> None:
        """End the process, if there is one; the next question starts another."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _ask(self, operation: str, name: str) -> dict[str, Any]:
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._seconds):
                await self._send({"number": number, "operation": operation, "name": name})
                answer = await future
        except TimeoutError:
            await self.close()  # it has a bound of its own, so it hangs
            raise VaultTrouble("slow") from None
        except OSError as error:
            raise VaultTrouble("broken", type(error).__name__) from error
        finally:
            self._waiting.pop(number, None)
        if "label" in answer:
            raise VaultTrouble(answer["label"], answer["detail"])
        found: dict[str, Any] = answer["found"]
        return found

    async def _send(self, question: dict[str, Any]) -> None:
        async with self._starting:  # both secrets are asked about in the same moment
            if self._process is None:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    env=dict(self._environ),
                    limit=_LONGEST,
                    start_new_session=True,  # Ctrl-C at a terminal is for the bot
                )
                self._running = tasks.start(self._run(self._process), "vault_process")
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            await self._process.stdin.drain()

    async def _run(self, process: Process) -> None:
        """Hand out answers until there was nothing to answer for a while, and end the process."""
        try:
            while line := await self._line(process):
                answer = json.loads(line)
                future = self._waiting.get(answer["number"])
                if future is not None and not future.done():
                    future.set_result(answer)
        finally:
            self._process = None
            left, self._waiting = self._waiting, {}
            code = await _end(process)
            for future in left.values():
                if not future.done():
                    future.set_exception(VaultTrouble("broken", f"exit code {code}"))

    async def _line(self, process: Process) -> bytes:
        """Wait for an answer; nothing if the process ended, or nobody asks any more."""
        assert process.stdout is not None
        reading = tasks.start(process.stdout.readline(), "vault_answer")
        try:
            while not (await asyncio.wait([reading], timeout=self._lingers))[0]:
                if not self._waiting:
                    return b""
            return reading.result()
        finally:
            reading.cancel()


async def _end(process: Process) -> int:
    """End a process that has nothing more to do, if it has not ended; gives its exit code.

    To kill at once would look whether it has ended, and take its exit code away from the loop.
    """
    assert process.stdin is not None
    process.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_ENDING_SECONDS):
            return await process.wait()
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    return await process.wait()
