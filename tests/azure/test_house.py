"""House rules for clusters/azure that no linter knows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "clusters/azure").rglob("*.py"))
MODULES = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES]
# Run in a fresh interpreter: imports every module and reports what that did beyond importing.
PROBE = """
import sys
def refuse(event, arguments):
    if event.startswith(("subprocess.", "os.system", "os.exec", "os.fork", "socket.connect")):
        raise SystemExit(f"importing did {event} {arguments}")
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        raise SystemExit(f"importing wrote {arguments[0]}")
sys.addaudithook(refuse)
for module in sys.argv[1:]:
    __import__(module)
"""


def test_importing_does_nothing() -> None:
    command = [sys.executable, "-B", "-c", PROBE, *MODULES]

    done = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nothing_but_what_make_setup_gives_is_imported() -> None:
    """The bot's own dependencies will do: set-up needs nothing of the tests."""
    probe = "import sys; " + "; ".join(f"import {module}" for module in MODULES)
    command = [sys.executable, "-c", f"{probe}; print(*sorted(sys.modules))"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"tests", "pytest", "yaml", "ruamel", "lightkube", "hypothesis"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_is_too_long_to_read(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300
