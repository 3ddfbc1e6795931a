"""Where built families are kept, and under which key.

`<root>/tools/<family>-<key>/` holds `bin/<tool>` and `share/<name>/`. The key is a hash of
everything that decides the content, so an entry is never changed, only added or removed. It
appears by one rename, so an entry that exists is complete.
"""

import functools
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.tools.families import FAMILIES, HERE, Family

# Raise it when build.py begins to make something else from the same input.
RECIPE = "1"
TEMPORARY = ".tmp-"
# Measured: without DWARF in the objects a build takes a tenth less time and a quarter less disk.
# Nobody debugs these programs, and panics keep their line numbers.
FLAGS = ("-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false")
# Set here, so that a person's own Go settings cannot change what is built. Less garbage
# collection in the compiler saves 6 % of the time.
GO_ENVIRONMENT = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-mod=readonly",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
    "GOGC": "400",
    "GOMEMLIMIT": "3GiB",
}


class GoMissing(RuntimeError):
    """There is no usable Go; the message has the remedy."""


class ToolMissing(RuntimeError):
    """A program or a shared folder is not in the cache; the message has the remedy."""


@dataclass(frozen=True)
class Toolchain:
    """What `go env` says: version (go1.26.8), target, and where Go keeps its caches."""

    version: str
    os: str
    arch: str
    build_cache: Path
    module_cache: Path


@functools.cache
def toolchain() -> Toolchain:
    """Ask the `go` on PATH. Raises GoMissing."""
    needed = needed_go()
    install = f"install Go {needed} or newer from https://go.dev/dl and put its bin folder"
    if shutil.which("go") is None:
        raise GoMissing(f"Go is not on PATH: {install} on PATH")
    names = ["GOVERSION", "GOOS", "GOARCH", "GOCACHE", "GOMODCACHE"]
    asked = subprocess.run(
        ["go", "env", *names],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",  # away from any go.mod, which could ask for another toolchain
        env=os.environ | GO_ENVIRONMENT,
    )
    answers = asked.stdout.splitlines()
    if asked.returncode != 0 or len(answers) != len(names):
        raise GoMissing(f"`go env` failed ({asked.stderr.strip()}): reinstall Go {needed}")
    version, system, arch, build_cache, module_cache = answers
    if numbers(version) < numbers(needed):
        raise GoMissing(f"Go {version.removeprefix('go')} is too old: {install} first on PATH")
    return Toolchain(version, system, arch, Path(build_cache), Path(module_cache))


def needed_go() -> str:
    """Return the highest `go` line of the go.mod files here."""
    texts = [path.read_text() for path in HERE.glob("*/go.mod")]
    lines: list[str] = re.findall(r"^go (\S+)$", "\n".join(texts), re.MULTILINE)
    return max(lines, key=numbers)


def numbers(version: str) -> tuple[int, ...]:
    """Make versions comparable: go1.26.8 is (1, 26, 8), and so is go1.26.8 with experiments."""
    found = re.match(r"(?:go)?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def cache_root() -> Path:
    """Return $SKY_CACHE, or discord-sky in the user's cache folder. It may not exist yet."""
    if named := os.environ.get("SKY_CACHE"):
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "discord-sky"


def tools_root() -> Path:
    """Return the folder that holds one folder for each built family."""
    return cache_root() / "tools"


def key(family: Family, toolchain: Toolchain) -> str:
    """Hash everything that decides what is built: 16 hex digits."""
    parts: list[str | bytes] = [RECIPE, toolchain.version, toolchain.os, toolchain.arch, *FLAGS]
    parts += [family.name, family.module, family.ldflags]
    parts += [repr(family.tools), repr(family.additions), repr(family.shares)]
    parts += [family.go] * bool(family.go)
    for path in sorted(path for path in family.source.rglob("*") if path.is_file()):
        parts += [path.relative_to(family.source).as_posix(), path.read_bytes()]
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def entry(family: Family, toolchain: Toolchain) -> Path:
    """Return the folder of FAMILY in the cache, whether it is built or not."""
    return tools_root() / f"{family.name}-{key(family, toolchain)}"


def tool(name: str) -> Path:
    """Return the path of the built program NAME. Raises ToolMissing."""
    return _find(name, "bin", lambda family: name in dict(family.tools))


def share(name: str) -> Path:
    """Return the folder of shared files NAME ("crds" or "openapi"). Raises ToolMissing."""
    return _find(name, "share", lambda family: name in {item.name for item in family.shares})


def _find(name: str, below: str, holds: Callable[[Family], bool]) -> Path:
    family = next((family for family in FAMILIES if holds(family)), None)
    if family is None:
        raise ToolMissing(f"{name} is not among the tools of tests/tools/families.py")
    try:
        path = entry(family, toolchain()) / below / name
    except GoMissing as error:
        raise ToolMissing(f"{name}: {error}") from error
    if not path.exists():
        raise ToolMissing(f"{name} is not built for these pins yet: run `make tools`")
    return path


def stale(toolchain: Toolchain) -> list[Path]:
    """List entries whose keys this checkout does not name, and what killed builds left."""
    current = {entry(family, toolchain) for family in FAMILIES}
    folders = tools_root().glob("*/")
    return sorted(Path(path) for path in folders if Path(path) not in current)
