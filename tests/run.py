"""Run the layers of the test suite: `python -m tests.run LAYER`, as the Makefile does.

check    ruff, mypy, actionlint, zizmor, and the manifests offline: seconds
bot      the bot, in-process and over real sockets against the stand-in servers
release  the release programs and the rollback guard, against a real registry and real Git
azure    what sets a cluster up in Azure, and the doctor, against stand-ins
gitops   the manifests as Flux renders them, against schemas and a real API server
loop     the one-machine loop, and the bot in its pod
all      each of them, and the tests of the tools
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV_BIN = Path(sys.executable).parent

# Where each layer's tests lie. Together they are all of tests/ (asserted by test_run.py).
LAYERS: dict[str, list[str]] = {
    "bot": [
        "tests/bot",
        "tests/servers/discord",
        "tests/servers/openai",
        "tests/servers/keyvault",
    ],
    "release": ["tests/release", "tests/tools", "tests/test_run.py"],
    "azure": ["tests/azure"],
    "gitops": ["tests/gitops"],
    "loop": ["tests/loop"],
}


def _say(text: str) -> None:
    print(text, flush=True)


def _pytest(*arguments: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], cwd=ROOT, check=False
    ).returncode


def _checks() -> Iterator[tuple[str, list[str]]]:
    """Yield each linter's name and command line."""
    from tests.tools import tool  # noqa: PLC0415 - asks the cache, so not at import

    workflows = sorted(str(p.relative_to(ROOT)) for p in ROOT.glob(".github/workflows/*.yaml"))
    yield "ruff", [str(VENV_BIN / "ruff"), "check", "--quiet", "."]
    yield "ruff format", [str(VENV_BIN / "ruff"), "format", "--check", "--quiet", "."]
    yield "mypy", [str(VENV_BIN / "mypy"), "bot", "clusters", "tests", ".github/scripts"]
    yield "actionlint", [str(tool("actionlint")), *workflows]
    zizmor = [str(VENV_BIN / "zizmor"), "--offline", "--quiet", "--no-progress", ".github"]
    yield "zizmor", zizmor
    yield "manifests", [sys.executable, "-m", "tests.gitops", "check"]


def check() -> int:
    """Run every linter; print its output only when it finds something. Return 0 or 1."""
    failed = []
    for name, command in _checks():
        began = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        good = done.returncode == 0
        _say(f"  {'ok' if good else 'FAILED':7} {name:14} {time.monotonic() - began:5.1f} s")
        if not good:
            failed.append(name)
            _say(done.stdout + done.stderr)
    if failed:
        _say(
            f"check: {', '.join(failed)} found something; `make fmt` mends what a program can mend"
        )
    return 1 if failed else 0


@contextmanager
def _timed(name: str) -> Iterator[None]:
    began = time.monotonic()
    _say(f"== {name}")
    yield
    _say(f"== {name}: {time.monotonic() - began:.0f} s\n")


def run_all() -> int:
    """Run the checks, then all of tests/ in one pytest run. Return 0 only if both are clean."""
    with _timed("check"):
        checked = check()
    with _timed("tests"):
        tested = _pytest("tests", "--durations=15")
    return checked or tested


def _not_elsewhere() -> list[str]:
    """Leave the stand-ins' own tests to the layers that name them."""
    inside = [place for name, places in LAYERS.items() if name != "loop" for place in places]
    return [f"--ignore={place}" for place in inside if place.startswith("tests/loop/")]


def main(arguments: list[str]) -> int:
    """Run the layer that the first argument names; the rest goes to pytest."""
    name = arguments[0] if arguments else ""
    commands: dict[str, Callable[[], int]] = {"check": check, "all": run_all}
    if name in commands:
        return commands[name]()
    if name in LAYERS:
        chosen = _not_elsewhere() if name == "loop" else []
        return _pytest(*LAYERS[name], *chosen, *arguments[1:])
    _say(__doc__ or "")
    return 0 if name in {"-h", "--help"} else 2


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
