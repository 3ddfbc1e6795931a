"""One loop on a machine: the process that has bound the name runs it.

The name lies in the abstract socket namespace, not in the file system. It is free again when the
last process that holds the socket has ended, however that came about.
"""

import socket
import time

from tests.loop.supervisor import state


class Held(RuntimeError):
    """Another process holds the lock."""


def take(patience: float = 0.0) -> socket.socket:
    """Bind the name and return the socket, to be kept open. Raises Held after PATIENCE seconds."""
    until = time.monotonic() + patience
    while True:
        bound = socket.socket(socket.AF_UNIX)
        try:
            bound.bind(state.LOCK)
        except OSError as error:
            bound.close()
            if time.monotonic() >= until:
                raise Held from error
            time.sleep(0.05)  # the kernel tells nobody when a name becomes free
        else:
            return bound
