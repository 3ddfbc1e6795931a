"""Set-up and teardown in a scripted world: made once, changed never, undone wholly."""

from __future__ import annotations

from tests.azure.conftest import Stage
from tests.azure.state import leftovers


def test_the_first_run_makes_everything_and_the_bot_runs(stage: Stage) -> None:
    code = stage.run("up")

    assert code == 0, stage.text
    assert stage.said[-1].startswith("\nThe bot is running.")


def test_a_second_run_changes_nothing(stage: Stage) -> None:
    stage.run("up")
    before = len(stage.world.changed)

    code = stage.run("up")

    assert code == 0, stage.text
    assert stage.world.changed[before:] == []


def test_teardown_leaves_what_was_there_before(stage: Stage) -> None:
    before = leftovers(stage.world.state)
    stage.run("up")

    code = stage.run("teardown")

    assert code == 0, stage.text
    assert leftovers(stage.world.state) == before
    assert list(stage.folder.iterdir()) == []
