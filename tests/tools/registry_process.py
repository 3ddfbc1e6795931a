"""The real registry program, on a port of its own, for tests that need no loop."""

import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.ports import free_port
from tests.tools.cache import tool

_CONFIG = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
log: {{level: error, accesslog: {{disabled: true}}}}
"""
_STARTS = 20.0  # seconds


@contextmanager
def running(root: Path) -> Iterator[str]:
    """Run a registry that keeps its content below ROOT; yield HOST:PORT."""
    port = free_port()
    config = root / "config.yaml"
    config.write_text(_CONFIG.format(root=root / "data", port=port))
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(
            [tool("registry"), "serve", str(config)], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait(f"http://127.0.0.1:{port}/v2/", process)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - an http:// URL of our own
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the registry did not start")
