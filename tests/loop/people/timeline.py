"""Print what happens, where, and how many seconds after the merge."""

import sys
import time

_COLOURS = {
    "git": "33", "image": "35", "registry": "35", "policy": "36",
    "flux": "34", "pod": "32", "discord": "95",
}  # fmt: skip


class Timeline:
    """Lines of `seconds  where  what`, counted from the last start()."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._colour = sys.stdout.isatty()

    def title(self, text: str) -> None:
        """Begin an act."""
        print(f"\n{self._paint(text, '1')}", flush=True)

    def start(self) -> None:
        """Count from now on."""
        self._began = time.monotonic()

    def add(self, where: str, what: str) -> None:
        """Say WHAT happened just now, and WHERE."""
        seconds = time.monotonic() - self._began
        print(f"{seconds:7.1f} s  {self._paint(f'{where:9}', _COLOURS[where])} {what}", flush=True)

    def note(self, text: str) -> None:
        """Say that something is under way."""
        print(f"           {text}", flush=True)

    def _paint(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colour else text
