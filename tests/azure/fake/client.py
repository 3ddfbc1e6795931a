"""A fake program as a process: passes its command line to the cloud behind $FAKE_CLOUD.

It is started a hundred times a run, so it imports next to nothing: python -I -S client.py az …
"""

from __future__ import annotations

import os
import socket
import sys
import time


def main() -> int:
    """Print the cloud's answer; send the parent process a signal if the cloud says so."""
    stdin = "" if sys.stdin.isatty() else sys.stdin.read()
    env = [f"{name}={os.environ[name]}" for name in _VALUES if name in os.environ]
    parts = ["\x1f".join(sys.argv[1:]), stdin, "\x1f".join(env)]
    with socket.socket(socket.AF_UNIX) as cloud:
        cloud.connect(os.environ["FAKE_CLOUD"])
        cloud.sendall("\x1e".join(parts).encode())
        cloud.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: cloud.recv(65536), b"")).decode()
    code, signal, out, err = answer.split("\x1e")
    if signal:
        os.kill(os.getppid(), int(signal))
        time.sleep(1)  # killed in between: the answer does not come any more
    sys.stdout.write(out)
    sys.stderr.write(err)
    return int(code)


# What `flux envsubst` fills in.
_VALUES = ("GIT_URL", "AZURE_TENANT_ID", "IMAGE_REFLECTOR_CLIENT_ID")

if __name__ == "__main__":
    sys.exit(main())
