"""Cgroups with a share of the CPU, on v1 and on v2: one for the bot, one for all else here."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.loop.supervisor.cgroups import Hierarchy, delegate, hierarchies

_PERIOD = 100_000  # microseconds, as the kubelet sets it
# Before whatever else runs on the machine: it is the bot's cost that is asked for.
_SHARES, _WEIGHT = 262_144, 10_000


@dataclass(frozen=True)
class Cgroup:
    """One cgroup, in each hierarchy that bounds or counts CPU time."""

    name: str
    where: tuple[Hierarchy, ...]

    @classmethod
    def make(cls, name: str, cores: float | None = None) -> Self:
        """Make one of this process with so many cores (None: all there are).

        OSError without the right to.
        """
        made = cls(
            f"discord-sky-cost-{os.getpid()}-{name}",
            tuple(each for each in hierarchies() if _counts_cpu(each)),
        )
        quota = None if cores is None else round(cores * _PERIOD)
        for each, folder in zip(made.where, made.folders, strict=True):
            if each.unified:
                delegate(each)
            folder.mkdir(exist_ok=True)
            if each.unified:
                (folder / "cpu.max").write_text(f"{quota or 'max'} {_PERIOD}")
                (folder / "cpu.weight").write_text(str(_WEIGHT))
            elif "cpu" in each.options:
                (folder / "cpu.cfs_period_us").write_text(str(_PERIOD))
                (folder / "cpu.cfs_quota_us").write_text(str(quota or -1))
                (folder / "cpu.shares").write_text(str(_SHARES))
        return made

    @property
    def folders(self) -> list[Path]:
        """Its folder in each hierarchy."""
        return [each.mount / self.name for each in self.where]

    def within(self, *command: str) -> list[str]:
        """Give the command line that runs COMMAND inside."""
        files = [str(folder / "cgroup.procs") for folder in self.folders]
        enter = 'while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift; exec "$@"'
        return ["sh", "-ec", enter, "sh", *files, "--", *command]

    def processes(self) -> list[int]:
        """Tell the ids of the processes inside."""
        return sorted(map(int, (self.folders[0] / "cgroup.procs").read_text().split()))

    def cpu_seconds(self) -> float:
        """Tell the CPU time of all that ran inside."""
        for folder in self.folders:
            if (folder / "cpuacct.usage").exists():
                return int((folder / "cpuacct.usage").read_text()) / 1e9
            words = (folder / "cpu.stat").read_text().split()
            if "usage_usec" in words:
                return int(words[words.index("usage_usec") + 1]) / 1e6
        raise OSError("no cgroup hierarchy of this machine counts CPU time")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have this process inside, and what it starts; at the end it is where it was."""
        before = [_present(each) for each in self.where]
        _move(self.folders)
        try:
            yield
        finally:
            _move(before)

    def remove(self) -> None:
        """Remove it; all that ran inside has ended."""
        for folder in self.folders:
            folder.rmdir()


def _counts_cpu(hierarchy: Hierarchy) -> bool:
    if hierarchy.unified:
        return "cpu" in (hierarchy.mount / "cgroup.controllers").read_text().split()
    return bool(hierarchy.options & {"cpu", "cpuacct"})


def _move(folders: list[Path]) -> None:
    for folder in folders:
        (folder / "cgroup.procs").write_text(str(os.getpid()))


def _present(hierarchy: Hierarchy) -> Path:
    """The folder of the cgroup that this process is in."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, place = line.split(":", 2)
        controllers = set(filter(None, names.split(",")))
        if controllers <= hierarchy.options and bool(controllers) is not hierarchy.unified:
            return hierarchy.mount / place.lstrip("/")
    return hierarchy.mount
