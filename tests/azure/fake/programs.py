"""The fake programs, called in-process, or by processes through a socket (client.py)."""

from __future__ import annotations

import signal
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.azure.fake.az import az
from tests.azure.fake.gh import gh
from tests.azure.fake.kubectl import flux, kubectl, python
from tests.azure.fake.world import World

PROGRAMS = {"az": az, "gh": gh, "kubectl": kubectl, "flux": flux, "python": python}


def a_world() -> World:
    """Make a world with nothing in it."""
    return World(PROGRAMS)


@dataclass
class Behind:
    """The world, where it is asked, and which signal comes after which change."""

    address: Path
    world: World = field(default_factory=a_world)
    signals: dict[int, int] = field(default_factory=dict)

    def signal(self, name: str, *, change: int) -> None:
        """Let whoever runs the program of that change, counted from the start, get a signal."""
        self.signals[change] = signal.Signals[f"SIG{name}"]

    def answer(self, asked: str) -> str:
        """Run one program: its words, standard input and environment; see client.py."""
        words, stdin, env = asked.split("\x1e")
        given = dict(one.split("=", 1) for one in env.split("\x1f") if one)
        before = len(self.world.changed)
        done = self.world.execute(words.split("\x1f"), stdin, given, live=False)
        after = len(self.world.changed)
        sent = self.signals.get(after, "") if after > before else ""
        return "\x1e".join([str(done.code), str(sent), done.out, done.err])


@contextmanager
def behind(address: Path) -> Iterator[Behind]:
    """Open a world at that address."""
    found = Behind(address)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(found.answer(self.rfile.read().decode()).encode())

    with socketserver.UnixStreamServer(str(address), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield found
        server.shutdown()
