"""What a step is: is it there, what makes it, what undoes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from clusters.azure.runner import Command, Runner


# The tag or label by which a thing says that this set-up made it; its value is the set-up's name.
OWNER_TAG = "discord-sky-setup"


@dataclass(frozen=True, slots=True)
class StepState:
    """What a look found.

    `exists`: nothing is left to make. `owned`: this set-up made it, so teardown removes it.
    `values`: what was learned, for later commands. `problems`: what is there and not as it has to
    be, each with its remedy. `note`: what to say instead of "is there".
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
    """One thing that has to exist.

    `create` and `delete` are command lines, or a function where the lines depend on what is found.
    `place`: what is in a cluster that this set-up made is gone with it. `flag`: how to choose
    another name, for a thing that may not be taken over from somebody else. `duration`: how long
    it takes, in words. `check_owned`: a check that only tells
    `owned`, where `check` would need too much.
    `left_behind`: what is left of it after teardown.
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
    """Look at one Azure resource; LEARNS maps names of values to paths in what `az` shows."""
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
    """Follow a dotted path; None where it leads nowhere."""
    for part in path.split("."):
        seen = seen.get(part) if isinstance(seen, dict) else None
    return seen
