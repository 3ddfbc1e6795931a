"""`down`: end the loop and remove everything of it, whatever state it is in."""

import sys
import time

from tests.loop.supervisor import cleanup, leftovers, lock, preflight, state, up

_PATIENCE = 30.0  # for the supervisor to end what it runs, and for the lock


def down() -> int:
    """Take the loop down; return 0 when nothing of it is left."""
    began = time.monotonic()
    if problems := list(preflight.root()):
        print(f"✗ {problems[0]}", file=sys.stderr)
        return 1
    loop = state.read()
    if loop and loop.alive and loop.checkout != up.CHECKOUT and loop.checkout.exists():
        print(
            f"✗ The loop on this machine belongs to {loop.checkout}: run "
            f"`make -C {loop.checkout} loop-down`.",
            file=sys.stderr,
        )
        return 1
    if loop and loop.alive:
        print(f"Ending the supervisor (pid {loop.supervisor}) and what it runs …", flush=True)
        cleanup.end([(loop.supervisor, loop.supervisor_ticks)], _PATIENCE)
    elif not leftovers.find():
        print("No loop runs on this machine, and nothing is left of one.")
        return 0
    else:
        print("The loop's supervisor is gone; removing what it left …", flush=True)
        # One that has not written loop.json yet holds the lock: it is found by its marker.
        cleanup.end((pid, ticks) for pid, ticks, _ in leftovers.processes())
    try:
        held = lock.take(_PATIENCE)
    except lock.Held:
        print("✗ Another `up` or `down` is at work: try again when it is done.", file=sys.stderr)
        return 1
    with held:
        left = cleanup.clean(lambda text: print(f"  {text}"))
    for line in left.lines():
        print(f"✗ could not remove {line}", file=sys.stderr)
    if left:
        return 1
    print(
        f"The loop is down after {time.monotonic() - began:.1f} s. Nothing is left: no process, "
        "mount, network namespace, link, nft table, cgroup or socket."
    )
    return 0
