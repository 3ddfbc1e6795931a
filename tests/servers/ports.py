"""Ports for the programs that tests start, without a race for them.

A port that the kernel chooses (port 0) may be in use by an outgoing connection by the time the
program listens. These are below the ranges of outgoing connections and of Kubernetes' NodePorts.
"""

import itertools
import os
import socket
from typing import Final

_FIRST: Final = 20_000
_COUNT: Final = 10_000
_STRIDE: Final = 613  # keeps processes that start one after another far apart
_numbers = itertools.count(os.getpid() * _STRIDE)


def free_port() -> int:
    """Return a free port of the loopback address, a different one at each call."""
    for _ in range(_COUNT):
        port = _FIRST + next(_numbers) % _COUNT
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError(f"no port from {_FIRST} on is free")
