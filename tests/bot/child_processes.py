"""What a process has started, as the kernel tells it."""

import contextlib
from pathlib import Path


def children(pid: int) -> set[str]:
    """Give the ids of the processes that PID has started and not yet seen the end of."""
    found = set[str]()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it has ended meanwhile
            found.update((thread / "children").read_text().split())
    return found
