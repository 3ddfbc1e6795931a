"""The loop's cgroups: one folder at the root of each hierarchy, for the pods and for the loop.

A process cannot leave its cgroup by clearing its environment (CGI programs and containers do
that), so what lies in ours is ours. Both cgroup v1 and v2 are met, also side by side.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.loop.supervisor import state

_OWN = "loop"  # the leaf that holds the supervisor and its processes


@dataclass(frozen=True)
class Hierarchy:
    """A mounted cgroup hierarchy; `options` are the controllers on v1, empty on v2."""

    mount: Path
    unified: bool
    options: frozenset[str]

    @property
    def folder(self) -> Path:
        """Our folder in this hierarchy."""
        return self.mount / state.CGROUP


def hierarchies(mountinfo: str | None = None) -> list[Hierarchy]:
    """List the mounted hierarchies, as MOUNTINFO (the kernel's by default) has them.

    One that is mounted at several places (into somebody's chroot) counts once.
    """
    text = Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo
    found: dict[str, Hierarchy] = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in {"cgroup", "cgroup2"}:
            mount = Path(before.split()[4])
            unified = kind == "cgroup2"
            names = frozenset() if unified else frozenset(options.split(","))
            found.setdefault(before.split()[2], Hierarchy(mount, unified, names))
    return list(found.values())


def missing_controllers() -> set[str]:
    """Controllers that the kubelet needs and this machine does not offer in any hierarchy."""
    offered: set[str] = set()
    for hierarchy in hierarchies():
        offered |= hierarchy.options
        if hierarchy.unified:
            offered |= set((hierarchy.mount / "cgroup.controllers").read_text().split())
    if "cpuset" in offered and "cpu" in offered:
        offered.add("cpuacct")  # v2 counts CPU time without a controller
    return {"cpu", "cpuacct", "cpuset", "memory", "pids"} - offered


def create() -> None:
    """Make our folder in every hierarchy and move this process, and so its children, into it."""
    for hierarchy in hierarchies():
        if hierarchy.unified:
            delegate(hierarchy)
        hierarchy.folder.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):  # v1: a new cpuset is empty and admits nobody
            file = hierarchy.folder / name
            if not hierarchy.unified and file.exists() and not file.read_text().strip():
                file.write_text((hierarchy.mount / name).read_text())
    own = _home() / _OWN
    own.mkdir(exist_ok=True)
    (own / "cgroup.procs").write_text(str(os.getpid()))


def delegate(hierarchy: Hierarchy) -> None:
    """Let folders at the root of a v2 hierarchy use what the kubelet asks for.

    systemd enables a controller when a unit first needs it, the kubelet asks before it creates
    anything. It stays enabled after `down`: another may have begun to rely on it.
    """
    offered = set((hierarchy.mount / "cgroup.controllers").read_text().split())
    if "memory" not in offered:  # the kubelet works with v1 here
        return
    control = hierarchy.mount / "cgroup.subtree_control"
    wanted = ({"cpu", "cpuset", "hugetlb", "io", "memory", "pids"} & offered) - set(
        control.read_text().split()
    )
    if wanted:
        control.write_text(" ".join(f"+{name}" for name in sorted(wanted)))


def _home() -> Path:
    """Our folder in the hierarchy that only groups: v2, or `pids` where there is no v2."""
    found = hierarchies()
    grouping = [item for item in found if item.unified] or [
        item for item in found if "pids" in item.options
    ]
    return grouping[0].folder


def folders() -> Iterator[Path]:
    """Our cgroups, each after those inside it."""
    for hierarchy in hierarchies():
        if hierarchy.folder.is_dir():
            for path, _, _ in os.walk(hierarchy.folder, topdown=False):
                yield Path(path)


def pids() -> set[int]:
    """Every process in one of our cgroups."""
    found: set[int] = set()
    for folder in folders():
        try:
            found.update(int(pid) for pid in (folder / "cgroup.procs").read_text().split())
        except OSError:  # removed meanwhile
            continue
    return found
