"""Run the layers of the test suite: `python -m tests.run LAYER`, as the Makefile does.

check    ruff, mypy, actionlint, zizmor, spelling, and the manifests offline: seconds;
         `check ruff mypy` runs these two
bot      the bot, in-process and over real sockets against the test servers
release  the release programs and the rollback guard, against a real registry and real Git
azure    what sets a cluster up in Azure, and the doctor, against scripted programs
gitops   the manifests as Flux renders them, against schemas and a real API server
loop     the one-machine loop, and the bot in its pod
coverage the bot layer with its branches measured, in the processes that it starts too
all      each of them, and the tests of the tools; those that need the cluster, which wait more than
         they compute, run beside the others

What follows the name of a layer goes to pytest, but for `K=splitter`: that runs the tests with this
word in their names, and opens only the files that contain it, so that it starts in seconds.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV_BIN = Path(sys.executable).parent

# Where each layer's tests lie. Together they are all of tests/ (asserted by test_run.py).
LAYERS: dict[str, list[str]] = {
    "bot": [
        "tests/bot",
        "tests/servers",
    ],
    "release": ["tests/release", "tests/tools", "tests/wording", "tests/test_run.py"],
    "azure": ["tests/azure"],
    "gitops": ["tests/gitops"],
    "loop": ["tests/loop"],
}


# The two halves of `all`. A machine has one loop, and so one process for all that may touch it.
HALVES: dict[str, list[str]] = {
    "loop": ["tests/loop", "--durations=25"],
    "rest": ["tests", "--ignore=tests/loop", "--durations=25"],
}


def _say(text: str) -> None:
    print(text, flush=True)


def _pytest(*arguments: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments], cwd=ROOT, check=False
    ).returncode


def _program(name: str) -> str:
    return str(VENV_BIN / name)


def _built(name: str) -> str:
    from tests.tools import tool  # noqa: PLC0415 - asks the cache, so not at import

    return str(tool(name))


def _workflows() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(".github/workflows/*.yaml"))


def _tracked_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True)
    paths = [path for path in listed.stdout.decode().split("\0") if path]
    return [path for path in paths if (ROOT / path).is_file()]


# Each check's command line; those that take longest come first.
CHECKS: dict[str, Callable[[], list[str]]] = {
    "mypy": lambda: [_program("mypy"), "bot", "clusters", "tests", ".github/scripts"],
    "manifests": lambda: [sys.executable, "-m", "tests.gitops", "check"],
    "codespell": lambda: [_program("codespell"), *_tracked_files()],
    "zizmor": lambda: [
        *(_program("zizmor"), "--offline", "--quiet", "--no-progress"),
        ".github",
    ],
    "actionlint": lambda: [_built("actionlint"), *_workflows()],
    "ruff": lambda: [_program("ruff"), "check", "--quiet", "."],
    "ruff-format": lambda: [_program("ruff"), "format", "--check", "--quiet", "."],
    "wording": lambda: [sys.executable, "-m", "tests.wording"],
    "links": lambda: [sys.executable, "-m", "tests.wording.links"],
}


def _run_check(name: str) -> tuple[str, float, str | None]:
    """Run one check; give its name, its seconds, and what it found or None."""
    began = time.monotonic()
    done = subprocess.run(CHECKS[name](), cwd=ROOT, check=False, capture_output=True, text=True)
    found = done.stdout + done.stderr if done.returncode else None
    return name, time.monotonic() - began, found


def check(names: list[str] | None = None) -> int:
    """Run every check, or those NAMES; print a check's output only if it fails. Return 0 or 1."""
    if unknown := set(names or ()) - CHECKS.keys():
        _say(f"no check is called {' or '.join(sorted(unknown))}; there are: {', '.join(CHECKS)}")
        return 2
    failed = []
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for each in as_completed([pool.submit(_run_check, name) for name in names or CHECKS]):
            name, seconds, found = each.result()
            _say(f"  {'ok' if found is None else 'FAILED':7} {name:14} {seconds:5.1f} s")
            if found is not None:
                failed.append(name)
                _say(found)
    if failed:
        _say(f"check: {', '.join(failed)} failed; `make fmt` fixes what a program can fix")
    return 1 if failed else 0


@contextmanager
def _timed(name: str) -> Iterator[None]:
    began = time.monotonic()
    _say(f"== {name}")
    yield
    _say(f"== {name}: {time.monotonic() - began:.0f} s\n")


# The first line after a run's progress: of the failures, or of what follows where there are none.
_REPORT = re.compile(r"=+ (ERRORS|FAILURES|warnings summary|slowest |short test|.* in [\d.]+s)")
_CLOSING = re.compile(r"=+ (.+) in [\d.]+s")
_ORDER = ("failed", "passed", "skipped", "xfailed", "xpassed", "warning", "error")


