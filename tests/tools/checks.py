"""What has to be true before anything is built, each failure one sentence with its remedy."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.tools import cache, golang
from tests.tools.families import Family

MEGABYTE = 1_000_000


class NotReady(RuntimeError):
    """This machine cannot build the tools; the message has the remedy."""


def nearest(path: Path) -> Path:
    """Return PATH or the first folder above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def check_writable(root: Path) -> None:
    """Refuse a cache folder that cannot be written."""
    place = nearest(root)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise NotReady(
            f"the cache folder {root} cannot be written: mend the rights of {place}, "
            "or set SKY_CACHE to a folder of yours"
        )


def check_disk(
    families: Sequence[Family],
    places: Sequence[Path],
    free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
) -> None:
    """Refuse a disk that is too full for FAMILIES in any of PLACES."""
    need = sum(family.megabytes for family in families)
    for place in places:
        have = free(nearest(place)) // MEGABYTE
        if have < need:
            raise NotReady(
                f"the disk of {place} has {have / 1000:.1f} GB free and building needs "
                f"{need / 1000:.1f} GB: make room, or set SKY_CACHE, GOCACHE and GOMODCACHE to "
                "folders on another disk"
            )


def check(missing: Sequence[Family], toolchain: golang.Toolchain) -> None:
    """Raise NotReady unless the families that are MISSING can be built here."""
    if not missing:
        return
    check_writable(cache.tools_root())
    for place in (toolchain.build_cache, toolchain.module_cache):
        check_writable(place)
    check_disk(missing, (cache.tools_root(), toolchain.build_cache, toolchain.module_cache))
