"""Run the go command: its output is followed line by line, and it dies when we do."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.tools import golang

KEPT_LINES = 20


class GoFailed(RuntimeError):
    """A go command ended with an error.

    `lines` are the last ones of what it had to say, `output` is all that it wrote to stdout.
    """

    def __init__(self, command: Sequence[str], lines: Sequence[str], output: str = "") -> None:
        super().__init__(" ".join(command[:2]))
        self.lines = list(lines)
        self.output = output


def _dies_with_us() -> tuple[str, ...]:
    """Let the kernel end what is started if we are killed too hard to do it ourselves."""
    return ("setpriv", "--pdeathsig", "TERM", "--") if shutil.which("setpriv") else ()


class Runner:
    """Starts go commands and knows those that run, so that all can be stopped at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self.stopped = False

    def go(
        self,
        *arguments: str,
        folder: Path,
        on_line: Callable[[str], bool] = lambda _line: False,
    ) -> str:
        """Run go in FOLDER and return what it wrote to stdout. Raises GoFailed.

        What go writes while it works lies in FOLDER too, so that it goes when FOLDER goes.
        `on_line` sees each line of stderr; True means it was progress, not a message to keep.
        """
        command = ("go", *arguments)
        messages: deque[str] = deque(maxlen=KEPT_LINES)
        with self._start(command, folder) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            answer: list[str] = []
            stdout = process.stdout
            reader = threading.Thread(target=lambda: answer.append(stdout.read()), daemon=True)
            reader.start()
            for line in process.stderr:
                if not on_line(line.rstrip()):
                    messages.append(line.rstrip())
            reader.join()
        with self._lock:
            self._running.discard(process)
        output = "".join(answer)
        if process.returncode != 0:
            raise GoFailed(command, messages or output.splitlines()[-KEPT_LINES:], output)
        return output

    def _start(self, command: Sequence[str], folder: Path) -> subprocess.Popen[str]:
        with self._lock:
            if self.stopped:
                raise GoFailed(command, ["stopped"])
            process = subprocess.Popen(
                (*_dies_with_us(), *command),
                cwd=folder,
                env=golang.environment() | {"GOTMPDIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # so that its compilers can be stopped with it
            )
            self._running.add(process)
            return process

    def stop(self) -> None:
        """End everything that runs, and start nothing any more."""
        with self._lock:
            self.stopped = True
            for process in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
