"""The result of one case, and its row in the table."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.loop.faults.fault_case import FaultCase
from tests.loop.scenarios.outcome import Tally

HEADER = (
    f"{'fault':24} {'asked':>5} {'lost':>4} {'twice':>5} {'back':>6} {'slowest':>7}  what was said"
)
_MOST = 3


@dataclass(frozen=True)
class Result:
    """The figures of a row; `wrong` has a sentence for each failure."""

    entry: FaultCase
    tally: Tally = field(default_factory=lambda: Tally(()))
    back: float = float("inf")
    moved: Mapping[str, float] = field(default_factory=dict)
    logged: Counter[str] = field(default_factory=Counter)
    noted: Sequence[str] = ()
    wrong: Sequence[str] = ()

    def __str__(self) -> str:
        tally = self.tally
        figures = (
            f"{self.entry.name:24} {len(tally.fates):5} {len(tally.lost):4} {len(tally.doubled):5}"
            f" {self.back:6.1f} {max(tally.delays, default=float('inf')):7.1f}"
        )
        first, *others = [*self._said(), *(f"FAILED: {each}" for each in self.wrong)] or ["-"]
        indent = " " * (len(figures) + 2)
        return "\n".join([f"{figures}  {first}", *(f"{indent}{other}" for other in others)])

    def _said(self) -> list[str]:
        moved = [f"{_short(name)} +{change:g}" for name, change in _first(self.moved, self.entry)]
        logged = [f"“{words}” {times} times" for words, times in self.logged.most_common(_MOST)]
        told = [f"{label} {times} times" for label, times in self.tally.told.most_common()]
        return [
            *([f"metric: {', '.join(moved)}"] if moved else []),
            *([f"log: {', '.join(logged)}"] if logged else []),
            *([f"people read: {', '.join(told)}"] if told else []),
            *self.noted,
        ]


def _first(moved: Mapping[str, float], entry: FaultCase) -> list[tuple[str, float]]:
    """Return the series that the case is about first, then those that changed most."""

    def place(item: tuple[str, float]) -> tuple[bool, float]:
        return not matches(entry.metric, [item[0]]), -item[1]

    return sorted(moved.items(), key=place)[:_MOST]


def _short(name: str) -> str:
    series, *labels = name.removeprefix("discord_sky_").split(",")
    return f"{series}{{{','.join(labels)}}}" if labels else series


def matches(pattern: str, found: Sequence[str]) -> bool:
    """Whether one of these has the pattern in it."""
    return bool(pattern) and any(re.search(pattern, each) for each in found)
