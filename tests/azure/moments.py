"""Every moment at which a run could have been killed: the world and the files as they were then."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

from tests.azure.programs import a_world
from tests.azure.world import Call, State, World


@dataclass(frozen=True, slots=True)
class Moment:
    """Just `before` or just `after` a command that changes something; nothing was written since."""

    when: str
    line: str
    state: State
    files: dict[str, str]

    def world(self, folder: Path) -> World:
        """Begin again from here, in another folder."""
        for name, text in self.files.items():
            (folder / name).write_text(text)
        world = a_world()
        world.state = copy.deepcopy(self.state)
        return world


def watch(world: World, folder: Path) -> list[Moment]:
    """Collect the moments of whatever is run in this world from now on."""
    moments: list[Moment] = []

    def witness(call: Call, when: str) -> None:
        files = {path.name: path.read_text() for path in folder.iterdir()}
        moments.append(Moment(when, call.line, copy.deepcopy(world.state), files))

    world.witness = witness
    return moments
