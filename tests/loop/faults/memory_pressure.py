"""Take memory inside the bot's container with a process that joins its cgroup.

Bounded by the container's own limit. `python -m tests.loop.faults.memory_pressure FOLDER LEAVE`
takes all but LEAVE bytes of what the cgroup FOLDER allows and holds it until its standard input is
closed.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.loop.cluster.pod_process import BotProcess
from tests.loop.people.observe import NotSeen
from tests.loop.supervisor import cgroups

_STEP = 4 << 20
_PATIENCE = 30.0
_LIMITS = ("memory.max", "memory.limit_in_bytes")  # of cgroup v2 and v1
_USED = ("memory.current", "memory.usage_in_bytes")
_VICTIM = 1000  # oom_score_adj: the kernel takes this one first


def folder_of(process: BotProcess) -> Path:
    """Find the memory cgroup of the bot's container."""
    for line in (process.folder / "cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for hierarchy in cgroups.hierarchies():
            found = hierarchy.mount / path.lstrip("/")
            mine = "memory" in hierarchy.options & set(names.split(",")) or not names
            if mine and any((found / name).exists() for name in _LIMITS):
                return found
    raise NotSeen(f"the memory cgroup of {process.pod}", "kubelet", 0)


def _number(folder: Path, names: tuple[str, str]) -> int:
    """Read whichever of two files exists."""
    return next(int((folder / name).read_text()) for name in names if (folder / name).exists())


async def until_killed(process: BotProcess) -> None:
    """Take memory until the kernel has killed the bot. Raises NotSeen."""
    # Raising the score needs no right; the bot is the largest process of its container anyway.
    (process.folder / "oom_score_adj").write_text(str(_VICTIM))
    async with _hog(folder_of(process), leave=0):
        try:
            async with asyncio.timeout(_PATIENCE):
                while process.alive:  # noqa: ASYNC110 - no event tells of another's child
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise NotSeen("the kernel kills the bot", "containerd", _PATIENCE) from None


async def pressure(process: BotProcess, leave: int, seconds: float) -> str:
    """Leave the bot LEAVE bytes for SECONDS; describe how full that is. Raises NotSeen."""
    folder = folder_of(process)
    async with _hog(folder, leave) as hog:
        assert hog.stdout is not None
        try:
            async with asyncio.timeout(_PATIENCE):
                await hog.stdout.readline()
        except TimeoutError:
            raise NotSeen("the container's memory is taken", "containerd", _PATIENCE) from None
        used, limit = _number(folder, _USED), _number(folder, _LIMITS)
        await asyncio.sleep(seconds)
    return f"{used >> 20} of the container's {limit >> 20} MiB were taken"


@asynccontextmanager
async def _hog(folder: Path, leave: int) -> AsyncIterator[asyncio.subprocess.Process]:
    command = (sys.executable, "-m", "tests.loop.faults.memory_pressure", str(folder), str(leave))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def main() -> int:
    """Join the cgroup, allocate memory, hold it."""
    folder, leave = Path(sys.argv[1]), int(sys.argv[2])
    (folder / "cgroup.procs").write_text(str(os.getpid()))
    limit = _number(folder, _LIMITS)
    held: list[bytes] = []
    while leave == 0 or _number(folder, _USED) + leave + _STEP < limit:
        held.append(b"x" * _STEP)
        if len(held) * _STEP > limit:  # it has had its effect
            break
    print("full", flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
