"""House rules for bot/ that no linter knows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "bot").rglob("*.py"))
MODULES = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES]

# Run in a fresh interpreter without an environment: imports MODULE and reports what that did.
PROBE = """
import os, sys, threading
before = dict(os.environ)
def refuse(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.fork")):
        if event not in ("socket.gethostname",):
            raise SystemExit(f"importing did {event} {arguments}")
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        raise SystemExit(f"importing wrote {arguments[0]}")
sys.addaudithook(refuse)
__import__(sys.argv[1])
if threading.active_count() != 1:
    raise SystemExit(f"importing left threads: {threading.enumerate()}")
import asyncio, logging, signal
if logging.root.handlers:
    raise SystemExit("importing configured logging")
if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
    raise SystemExit("importing took a signal")
if dict(os.environ) != before:
    raise SystemExit("importing changed the environment")
"""


@pytest.mark.parametrize("module", MODULES)
def test_importing_does_nothing(module: str) -> None:
    """No output, no thread, no socket, no process, no written file, no handler."""
    command = [sys.executable, "-B", "-c", PROBE, module]

    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_is_too_long_to_read(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300
