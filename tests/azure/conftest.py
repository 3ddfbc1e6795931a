"""A scripted world, and one run of the set-up in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clusters.azure.__main__ import main
from tests.azure import others
from tests.azure.programs import a_world
from tests.azure.world import World


@dataclass
class Stage:
    """A world, a folder for the record, and what was said."""

    folder: Path
    world: World = field(default_factory=a_world)
    said: list[str] = field(default_factory=list)

    def run(self, *arguments: str, yes: bool = True) -> int:
        """Run the set-up's command line, all questions answered; return its exit code."""
        return main(
            [*arguments, *(["--yes"] if yes else [])],
            execute=self.world.execute,
            folder=self.folder,
            say=self.said.append,
            sleep=lambda _seconds: None,
        )

    def az(self, line: str) -> None:
        """Let somebody else run a line of `az`."""
        others.az(self.world, line)

    def others_have(self, what: list[str]) -> list[str]:
        """Let others have made a cluster or a registry; return the arguments that name it."""
        return others.have(self.world, what)

    @property
    def text(self) -> str:
        """Everything that was said."""
        return "\n".join(self.said)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Set the stage in an empty world."""
    folder = tmp_path / "here"
    folder.mkdir()
    return Stage(folder)
