"""What a step is: is it there, what makes it, what undoes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from clusters.azure.runner import Command, Desk


# The tag or label by which a thing says that this set-up made it; its value is the set-up's name.
MARK = "discord-sky-setup"


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found.

    `there`: nothing is left to make. `ours`: this set-up made it, so teardown removes it.
    `values`: what was learned, for later commands. `problems`: what is there and not as it has to
    be, each with its remedy. `note`: what to say instead of "is there".
    """

    there: bool = False
    ours: bool = False
    values: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    note: str = ""


ABSENT = Found()
Look = Callable[["Desk"], Found]
Doing = Callable[["Desk"], None]


@dataclass(frozen=True, slots=True, eq=False)  # a step is itself, as a key too
class Step:
    """One thing that has to exist.

    `make` and `undo` are command lines, or a function where the lines depend on what is found.
    `place`: what is in a cluster that this set-up made is gone with it. `flag`: how to choose
    another name, for a thing that may not be taken over from somebody else. `usually`: how long
    it takes, in words. `own`: a look that only tells `ours`, where `look` would need too much.
    `remains`: what is left of it after teardown.
    """

    name: str
    about: str
    look: Look
    make: tuple[Command, ...] | Doing = ()
    undo: tuple[Command, ...] | Doing = ()
    place: Literal["azure", "github", "cluster"] = "azure"
    flag: str = ""
    usually: str = ""
    own: Look | None = None
    remains: str = ""


def resource(
    show: Command,
    learns: Mapping[str, str] | None = None,
    problems: Callable[[Any], tuple[str, ...]] = lambda _: (),
) -> Look:
    """Look at one Azure resource; LEARNS maps names of values to paths in what `az` shows."""
    paths = learns or {}

    def look(desk: Desk) -> Found:
        seen = desk.ask(show)
        if seen is None:
            return ABSENT
        values = {name: str(at(seen, path) or "") for name, path in paths.items()}
        ours = (seen.get("tags") or {}).get(MARK) == desk.values["NAME"]
        return Found(there=True, ours=ours, values=values, problems=problems(seen))

    return look


def at(seen: Any, path: str) -> Any:
    """Follow a dotted path; None where it leads nowhere."""
    for part in path.split("."):
        seen = seen.get(part) if isinstance(seen, dict) else None
    return seen
