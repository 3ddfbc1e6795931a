"""The Go toolchain: is it there, which is it, and how it is called so that results repeat."""

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Measured: without DWARF in the objects a build takes a tenth less time and a quarter less disk;
# nobody debugs these programs, and panics keep their line numbers.
FLAGS = ("-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false")
LINK = "-s -w"


class GoMissing(RuntimeError):
    """There is no usable Go; the message has the remedy."""


@dataclass(frozen=True)
class Toolchain:
    """What `go env` says: version (go1.26.8), target, and where Go keeps its caches."""

    version: str
    os: str
    arch: str
    build_cache: Path
    module_cache: Path


def environment() -> dict[str, str]:
    """Everything of ours, so that a person's settings of Go cannot change what is built."""
    return os.environ | {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        # Less garbage collection in the compiler: 6 % of the time for memory that is there.
        "GOGC": "400",
        "GOMEMLIMIT": "3GiB",
    }


@functools.cache
def toolchain() -> Toolchain:
    """Ask the `go` on PATH. Raises GoMissing."""
    if shutil.which("go") is None:
        raise GoMissing(
            f"Go is not on PATH: install Go {needed()} or newer from https://go.dev/dl "
            "and put its bin folder on PATH"
        )
    names = ["GOVERSION", "GOOS", "GOARCH", "GOCACHE", "GOMODCACHE"]
    asked = subprocess.run(
        ["go", "env", *names],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",  # a go.mod around us has no say in this
        env=environment(),
    )
    answers = asked.stdout.splitlines()
    if asked.returncode != 0 or len(answers) != len(names):
        raise GoMissing(f"`go env` failed ({asked.stderr.strip()}): install Go {needed()} anew")
    version, system, arch, build_cache, module_cache = answers
    if numbers(version) < numbers(needed()):
        raise GoMissing(
            f"Go {version.removeprefix('go')} is too old: install Go {needed()} or newer "
            "from https://go.dev/dl and put its bin folder first on PATH"
        )
    return Toolchain(version, system, arch, Path(build_cache), Path(module_cache))


@functools.cache
def needed() -> str:
    """The highest `go` line of the go.mod files here."""
    lines = (
        found[1]
        for path in HERE.glob("*/go.mod")
        if (found := re.search(r"^go (\S+)$", path.read_text(), re.MULTILINE))
    )
    return max(lines, key=numbers)


def numbers(version: str) -> tuple[int, ...]:
    """Make versions comparable: go1.26.8 is (1, 26, 8), and so is go1.26.8 with experiments."""
    found = re.match(r"(?:go)?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in found[1].split(".")) if found else ()
