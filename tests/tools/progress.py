"""What a person sees while families are built: a line at each event, and a sign of life."""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self, TextIO

HEARTBEAT_SECONDS = 10.0
TERMINAL_SECONDS = 0.5


class Progress:
    """Prints who has started, how far everyone is, and who is done.

    In a terminal the state is one line that is redrawn; elsewhere it is a line every ten seconds.
    Use as a context manager; `doing` may be called from any thread.
    """

    def __init__(
        self,
        total: int,
        out: TextIO = sys.stdout,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = out
        self._clock = clock
        self._total = total
        self._done = 0
        self._state: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._terminal = out.isatty()
        self._began = clock()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        with self._lock:
            self._clear()

    def started(self, name: str, tools: Sequence[str]) -> None:
        """Say that NAME is being built, and what will come of it."""
        with self._lock:
            self._state[name] = (self._clock(), "starting")
            what = "" if list(tools) in ([], [name]) else f" ({', '.join(tools)})"
            self._say(f"{self._count()} {name}{what}: started")

    def doing(self, name: str, phrase: str) -> None:
        """Remember what NAME is at; the next heartbeat shows it."""
        with self._lock:
            began, _ = self._state[name]
            self._state[name] = (began, phrase)

    def finished(self, name: str, how: str = "ready") -> float:
        """Say that NAME is done. Returns its seconds."""
        with self._lock:
            began, _ = self._state.pop(name)
            seconds = self._clock() - began
            self._done += 1
            self._say(f"{self._count()} {name}: {how} after {seconds:.0f} s")
            return seconds

    def heartbeat(self) -> str:
        """Return the state of everything that is being built, in one line."""
        now = self._clock()
        parts = [f"{name} {what}, {now - at:.0f} s" for name, (at, what) in self._state.items()]
        return f"{self._count()} {now - self._began:4.0f} s  " + " | ".join(parts)

    def _count(self) -> str:
        return f"[{self._done} of {self._total} done]"

    def _beat(self) -> None:
        while not self._end.wait(TERMINAL_SECONDS if self._terminal else HEARTBEAT_SECONDS):
            with self._lock:
                if self._terminal:
                    self._clear()
                    self._out.write(self.heartbeat()[: shutil.get_terminal_size().columns - 1])
                    self._out.flush()
                elif self._state:
                    self._say(self.heartbeat())

    def _clear(self) -> None:
        if self._terminal:
            self._out.write("\r\033[K")

    def _say(self, line: str) -> None:
        self._clear()
        self._out.write(f"tools: {line}\n")
        self._out.flush()
