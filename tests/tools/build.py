"""Build the families that are not in the cache: two at once, the long ones first.

One build at a time works on a cache; a second one waits for it and then finds its results.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from fnmatch import fnmatch
from pathlib import Path
from typing import Self, TextIO

from tests.tools import cache
from tests.tools.cache import Toolchain
from tests.tools.families import Family, Share

# Each family has times when it uses one core or none (modules are downloaded, a large program is
# linked); a second family fills them. More would only make each of them wait longer.
AT_ONCE = 2
DOWNLOAD_ATTEMPTS = 3
HEARTBEAT_SECONDS = 10.0
_KEPT_LINES = 20
_NETWORK = re.compile(
    r"dial tcp|lookup |i/o timeout|TLS handshake|connection re|unexpected EOF|"
    r"proxyconnect|network is unreachable|50[0-4] |429 ",
    re.IGNORECASE,
)


class GoFailed(RuntimeError):
    """A go command ended with an error.

    `lines` are the last messages it printed, `output` is all that it wrote to stdout.
    """

    def __init__(self, lines: Sequence[str], output: str = "") -> None:
        super().__init__(*lines[-1:])
        self.lines = list(lines)
        self.output = output


class BuildFailed(RuntimeError):
    """A family could not be built; `lines` are the last ones of what was said about it."""

    def __init__(self, family: Family, lines: Sequence[str]) -> None:
        super().__init__(family.name)
        self.family = family
        self.lines = list(lines)


class NotReady(RuntimeError):
    """This machine cannot build the tools; the message has the remedy."""


def is_network_trouble(lines: Sequence[str]) -> bool:
    """Tell whether what go printed is about the network rather than about code."""
    return any(_NETWORK.search(line) for line in lines)


def missing(families: Sequence[Family], toolchain: Toolchain) -> list[Family]:
    """Return those that are not in the cache, the long ones first."""
    absent = [family for family in families if not cache.entry(family, toolchain).is_dir()]
    return sorted(absent, key=lambda family: -family.seconds)


def build(families: Sequence[Family], toolchain: Toolchain) -> None:
    """Build what is missing of FAMILIES. Raises BuildFailed for the first that fails."""
    with lock():
        for left in cache.tools_root().glob(f"{cache.TEMPORARY}*"):
            shutil.rmtree(left, ignore_errors=True)
        wanted = missing(families, toolchain)  # another run may have built some meanwhile
        with Progress(len(wanted)) as progress:
            build_all(wanted, toolchain, Runner(), progress)


def build_all(
    wanted: Sequence[Family], toolchain: Toolchain, runner: "Runner", progress: "Progress"
) -> None:
    """Build WANTED. After a failure nothing new is started, and what runs is stopped."""

    def one(family: Family) -> None:
        with progress.of(family) as report:
            try:
                build_one(family, toolchain, runner, report)
            except (GoFailed, OSError) as error:
                lines = error.lines if isinstance(error, GoFailed) else [str(error)]
                raise BuildFailed(family, lines) from error

    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(one, family) for family in wanted]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            runner.stop()
            raise


def build_one(
    family: Family, toolchain: Toolchain, runner: "Runner", report: Callable[[str], None]
) -> None:
    """Build FAMILY into the cache; nothing is visible there before all of it is done.

    `report` gets a phrase for what is being done now. Raises GoFailed, OSError.
    """
    target = cache.entry(family, toolchain)
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f"{cache.TEMPORARY}{family.name}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as temporary:
        work, made = Path(temporary, "work"), Path(temporary, "made")
        # A copy, because go writes beside a go.mod and a checkout may be read-only.
        shutil.copytree(family.source, work)
        made.mkdir()
        if family.additions:
            # The module cache is read-only, and go refuses to overlay files in it. So the module
            # is replaced by a copy, made from the archive whose checksum is in go.sum.
            module, _ = extract(archive(family, work, runner), ("*",), work / "module")
            for name, content in family.additions:
                (module / name).parent.mkdir(parents=True, exist_ok=True)
                (module / name).write_text(content)
            if family.go:
                runner.go("mod", "edit", f"-go={family.go}", str(module / "go.mod"), folder=work)
            replacement = f"-replace={family.module}=./{module.relative_to(work)}"
            runner.go("mod", "edit", replacement, folder=work)
        if family.tools:
            _compile(family, work, made / "bin", runner, report)
        for share in family.shares:
            report("downloading")
            take(share, archive(family, work, runner), made / "share" / share.name)
        made.rename(target)


def _compile(
    family: Family, work: Path, target: Path, runner: "Runner", report: Callable[[str], None]
) -> None:
    programs = dict(family.tools)
    total = len(_packages(list(programs.values()), work, runner, report))
    compiled = 0

    def on_line(line: str) -> bool:
        nonlocal compiled
        # `go build -v` prints each package that it compiles; its messages contain spaces.
        if not line or " " in line or line.startswith(("#", "\t")):
            return False
        compiled += 1
        report(f"compiled {compiled} of up to {total} packages")
        return True

    report(f"compiled 0 of up to {total} packages")
    target.mkdir()
    version = family.version()
    major, minor = (*version.removeprefix("v").split("."), "", "")[:2]
    number = version.removeprefix("v")
    ours = family.ldflags.format(version=version, number=number, major=major, minor=minor)
    # One go command for all programs of a family: it links one while it compiles the next. With
    # one program `-o` is its name (etcd's package is called server), with more it is their folder.
    output = target if len(programs) > 1 else target / next(iter(programs))
    flags = (*cache.FLAGS, f"-ldflags=-s -w {ours}".rstrip(), "-o", str(output))
    runner.go("build", "-v", *flags, *programs.values(), folder=work, on_line=on_line)
    if absent := [name for name in programs if not (target / name).is_file()]:
        raise GoFailed([f"no program came out under the name {absent[0]}"])


def _packages(
    roots: list[str], work: Path, runner: "Runner", report: Callable[[str], None]
) -> list[str]:
    """List what has to be compiled. This also downloads the modules, so it is retried."""
    downloads = 0

    def on_line(line: str) -> bool:
        nonlocal downloads
        downloads += line.startswith("go: downloading ")
        report(f"downloaded {downloads} modules")
        return line.startswith("go: downloading ")

    for attempt in range(1, DOWNLOAD_ATTEMPTS + 1):
        try:
            return runner.go("list", "-deps", *roots, folder=work, on_line=on_line).split()
        except GoFailed as error:
            if attempt == DOWNLOAD_ATTEMPTS or not is_network_trouble(error.lines):
                raise
            report(f"download failed, attempt {attempt + 1} of {DOWNLOAD_ATTEMPTS}")
    raise AssertionError


def archive(family: Family, work: Path, runner: "Runner") -> Path:
    """Return the zip of FAMILY's module, downloaded where needed. Raises GoFailed.

    go checks the zip against the go.sum in WORK, and adds what is not there after asking the
    checksum database; a checksum that is not in the family's own go.sum is refused here.
    """
    named = f"{family.module} {family.version()} "
    command = ("mod", "download", "-json", named.strip().replace(" ", "@"))
    lines: list[str] = []
    try:
        answer = runner.go(*command, folder=work)
    except GoFailed as error:
        # With -json the error is in the answer. A module that asks for a newer Go is downloaded
        # and checked all the same; only its files are wanted, so that does not matter.
        answer, lines = error.output, error.lines
    try:
        said = json.loads(answer)
    except ValueError:
        raise GoFailed(lines or answer.splitlines()) from None
    if "Zip" not in said or "Sum" not in said:
        raise GoFailed([str(said.get("Error", "no archive"))])
    if f"{named}{said['Sum']}" not in (family.source / "go.sum").read_text().splitlines():
        raise GoFailed([f"checksum mismatch: {said['Sum']} is not in go.sum"])
    return Path(said["Zip"])


def extract(path: Path, patterns: Sequence[str], target: Path) -> tuple[Path, list[Path]]:
    """Write the files of a module's archive that match PATTERNS below TARGET.

    Returns the module's folder there, and the files. Raises GoFailed where a pattern matches none.
    """
    with zipfile.ZipFile(path) as content:
        # All names begin with module@version/, and versions have no slash.
        start = re.match(r".*?@[^/]*/", content.namelist()[0])
        root = start[0] if start else ""
        names = content.namelist()
        for pattern in patterns:
            if not any(fnmatch(name, root + pattern) for name in names):
                raise GoFailed([f"the module has no {pattern}"])
        wanted = [name for name in names if any(fnmatch(name, root + one) for one in patterns)]
        return target / root, [Path(content.extract(name, target)) for name in wanted]


def take(share: Share, path: Path, target: Path) -> None:
    """Write the shared files to TARGET. Raises GoFailed if a path of the table matches nothing."""
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        module, files = extract(path, share.paths, Path(temporary))
        if share.crds_only:
            for name, text in (crd for file in files for crd in crds(file.read_text())):
                (target / f"{name}.yaml").write_text(text)
            return
        fixed = share.paths[0].split("*", 1)[0].rpartition("/")[0]
        shutil.copytree(module / fixed, target, dirs_exist_ok=True)


def crds(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and YAML of each CustomResourceDefinition in a stream of YAML documents.

    Documents are split by their separator and not parsed: there is no YAML parser in the standard
    library, and controller-gen writes these files.
    """
    for document in re.split(r"^---\s*$", text, flags=re.MULTILINE):
        if not re.search(r"^kind: CustomResourceDefinition$", document, re.MULTILINE):
            continue
        name = re.search(r"^  name: (\S+)$", document.split("\nspec:", 1)[0], re.MULTILINE)
        if name is None:
            raise GoFailed(["a CRD without a name"])
        yield name[1], document.strip() + "\n"


