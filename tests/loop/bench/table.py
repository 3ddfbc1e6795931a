"""The table that `make bench` prints."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Row:
    """One line of the table: figures in UNIT, as measured, and the bar if there is one."""

    what: str
    unit: str
    bar: str = ""
    figures: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        if not self.figures:
            return f"{self.what:52} {0:4} {'nothing was measured':>29}  {self.unit:4} {self.bar}"
        numbers = (min(self.figures), statistics.median(self.figures), max(self.figures))
        figures = " ".join(f"{number:9.2f}" for number in numbers)
        return f"{self.what:52} {len(self.figures):4} {figures}  {self.unit:4} {self.bar}"


HEADER = f"{'':52} {'runs':>4} {'minimum':>9} {'median':>9} {'maximum':>9}"


def say(text: str) -> None:
    """Tell the person who waits how far it is."""
    print(f"  {text}", flush=True)


def say_each(lines: Sequence[str], most: int = 10) -> None:
    """Tell these, but not too many of them."""
    for line in lines[:most]:
        say(f"  {line}")
    if len(lines) > most:
        say(f"  … and {len(lines) - most} more")
