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
from tests.azure.fake.cloud import FakeCloud
from tests.azure.fake.gh import gh
from tests.azure.fake.kubectl import flux, kubectl, python

PROGRAMS = {"az": az, "gh": gh, "kubectl": kubectl, "flux": flux, "python": python}


def new_cloud() -> FakeCloud:
    """Return an empty cloud."""
    return FakeCloud(PROGRAMS)


@dataclass
class CloudServer:
    """The cloud, its socket, and which signal to send after which change."""

    address: Path
    cloud: FakeCloud = field(default_factory=new_cloud)
    signals: dict[int, int] = field(default_factory=dict)

    def signal(self, name: str, *, change: int) -> None:
        """Signal the parent of the program that makes this change, counted from the start."""
        self.signals[change] = signal.Signals[f"SIG{name}"]

    def answer(self, request: str) -> str:
        """Run one program: its words, standard input and environment; see client.py."""
        words, stdin, env = request.split("\x1e")
        given = dict(one.split("=", 1) for one in env.split("\x1f") if one)
        before = len(self.cloud.changed)
        done = self.cloud.execute(words.split("\x1f"), stdin, given, live=False)
        after = len(self.cloud.changed)
        sent = self.signals.get(after, "") if after > before else ""
        return "\x1e".join([str(done.code), str(sent), done.stdout, done.stderr])


@contextmanager
def serve(address: Path) -> Iterator[CloudServer]:
    """Serve a new cloud on a Unix socket."""
    found = CloudServer(address)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(found.answer(self.rfile.read().decode()).encode())

    with socketserver.UnixStreamServer(str(address), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield found
        server.shutdown()
