"""The bot's process in its container, as this machine, the node, sees it."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from tests.loop.people.observe import NotSeen, PodSeen
from tests.loop.supervisor import state


@dataclass(frozen=True)
class BotProcess:
    """One run of the bot in a pod; `ticks` is its start by the kernel's clock, so it is unique."""

    pod: str
    pid: int
    ticks: int

    @property
    def folder(self) -> Path:
        """Its folder in /proc."""
        return Path("/proc") / str(self.pid)

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return state.start_ticks(self.pid) == self.ticks

    def kill(self) -> None:
        """End it as a crash does, without a word."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)


def of(pod: PodSeen) -> BotProcess:
    """Find the bot's process of a pod: the one with the pod's name and the image's variables.

    Raises NotSeen where the container does not run.
    """
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = environ.read_bytes().split(b"\0")
        except OSError:
            continue
        named = b"HOSTNAME=" + pod.name.encode() in variables
        if named and any(each.startswith(b"SKY_REVISION=") for each in variables):
            pid = int(environ.parent.name)
            return BotProcess(pod.name, pid, state.start_ticks(pid))
    raise NotSeen(f"a process of {pod.name} on this machine", "containerd", 0)
