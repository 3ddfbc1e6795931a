"""Runs programs for real, and says every quarter of a minute that one is still at work."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping

from clusters.azure.command import ROOT
from clusters.azure.desk import Done
from clusters.azure.errors import NotInstalled

_STILL = 15.0  # seconds
_QUIET = {
    "AZURE_CORE_COLLECT_TELEMETRY": "no",
    # Asks nothing at the terminal: a missing extension is an error, not a question.
    "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
    "GH_PROMPT_DISABLED": "1",
    "GH_PAGER": "",
}


class Shell:
    """See desk.Execute. `programs` names the file of a program where PATH is not asked."""

    def __init__(
        self, say: Callable[[str], None], programs: Mapping[str, str] | None = None
    ) -> None:
        self._say = say
        self._programs = {"python": sys.executable} if programs is None else dict(programs)

    def __call__(
        self, argv: list[str], stdin: str | None, env: Mapping[str, str], *, live: bool
    ) -> Done:
        """Run it in the repository's folder. Raises NotInstalled if there is no such program."""
        program = self._programs.get(argv[0], argv[0])
        environment = {**os.environ, **_QUIET, **env}
        began = time.monotonic()
        done = threading.Event()
        if not live:
            watch = threading.Thread(target=self._still, args=(done, began), daemon=True)
            watch.start()
        try:
            ended = subprocess.run(
                [program, *argv[1:]],
                input=stdin,
                stdin=None if live or stdin is not None else subprocess.DEVNULL,
                capture_output=not live,
                text=True,
                check=False,
                env=environment,
                cwd=ROOT,
            )
        except FileNotFoundError as error:
            raise NotInstalled(argv[0]) from error
        finally:
            done.set()
        return Done(ended.returncode, ended.stdout or "", ended.stderr or "")

    def _still(self, done: threading.Event, began: float) -> None:
        while not done.wait(_STILL):
            self._say(f"  … {time.monotonic() - began:.0f} s")