@dataclass
class _Part:
    """One pytest process; its progress is printed at once, its report kept for the end."""

    name: str
    process: subprocess.Popen[str]
    report: list[str] = field(default_factory=list)
    seconds: float = 0

    def follow(self) -> None:
        """Read what it prints until it ends."""
        began = time.monotonic()
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                if self.report or _REPORT.match(line):
                    self.report.append(line.rstrip())
                else:
                    _say(f"{self.name} | {line.rstrip()}")
        self.seconds = time.monotonic() - began

    @property
    def _closing(self) -> int | None:
        """Where its closing line is; what Python says while it ends may follow."""
        found = [number for number, line in enumerate(self.report) if _CLOSING.match(line)]
        return found[-1] if found else None

    @property
    def code(self) -> int:
        """Its exit code; a process that ended without a result has failed, whatever it says."""
        code = abs(self.process.wait())
        return code or int(self._closing is None)

    @property
    def _summary(self) -> int | None:
        """Where the list of tests that failed or were skipped begins, if there is one."""
        report = self.report[: self._closing]
        found = [n for n, line in enumerate(report) if "short test summary info" in line]
        return found[-1] if found else None

    @property
    def details(self) -> list[str]:
        """Its report without that list and the closing line, which stand at the end of all."""
        if self._closing is None:
            return self.report
        ends = self._closing if self._summary is None else self._summary
        return [*self.report[:ends], *self.report[self._closing + 1 :]]

    @property
    def summary(self) -> list[str]:
        """Its list of tests that failed or were skipped."""
        if self._closing is None:
            return [f"ERROR {self.name}: pytest ended without a result"]
        return [] if self._summary is None else self.report[self._summary + 1 : self._closing]

    @property
    def results(self) -> Counter[str]:
        """The numbers of its closing line: of tests that passed, failed and so on."""
        if self._closing is None:
            return Counter({"error": 1})
        said = _CLOSING.match(self.report[self._closing])
        found = re.findall(r"(\d+) (\w+)", said[1]) if said else []
        return Counter({word.removesuffix("s"): int(number) for number, word in found})


def _start(arguments: Sequence[str]) -> subprocess.Popen[str]:
    """Start pytest in a session of its own, so that an interrupt reaches it through us, once."""
    follows = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
    return subprocess.Popen(
        [*follows, sys.executable, "-u", "-m", "pytest", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def side_by_side(parts: Mapping[str, Sequence[str]]) -> int:
    """Run pytest once for each of PARTS, a name and its arguments, all at the same time.

    Print the progress of all of them as it comes, then the report of each, and at the end one
    closing line for all. An interrupt ends all of them, each with its teardown. Return 0 only if
    each part does.
    """
    began = time.monotonic()
    running: list[_Part] = []

    def interrupt(*_: object) -> None:
        for each in running:
            if each.process.poll() is None:
                each.process.send_signal(signal.SIGINT)

    # Before the processes begin: what is ignored here, as in the background, would be there, too.
    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in ends}
    try:
        for name, arguments in parts.items():
            running.append(_Part(name, _start(arguments)))
        readers = [threading.Thread(target=each.follow) for each in running]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        codes = [each.code for each in running]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for each in running:
        _say("\n".join([f"\n== tests, {each.name}: {each.seconds:.0f} s", *each.details]))
    _say(_closing(running, time.monotonic() - began))
    return next((code for code in codes if code), 0)


def _closing(running: Sequence[_Part], seconds: float) -> str:
    """What pytest would have said at the end of one run of all parts."""
    results = sum((each.results for each in running), Counter[str]())
    said = [f"{results[word]} {word}" for word in _ORDER if results[word]]
    lines = [line for each in running for line in each.summary]
    words = f" {', '.join(said) or 'no tests ran'} in {seconds:.2f}s "
    return "\n".join(
        ["", " short test summary info ".center(80, "="), *lines, words.center(80, "=")]
    )


def run_all() -> int:
    """Run the checks, then all of tests/ in two processes. Return 0 only if all are clean."""
    with _timed("check"):
        checked = check()
    with _timed("tests"):
        tested = side_by_side(HALVES)
    return checked or tested


def coverage() -> int:
    """Run the bot layer measured, and print the modules that are not wholly covered.

    Return 0 only if its tests pass and the floor in pyproject.toml is reached.
    """

    def run(*command: str) -> int:
        whole = [sys.executable, "-m", "coverage", *command]
        return subprocess.run(whole, cwd=ROOT, check=False).returncode

    run("erase")
    tested = run("run", "-m", "pytest", "tests/bot")  # tests of the servers run nothing of it
    return run("combine", "--quiet") or run("report") or tested


def _not_elsewhere() -> list[str]:
    """Leave the test servers' own tests to the layers that name them."""
    inside = [place for name, places in LAYERS.items() if name != "loop" for place in places]
    return [f"--ignore={place}" for place in inside if place.startswith("tests/loop/")]


def narrowed(places: list[str], expression: str) -> list[str]:
    """Return the test files of PLACES that a word for pytest's -k can be about.

    An expression of several words narrows nothing. Names that a test computes are not looked for.
    """
    word = expression.casefold()
    if not word.isidentifier():
        return places
    files = sorted({file for place in places for file in (ROOT / place).rglob("test_*.py")})
    found = [str(file.relative_to(ROOT)) for file in files]
    return [
        path for path in found if word in path or word in (ROOT / path).read_text().casefold()
    ] or places


def main(arguments: list[str]) -> int:
    """Run the layer that the first argument names; the rest goes to pytest."""
    name = arguments[0] if arguments else ""
    if name == "check":
        return check(arguments[1:])
    commands: dict[str, Callable[[], int]] = {"coverage": coverage, "all": run_all}
    if name in commands:
        return commands[name]()
    if name in LAYERS:
        rest, places = arguments[1:], LAYERS[name]
        if rest and rest[0].startswith("K="):
            expression = rest[0].removeprefix("K=")
            places, rest = narrowed(places, expression), ["-q", "-k", expression, *rest[1:]]
        return _pytest(*places, *(_not_elsewhere() if name == "loop" else []), *rest)
    _say(__doc__ or "")
    return 0 if name in {"-h", "--help"} else 2


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
