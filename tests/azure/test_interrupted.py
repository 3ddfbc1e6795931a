"""Set-up and teardown, killed before, during and after every change, and run again."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.azure.conftest import Scenario
from tests.azure.fake.cloud import Call, FakeCloud, State
from tests.azure.fake.compare import leftovers, settled
from tests.azure.fake.programs import new_cloud


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Just `before` or just `after` a command that changes something; nothing was written since."""

    when: str
    line: str
    state: State
    files: dict[str, str]

    def cloud(self, folder: Path) -> FakeCloud:
        """Restore this state, with the files in another folder."""
        for name, text in self.files.items():
            (folder / name).write_text(text)
        cloud = new_cloud()
        cloud.state = copy.deepcopy(self.state)
        return cloud


def record_snapshots(cloud: FakeCloud, folder: Path) -> list[Snapshot]:
    """Collect snapshots around every change in this cloud from now on."""
    snapshots: list[Snapshot] = []

    def observer(call: Call, when: str) -> None:
        files = {path.name: path.read_text() for path in folder.iterdir()}
        snapshots.append(Snapshot(when, call.line, copy.deepcopy(cloud.state), files))

    cloud.observer = observer
    return snapshots


Existing = dict[str, str]


def _again(snapshot: Snapshot, folder: Path, *arguments: str) -> Scenario:
    folder.mkdir()
    scenario = Scenario(folder, snapshot.cloud(folder))
    assert scenario.run(*arguments) == 0, f"{snapshot.when} {snapshot.line}\n{scenario.text}"
    return scenario


@pytest.mark.parametrize("existing", [[], ["cluster", "registry"]])
def test_a_set_up_killed_anywhere_ends_like_an_uninterrupted_one(
    existing: list[str], scenario: Scenario, tmp_path: Path
) -> None:
    names = scenario.make_existing(existing)
    before = leftovers(scenario.cloud.state)
    snapshots = record_snapshots(scenario.cloud, scenario.folder)
    assert scenario.run("up", *names) == 0, scenario.text
    end = settled(scenario.cloud.state)

    for number, snapshot in enumerate(snapshots):
        again = _again(snapshot, tmp_path / f"again-{number}", "up", *names)
        assert settled(again.cloud.state) == end, f"{snapshot.when} {snapshot.line}"
        undone = _again(snapshot, tmp_path / f"undone-{number}", "teardown", *names)
        assert leftovers(undone.cloud.state) == before, f"{snapshot.when} {snapshot.line}"
    assert len(snapshots) > 50


@pytest.mark.parametrize("existing", [[], ["cluster", "registry"]])
def test_a_teardown_killed_anywhere_continues(
    existing: list[str], scenario: Scenario, tmp_path: Path
) -> None:
    names = scenario.make_existing(existing)
    before = copy.deepcopy(leftovers(scenario.cloud.state))
    assert scenario.run("up", *names) == 0, scenario.text
    snapshots = record_snapshots(scenario.cloud, scenario.folder)
    assert scenario.run("teardown", *names) == 0, scenario.text
    assert leftovers(scenario.cloud.state) == before

    for number, snapshot in enumerate(snapshots):
        again = _again(snapshot, tmp_path / f"again-{number}", "teardown", *names)
        assert leftovers(again.cloud.state) == before, f"{snapshot.when} {snapshot.line}"
    assert len(snapshots) > 20


def test_another_machine_without_the_record_tears_down(scenario: Scenario, tmp_path: Path) -> None:
    """What was chosen is in the tags of the bot's identity; what was made says so itself."""
    names = scenario.make_existing(["cluster", "registry"])
    before = leftovers(scenario.cloud.state)
    scenario.run("up", "--group", "somewhere", "--vault", "example-vault", *names)
    elsewhere = Scenario(tmp_path / "elsewhere", scenario.cloud)
    elsewhere.folder.mkdir()

    code = elsewhere.run("teardown")

    assert code == 0, elsewhere.text
    assert leftovers(scenario.cloud.state) == before


def test_a_cluster_that_is_still_being_created_is_waited_for(scenario: Scenario) -> None:
    """Azure continues to create it when the `az` that asked for it was killed."""
    scenario.run("up")
    end = settled(scenario.cloud.state)
    cluster = _the_cluster(scenario.cloud.state)
    cluster["provisioningState"] = "Creating"

    code = scenario.run("up")

    assert code == 0, scenario.text
    assert settled(scenario.cloud.state) == end
    assert "still working on it" in scenario.text


def _the_cluster(state: State) -> State:
    (found,) = [
        one
        for one in state["azure"]["resources"].values()
        if one["type"] == "Microsoft.ContainerService/managedClusters"
    ]
    assert isinstance(found, dict)
    return found
