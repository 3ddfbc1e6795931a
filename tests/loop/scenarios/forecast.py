"""How long `make demo` takes on this machine, and why: said before anything is done.

The seconds were measured on two quiet cores; a family's are in tests/tools/families.toml.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from tests.loop.cluster.images import base_root_file
from tests.tools import build, cache, packages
from tests.tools.__main__ import choose

_PACKAGES, _BASE, _LAYERS, _DEMO = 20, 20, 60, 60
_MINUTE = 60


@dataclass(frozen=True)
class Part:
    """Something that has to be done first, or the demo itself."""

    seconds: int
    what: str


def parts() -> list[Part]:
    """Return what is to be done here. Raises GoMissing."""
    found = []
    if absent := packages.missing():
        found.append(Part(_PACKAGES, f"install {len(absent)} Debian packages"))
    if absent_families := build.missing(choose(["loop"]), cache.toolchain()):
        names = ", ".join(family.name for family in absent_families)
        source = os.environ.get("TOOLS_CACHE")
        how = f"build, or take from {source}," if source else "build from source"
        found.append(Part(sum(family.seconds for family in absent_families), f"{how} {names}"))
    if not base_root_file().exists():
        found.append(Part(_BASE, "make the root that stands in for the base image"))
    if not (cache.cache_root() / "buildah").exists():
        found.append(Part(_LAYERS, "download the bot's dependencies for its image"))
    return [*found, Part(_DEMO, "start the cluster, merge twice, revert once")]


def sentences(todo: Sequence[Part]) -> list[str]:
    """Say how long TODO takes, and each part of it."""
    *once, demo = todo
    if not once:
        return [f"make demo: about {_length(demo.seconds)}: everything it needs is in the cache"]
    total = _length(sum(part.seconds for part in todo))
    lines = [
        f"make demo: about {total} on two quiet cores; about {_length(demo.seconds)} next time"
    ]
    width = max(len(_length(part.seconds)) for part in todo)
    lines += [f"  {_length(part.seconds):>{width}}  {part.what} (once)" for part in once]
    return [*lines, f"  {_length(demo.seconds):>{width}}  {demo.what}"]


def _length(seconds: int) -> str:
    if seconds <= _MINUTE:
        return f"{seconds} s"
    return f"{round(seconds / _MINUTE)} min"


def main() -> int:
    """Say it; what is wrong with the machine is said by what needs it, with the remedy."""
    try:
        print("\n".join(sentences(parts())), flush=True)
    except cache.GoMissing:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
