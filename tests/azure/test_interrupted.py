"""Every moment at which a run could have been killed: the world and the files as they were then."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.azure.conftest import Stage
from tests.azure.fake.compare import leftovers, settled
from tests.azure.fake.programs import a_world
from tests.azure.fake.world import Call, State, World


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


Existing = dict[str, str]


def _again(moment: Moment, folder: Path, *arguments: str) -> Stage:
    folder.mkdir()
    stage = Stage(folder, moment.world(folder))
    assert stage.run(*arguments) == 0, f"{moment.when} {moment.line}\n{stage.text}"
    return stage


@pytest.mark.parametrize("existing", [[], ["cluster", "registry"]])
def test_a_set_up_killed_anywhere_ends_like_one_that_was_not(
    existing: list[str], stage: Stage, tmp_path: Path
) -> None:
    names = stage.others_have(existing)
    before = leftovers(stage.world.state)
    moments = watch(stage.world, stage.folder)
    assert stage.run("up", *names) == 0, stage.text
    end = settled(stage.world.state)

    for number, moment in enumerate(moments):
        again = _again(moment, tmp_path / f"again-{number}", "up", *names)
        assert settled(again.world.state) == end, f"{moment.when} {moment.line}"
        undone = _again(moment, tmp_path / f"undone-{number}", "teardown", *names)
        assert leftovers(undone.world.state) == before, f"{moment.when} {moment.line}"
    assert len(moments) > 50


@pytest.mark.parametrize("existing", [[], ["cluster", "registry"]])
def test_a_teardown_killed_anywhere_goes_on(
    existing: list[str], stage: Stage, tmp_path: Path
) -> None:
    names = stage.others_have(existing)
    before = copy.deepcopy(leftovers(stage.world.state))
    assert stage.run("up", *names) == 0, stage.text
    moments = watch(stage.world, stage.folder)
    assert stage.run("teardown", *names) == 0, stage.text
    assert leftovers(stage.world.state) == before

    for number, moment in enumerate(moments):
        again = _again(moment, tmp_path / f"again-{number}", "teardown", *names)
        assert leftovers(again.world.state) == before, f"{moment.when} {moment.line}"
    assert len(moments) > 20


def test_another_machine_without_the_record_tears_down(stage: Stage, tmp_path: Path) -> None:
    """What was chosen is in the tags of the bot's identity; what was made says so itself."""
    names = stage.others_have(["cluster", "registry"])
    before = leftovers(stage.world.state)
    stage.run("up", "--group", "somewhere", "--vault", "example-vault", *names)
    elsewhere = Stage(tmp_path / "elsewhere", stage.world)
    elsewhere.folder.mkdir()

    code = elsewhere.run("teardown")

    assert code == 0, elsewhere.text
    assert leftovers(stage.world.state) == before


def test_a_cluster_that_is_still_being_made_is_waited_for(stage: Stage) -> None:
    """Azure goes on making it when the `az` that asked for it was killed."""
    stage.run("up")
    end = settled(stage.world.state)
    cluster = _the_cluster(stage.world.state)
    cluster["provisioningState"] = "Creating"

    code = stage.run("up")

    assert code == 0, stage.text
    assert settled(stage.world.state) == end
    assert "still at work on it" in stage.text


def _the_cluster(state: State) -> State:
    (found,) = [
        one
        for one in state["azure"]["resources"].values()
        if one["type"] == "Microsoft.ContainerService/managedClusters"
    ]
    assert isinstance(found, dict)
    return found
