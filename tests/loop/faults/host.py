"""Faults of the machine: memory, disk, names, clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.loop.cluster import pod_process
from tests.loop.faults import memory_pressure
from tests.loop.faults.fault_case import FaultCase, FaultContext, now
from tests.loop.people.observe import NotSeen
from tests.loop.scenarios import disruptions as blows
from tests.loop.supervisor import network, state

_MIB = 1 << 20
_ROOM = 24 * _MIB  # left to the bot under pressure; an answer needs a part of one
_LOGS = state.STATE / "pods"  # what the node writes for a pod that has no volume of its own
_DISK = 4 * _MIB
_PATIENCE = 60.0


async def _memory_pressure(context: FaultContext) -> float:
    """Let another process take all but a few mebibytes of the container's memory for 15 s."""
    context.note(await memory_pressure.pressure(pod_process.of(context.pod), _ROOM, 15))
    return now()


async def _disk_full(context: FaultContext) -> float:
    """Fill the file system with the pods' logs, and let the bot crash meanwhile.

    It has four mebibytes and is mounted for this; the machine's own disk is never filled.
    """
    async with _small_disk(context) as folder:
        (folder / "filler").write_bytes(b"")
        filled = await asyncio.to_thread(_fill, folder / "filler")
        context.note(f"the node has no room for logs: {filled >> 10} KiB and then ENOSPC")
        await asyncio.sleep(6)
        blows.kill_process(context.pod)
        await asyncio.sleep(8)
        (folder / "filler").unlink()
        return now()


def _fill(path: Path) -> int:
    """Write until there is no room; return how much it was."""
    written = 0
    with path.open("wb", buffering=0) as file:
        try:
            while written <= 2 * _DISK:
                written += file.write(b"x" * 4096)
        except OSError:
            return written
    raise NotSeen(f"{path} fills its file system", "kubelet", 0)


@asynccontextmanager
async def _small_disk(context: FaultContext) -> AsyncIterator[Path]:
    """Put a small file system under the pods' logs, and the bot onto it; take it away again."""
    options = ("-t", "tmpfs", "-o", f"size={_DISK},mode=755", "discord-sky-loop")
    await asyncio.to_thread(network.run, "mount", *options, str(_LOGS))
    try:
        await _another_pod(context)
        yield _LOGS
        await context.load.answered(now(), _PATIENCE)
    finally:
        await asyncio.to_thread(network.run, "umount", "--lazy", str(_LOGS))
        await _another_pod(context)


async def _another_pod(context: FaultContext) -> None:
    """Replace the pod, so that the new one's log lies where logs lie now."""
    old = {pod.uid for pod in context.seen.now.pods.values()}
    for pod in list(context.seen.now.pods.values()):
        await blows.delete_pod(context.api, pod)
    await context.seen.until(
        "another pod of the bot is Ready",
        "kubelet",
        lambda seen: any(pod.uid not in old for pod in seen.ready),
        _PATIENCE,
    )


ENTRIES = (
    FaultCase(
        "memory-pressure",
        _memory_pressure,
        "others leave the container 24 MiB of its memory for 15 s",
        recovers=10,
    ),
    FaultCase(
        "disk-full",
        _disk_full,
        "the file system of the pods' logs is full, and the bot crashes meanwhile",
        recovers=25,
        per_second=2.0,
    ),
)
