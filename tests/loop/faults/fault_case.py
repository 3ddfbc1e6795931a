"""What one row of the matrix is, and the context that its fault is played on."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from lightkube import AsyncClient

from tests.loop.people.observe import Observer, PodSeen
from tests.loop.scenarios.steady import Steady
from tests.servers.keyvault.control import VaultControl


@dataclass
class FaultContext:
    """All that a fault may reach. What it sees itself of what was said, it notes."""

    seen: Observer
    api: AsyncClient
    load: Steady
    vault: VaultControl
    said: list[str] = field(default_factory=list)
    gone: float = 0.0  # until then the old process may still have answered

    @property
    def pod(self) -> PodSeen:
        """The Ready pod."""
        return self.seen.pod()

    def note(self, said: str) -> None:
        """Note what somebody else than the bot said of it: Flux, or Kubernetes."""
        self.said.append(said)


# Plays the fault and repairs what does not recover by itself. Returns the moment (Unix time) from
# which on nothing was wrong any more but in the bot itself.
Play = Callable[[FaultContext], Awaitable[float]]


@dataclass(frozen=True)
class FaultCase:
    """One fault. METRIC and LOG have to be seen; TOLD are the failures people may read of.

    METRIC is a regular expression for a series that has to have moved, LOG one for the message of
    a line, NEVER for one that must not be there; with TELLS somebody must have read one of TOLD.
    RECOVERS is the bar in seconds.
    """

    name: str
    play: Play
    about: str
    metric: str = ""
    log: str = ""
    never: str = ""
    told: Sequence[str] = ()
    tells: bool = False
    recovers: float = 30.0
    per_second: float = 3.0
    lead: float = 3.0  # seconds of load before

    @property
    def first(self) -> str:
        """The first line of what it is about."""
        return self.about.partition("\n")[0]


def now() -> float:
    """Unix time, as Discord's stamps are."""
    return time.time()