class Runner:
    """Starts go commands and knows those that run, so that all can be stopped at once."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def go(
        self,
        *arguments: str,
        folder: Path,
        on_line: Callable[[str], bool] = lambda _line: False,
    ) -> str:
        """Run go in FOLDER and return what it wrote to stdout. Raises GoFailed.

        What go writes while it works is in FOLDER too, so that it goes when FOLDER goes.
        `on_line` sees each line of stderr; True means it was progress, not a message to keep.
        """
        if self._stopped:
            raise GoFailed(["stopped"])
        messages: deque[str] = deque(maxlen=_KEPT_LINES)
        # The kernel ends go if we are killed too hard to do it ourselves.
        dies_with_us = ("setpriv", "--pdeathsig", "TERM", "--") if shutil.which("setpriv") else ()
        process = subprocess.Popen(
            (*dies_with_us, "go", *arguments),
            cwd=folder,
            env=os.environ | cache.GO_ENVIRONMENT | {"GOTMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._running.add(process)
        answer: list[str] = []
        with process:
            assert process.stdout is not None
            assert process.stderr is not None
            stdout = process.stdout
            reader = threading.Thread(target=lambda: answer.append(stdout.read()), daemon=True)
            reader.start()
            for line in process.stderr:
                if not on_line(line.rstrip()):
                    messages.append(line.rstrip())
            reader.join()
        self._running.discard(process)
        output = "".join(answer)
        if process.returncode != 0:
            raise GoFailed(list(messages) or output.splitlines()[-_KEPT_LINES:], output)
        return output

    def stop(self) -> None:
        """End everything that runs, and start nothing any more."""
        self._stopped = True
        for process in tuple(self._running):
            process.terminate()


class Progress:
    """Prints a line at each event and, every ten seconds, how far each family is."""

    def __init__(
        self,
        total: int,
        out: TextIO = sys.stdout,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out, self._clock = out, clock
        self._total, self._done, self._began = total, 0, clock()
        self._state: dict[str, tuple[float, str]] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    @contextlib.contextmanager
    def of(self, family: Family) -> Iterator[Callable[[str], None]]:
        """Say that FAMILY starts and how it ends; yield what takes the phrases in between."""
        began = self._clock()

        def report(phrase: str) -> None:
            self._state[family.name] = (began, phrase)

        report("starting")
        self._say(f"{self._count()} {family.name}: started")
        how = "failed"
        try:
            yield report
            how = "ready"
        finally:
            del self._state[family.name]
            self._done += 1
            self._say(f"{self._count()} {family.name}: {how} after {self._clock() - began:.0f} s")

    def heartbeat(self) -> str:
        """Return the state of everything that is being built, in one line."""
        now, state = self._clock(), dict(self._state)
        parts = [f"{name} {what}, {now - at:.0f} s" for name, (at, what) in state.items()]
        return f"{self._count()} {now - self._began:4.0f} s  " + " | ".join(parts)

    def _count(self) -> str:
        return f"[{self._done} of {self._total} done]"

    def _beat(self) -> None:
        while not self._end.wait(HEARTBEAT_SECONDS):
            if self._state:
                self._say(self.heartbeat())

    def _say(self, line: str) -> None:
        print(f"tools: {line}", file=self._out, flush=True)


@contextlib.contextmanager
def lock() -> Iterator[None]:
    """Hold the build lock of this cache; it ends with the process, however that ends."""
    root = cache.tools_root()
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as file:
        waited = 0.0
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if waited % HEARTBEAT_SECONDS == 0:
                    print(f"tools: another build is running; waiting, {waited:.0f} s", flush=True)
                waited += 0.25
                time.sleep(0.25)
        yield


def clean(toolchain: Toolchain) -> list[Path]:
    """Remove entries that no family names with its present key. Returns what was removed."""
    with lock():
        old = cache.stale(toolchain)
        for path in old:
            # Renamed first: an entry that is there must be complete.
            shutil.rmtree(path.rename(path.with_name(f"{cache.TEMPORARY}removed-{path.name}")))
    return old


def check(wanted: Sequence[Family], toolchain: Toolchain) -> None:
    """Raise NotReady unless the folders can be written and have room for WANTED."""
    places = (cache.tools_root(), toolchain.build_cache, toolchain.module_cache)
    for place in places:
        check_writable(place)
    check_disk(wanted, places)


def nearest(path: Path) -> Path:
    """Return PATH or the first folder above it that exists."""
    return next(place for place in (path, *path.parents) if place.exists())


def check_writable(root: Path) -> None:
    """Refuse a cache folder that cannot be written."""
    place = nearest(root)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise NotReady(
            f"the cache folder {root} cannot be written: correct the permissions of {place}, "
            "or set SKY_CACHE to a folder of yours"
        )


def check_disk(
    families: Sequence[Family],
    places: Sequence[Path],
    free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
) -> None:
    """Refuse a disk that is too full for FAMILIES in any of PLACES."""
    need = sum(family.megabytes for family in families) / 1000
    for place in places:
        if (have := free(nearest(place)) / 1e9) < need:
            raise NotReady(
                f"the disk of {place} has {have:.1f} GB free and building needs {need:.1f} GB: "
                "make room, or set SKY_CACHE, GOCACHE and GOMODCACHE to folders on another disk"
            )
