"""Where built families lie, and under which key.

`<root>/tools/<family>-<key>/` holds `bin/<tool>` and `share/<name>/`. The key is a hash of
everything that decides the content, so an entry is never changed, only added or cleaned; it
appears by one rename, so an entry that exists is whole.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.tools import golang
from tests.tools.families import FAMILIES, Family

# Raise it when golang.py, recipe.py or shares.py begin to build something else from the same input.
RECIPE = "1"
TEMPORARY = ".tmp-"


class ToolMissing(RuntimeError):
    """A program or a shared folder is not in the cache; the message has the remedy."""


def cache_root() -> Path:
    """$SKY_CACHE, or discord-sky in the user's cache folder. It may not exist yet."""
    if named := os.environ.get("SKY_CACHE"):
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "discord-sky"


def tools_root() -> Path:
    """The folder that holds one folder for each built family."""
    return cache_root() / "tools"


def sources(folder: Path) -> Iterator[Path]:
    """Every file of a family's folder, in a stable order."""
    return iter(sorted(path for path in folder.rglob("*") if path.is_file()))


def key(family: Family, toolchain: golang.Toolchain) -> str:
    """Hash whatever decides what is built: 16 hex digits."""
    digest = hashlib.sha256()

    def add(*parts: str | bytes) -> None:
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            digest.update(len(data).to_bytes(8, "big") + data)

    add(RECIPE, toolchain.version, toolchain.os, toolchain.arch, *golang.FLAGS)
    add(family.name, family.module, family.ldflags)
    add(repr(family.tools), repr(family.additions), repr(family.shares))
    for path in sources(family.source):
        add(path.relative_to(family.source).as_posix(), path.read_bytes())
    return digest.hexdigest()[:16]


def entry(family: Family, toolchain: golang.Toolchain) -> Path:
    """The folder of FAMILY in the cache, whether it is built or not."""
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
        path = entry(family, golang.toolchain()) / below / name
    except golang.GoMissing as error:
        raise ToolMissing(f"{name}: {error}") from error
    if not path.exists():
        raise ToolMissing(f"{name} is not built for these pins yet: run `make tools`")
    return path


def stale(toolchain: golang.Toolchain) -> list[Path]:
    """Entries of keys that this checkout does not name, and what killed builds left."""
    current = {entry(family, toolchain) for family in FAMILIES}
    if not tools_root().is_dir():
        return []
    return sorted(path for path in tools_root().iterdir() if path.is_dir() and path not in current)


def remove_leftovers() -> None:
    """Remove what killed builds left. Only under the build lock: nobody else may be building."""
    for path in tools_root().glob(TEMPORARY + "*"):
        shutil.rmtree(path, ignore_errors=True)
