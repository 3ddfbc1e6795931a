"""Remove everything that leftovers.py finds, whatever state the loop was left in."""

import ctypes
import os
import select
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from tests.loop.supervisor import cgroups, leftovers, network, state

Say = Callable[[str], None]

# Nothing is lost by a KILL: all that these processes keep is about to be removed.
_TERM_PATIENCE, _KILL_PATIENCE = 1.0, 10.0
_MNT_DETACH = 2
_ROUNDS = 4  # what ends may, while ending, start or leave something


def clean(say: Say) -> leftovers.Leftovers:
    """Remove it all, say what was removed, keep the logs; return what could not be removed."""
    found = leftovers.find()
    for line in found.lines():
        say(f"removing {line}")
    for _ in range(_ROUNDS):
        end((pid, ticks) for pid, ticks, _ in leftovers.processes())
        _unmount(say)
        if not (any(leftovers.processes()) or leftovers.mounts()):
            break
    for link in leftovers.links():
        _try(say, partial(network.run, "ip", "link", "delete", link))
    for table in leftovers.nft_tables():
        _try(say, partial(network.run, "nft", "delete", "table", *table.split()))
    for folder in cgroups.folders():
        _try(say, folder.rmdir)
    for path in leftovers.sockets():
        Path(path).unlink(missing_ok=True)
    if changed := network.restore_sysctls():
        say(f"put back sysctls: {', '.join(changed)}")
    _keep_logs(say)
    _remove_files()
    _remove_dead_shim_sockets()
    return leftovers.find()


def _remove_dead_shim_sockets() -> None:
    """Remove what a shim that was just being started when it was killed has left behind.

    Its bundle does not yet name its socket then, so the socket is not known to be of this loop.
    """
    for path in leftovers.dead_shim_sockets():
        path.unlink(missing_ok=True)
    with suppress(OSError):  # not there, or others' are in it
        leftovers.SHIM_SOCKETS.rmdir()


def end(processes: Iterable[tuple[int, int]], patience: float = _TERM_PATIENCE) -> None:
    """End processes (pid, start ticks): TERM, and after PATIENCE seconds KILL."""
    held = {}
    for pid, ticks in processes:
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:  # it has ended
            continue
        # The pidfd holds on to this very process: only now is it certain whose pid it is.
        if state.start_ticks(pid) == ticks:
            held[descriptor] = pid
        else:
            os.close(descriptor)
    try:
        alive = set(held)
        for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, _KILL_PATIENCE)):
            for descriptor in alive:
                _signal(descriptor, number)
                _signal(descriptor, signal.SIGCONT)
            alive = _wait(alive, seconds)
    finally:
        for descriptor in held:
            os.close(descriptor)


def _signal(descriptor: int, number: signal.Signals) -> None:
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return


def _wait(alive: set[int], patience: float) -> set[int]:
    """Wait until all have ended, at most PATIENCE seconds; return those that have not."""
    poll = select.poll()
    for descriptor in alive:
        poll.register(descriptor, select.POLLIN)
    until = time.monotonic() + patience
    left = set(alive)
    while left and (remaining := until - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(remaining * 1000):
            poll.unregister(descriptor)
            left.discard(descriptor)
    return left


def _unmount(say: Say) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for point in leftovers.mounts():
        if libc.umount2(os.fsencode(point), _MNT_DETACH) != 0:
            say(f"could not unmount {point}: {os.strerror(ctypes.get_errno())}")


def _keep_logs(say: Say) -> None:
    """Move the logs to where the next `down` replaces them, unless none were written."""
    if not (state.LOGS.is_dir() and any(state.LOGS.iterdir())):
        return
    shutil.rmtree(state.LAST_LOGS, ignore_errors=True)
    state.LAST_LOGS.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(state.LOGS, state.LAST_LOGS)
    say(f"the last logs are kept in {state.LAST_LOGS}")


def _remove_files() -> None:
    """Remove our folders last: that they are there is how the rest is known for ours."""
    later = []
    for path in leftovers.files():
        if path in {state.STATE, state.RUN}:
            later.append(path)
        elif path in leftovers.FIXED:
            _remove_if_unused(path)
        else:
            path.unlink(missing_ok=True)
    for path in later:
        shutil.rmtree(path, ignore_errors=True)


def _remove_if_unused(root: Path) -> None:
    """Remove a folder that was not there before us, unless somebody else has begun to use it."""
    for name in ("kubelet.sock", "kubelet_internal_checkpoint"):
        (root / "device-plugins" / name).unlink(missing_ok=True)
    for path, _, _ in os.walk(root, topdown=False):
        try:
            Path(path).rmdir()
        except OSError:  # not empty: not only ours
            return


def _try(say: Say, remove: Callable[[], object]) -> None:
    try:
        remove()
    except (OSError, network.CommandFailed) as error:
        say(f"could not remove: {error}")
