"""What this set-up made on GitHub, where things carry no mark: one variable lists them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from clusters.azure.command import gh

if TYPE_CHECKING:
    from clusters.azure.desk import Desk

# It is written first: a run that was stopped in between has listed more than there is, never less.
RECORD = "DISCORD_SKY_SETUP"
REPO = "--repo $GITHUB_REPOSITORY"


def variables(desk: Desk) -> dict[str, str]:
    """Read the repository's variables."""
    found = desk.ask(gh(f"variable list {REPO} --json name,value")) or ()
    return {one["name"]: one["value"] for one in found}


def listed(known: Mapping[str, str]) -> set[str]:
    """Which things the list among these variables names."""
    return set(known.get(RECORD, "").split())


def has_made(desk: Desk) -> set[str]:
    """Read the list of what has no mark of its own."""
    return listed(variables(desk))


def note(desk: Desk, made: set[str], more: set[str]) -> None:
    """Put more into the list of what this set-up makes, before it does."""
    if desk.dry or not more <= made:
        desk.remark("the list of what set-up made here, for teardown; it grows from step to step:")
        desk.noted |= made | more
        body = " ".join(sorted(desk.noted))
        desk.run(gh(f"variable set {RECORD} {REPO} --body '{body}'"))
