"""What became of a question that people asked the bot, judged by what Discord kept of it."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from bot.domain import errors


def sentences(kind: type[errors.SkyError] = errors.SkyError) -> Iterator[tuple[str, str]]:
    """Give each failure's label and the sentence that a person reads of it."""
    yield kind.label, kind.sentence
    for below in kind.__subclasses__():
        yield from sentences(below)


@dataclass(frozen=True)
class Fate:
    """What became of a question. `first` and `whole` are None where that never came."""

    name: str
    asked: float
    answers: int  # messages of the bot's that answer it and are still there
    first: float | None  # its first words were shown
    whole: float | None  # it stood there word for word as the model sent it
    told: str  # the failure that the person was told of, by its label
    shown: str
    channel: str = ""  # the id of the channel
    peer: str = ""  # the address of the process that answered first

    @property
    def lost(self) -> bool:
        """Whether the person has neither an answer nor a reason."""
        return self.whole is None and not self.told

    @property
    def doubled(self) -> bool:
        """Whether the person was answered more than once."""
        return self.answers > 1

    @property
    def delay(self) -> float:
        """From the question to the whole answer; infinite where there is none."""
        return float("inf") if self.whole is None else self.whole - self.asked


@dataclass(frozen=True)
class Tally:
    """The sum of many fates."""

    fates: tuple[Fate, ...]

    @property
    def lost(self) -> tuple[Fate, ...]:
        """Those without an answer and without a reason."""
        return tuple(fate for fate in self.fates if fate.lost)

    @property
    def doubled(self) -> tuple[Fate, ...]:
        """Those with more than one."""
        return tuple(fate for fate in self.fates if fate.doubled)

    @property
    def told(self) -> Counter[str]:
        """How many were told of which failure instead of being answered."""
        return Counter(fate.told for fate in self.fates if fate.whole is None and fate.told)

    @property
    def delays(self) -> list[float]:
        """Seconds to each whole answer."""
        return [fate.delay for fate in self.fates if fate.whole is not None]

    def since(self, moment: float, until: float = float("inf")) -> "Tally":
        """Give those that were asked since a moment (and before another)."""
        return Tally(tuple(fate for fate in self.fates if moment <= fate.asked < until))

    def __str__(self) -> str:
        told = "".join(f", {number} told {label}" for label, number in sorted(self.told.items()))
        lost, doubled = len(self.lost), len(self.doubled)
        return (
            f"{len(self.fates)} asked, {len(self.delays)} answered{told}, {lost} lost,"
            f" {doubled} doubled, the slowest after {max(self.delays, default=0):.1f} s"
        )

    def wrong(self) -> list[str]:
        """Say of each that is lost or doubled what Discord shows."""
        return [
            f"{fate.name} asked {time.strftime('%H:%M:%S', time.localtime(fate.asked))}: "
            f"{'lost' if fate.lost else f'{fate.answers} answers'}, shown {fate.shown!r}"
            for fate in self.fates
            if fate.lost or fate.doubled
        ]
