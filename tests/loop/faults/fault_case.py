"""One case of the fault matrix, and the context in which its fault is played."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from lightkube import AsyncClient

from tests.loop.people.observe import Observer, PodSeen
from tests.loop.scenarios.steady import Steady
from tests.servers.keyvault.control import VaultControl


@dataclass
class FaultContext:
    """Everything that a fault may use; it records evidence that does not come from the bot."""

    seen: Observer
    api: AsyncClient
    load: Steady
    vault: VaultControl
    said: list[str] = field(default_factory=list)
    gone: float = 0.0  # until when the old process may still have answered

    @property
    def pod(self) -> PodSeen:
        """The Ready pod."""
        return self.seen.pod()

    def note(self, said: str) -> None:
        """Record what something other than the bot reported: Flux, or Kubernetes."""
        self.said.append(said)


# Plays the fault and repairs what does not recover by itself. Returns the moment (Unix time) from
# which on nothing was wrong any more but in the bot itself.
Play = Callable[[FaultContext], Awaitable[float]]


@dataclass(frozen=True)
class FaultCase:
    """One fault. METRIC and LOG have to appear; TOLD are the failures that people may be told.

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
        """The first line of its description."""
        return self.about.partition("\n")[0]


def now() -> float:
    """Unix time, as Discord's stamps are."""
    return time.time()
