"""Set-up and teardown in a scripted world: made once, changed never, undone wholly."""

from __future__ import annotations

import pytest

from tests.azure.conftest import Stage
from tests.azure.state import leftovers

EXISTING = pytest.mark.parametrize(
    "existing", [[], ["cluster"], ["registry"], ["cluster", "registry"]]
)


@EXISTING
def test_the_first_run_makes_everything_and_the_bot_runs(existing: list[str], stage: Stage) -> None:
    names = stage.others_have(existing)

    code = stage.run("up", *names)

    assert code == 0, stage.text
    assert stage.said[-1].startswith("\nThe bot is running.")


@EXISTING
def test_a_second_run_changes_nothing(existing: list[str], stage: Stage) -> None:
    names = stage.others_have(existing)
    stage.run("up", *names)
    before = len(stage.world.changed)

    code = stage.run("up")  # the names are in the record

    assert code == 0, stage.text
    assert stage.world.changed[before:] == []


@EXISTING
def test_teardown_leaves_what_was_there_before(existing: list[str], stage: Stage) -> None:
    names = stage.others_have(existing)
    before = leftovers(stage.world.state)
    stage.run("up", *names)

    code = stage.run("teardown")

    assert code == 0, stage.text
    assert leftovers(stage.world.state) == before
    assert list(stage.folder.iterdir()) == []
