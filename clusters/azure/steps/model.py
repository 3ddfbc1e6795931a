"""What a step of set-up is: how to check it, take it and undo it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from clusters.azure.runner import Command, Runner


# The tag or label of what a set-up created; its value is the set-up's name.
OWNER_TAG = "discord-sky-setup"


@dataclass(frozen=True, slots=True)
class StepState:
    """What a check found.

    `exists`: nothing is left to do. `owned`: this set-up created it, so teardown removes it.
    `values`: what was learned, for later commands. `problems`: what exists and is unsuitable, each
    with its remedy. `note`: what to print instead of "exists".
    """

    exists: bool = False
    owned: bool = False
    values: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    note: str = ""


ABSENT = StepState()
Check = Callable[["Runner"], StepState]
Action = Callable[["Runner"], None]


@dataclass(frozen=True, slots=True, eq=False)  # a step is itself, as a key too
class Step:
    """One step: something that has to exist.

    `create` and `delete` are command lines, or a function if they depend on what was found.
    `place`: what is in a cluster of the set-up's own goes with it. `flag`: how to choose another
    name, for what must not be taken over from somebody else. `duration`: how long
    it takes. `check_owned`: a check for
    `owned` alone, if `check` needs more than teardown has.
    `left_behind`: what remains after teardown.
    """

    name: str
    description: str
    check: Check
    create: tuple[Command, ...] | Action = ()
    delete: tuple[Command, ...] | Action = ()
    place: Literal["azure", "github", "cluster"] = "azure"
    flag: str = ""
    duration: str = ""
    check_owned: Check | None = None
    left_behind: str = ""


def azure_resource(
    show: Command,
    learns: Mapping[str, str] | None = None,
    problems: Callable[[Any], tuple[str, ...]] = lambda _: (),
) -> Check:
    """Return the check of an Azure resource; LEARNS maps values to paths in its JSON."""
    paths = learns or {}

    def look(runner: Runner) -> StepState:
        seen = runner.query(show)
        if seen is None:
            return ABSENT
        values = {name: str(get_path(seen, path) or "") for name, path in paths.items()}
        ours = (seen.get("tags") or {}).get(OWNER_TAG) == runner.values["NAME"]
        return StepState(exists=True, owned=ours, values=values, problems=problems(seen))

    return look


def get_path(seen: Any, path: str) -> Any:
    """Follow a dotted path; None if it leads nowhere."""
    for part in path.split("."):
        seen = seen.get(part) if isinstance(seen, dict) else None
    return seen
