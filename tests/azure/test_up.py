"""Set-up and teardown: asked first, made once, changed never, undone wholly."""

from __future__ import annotations

import pytest

from tests.azure.conftest import Stage
from tests.azure.fake.compare import leftovers

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


@pytest.mark.parametrize("existing", [[], ["cluster", "registry"]])
def test_nothing_is_made_before_somebody_agreed(existing: list[str], stage: Stage) -> None:
    names = stage.others_have(existing)

    code = stage.run("up", *names, yes=False)

    assert code == 1
    assert "Make it? Nobody is there to answer" in stage.text
    assert "GitHub, in example/discord-sky: variables, environment, guard key" in stage.text
    assert "resource group discord-sky: providers, group, bot identity" in stage.text
    assert ("This will cost" in stage.text) == (not existing)
    assert not stage.world.state["azure"]["groups"].get("discord-sky")
    assert stage.world.state["github"]["variables"] == {}


@pytest.mark.parametrize(
    ("there", "named", "flag"),
    [
        (["registry"], ("--cluster", "thiers"), "--make-cluster"),
        (["cluster"], ("--registry", "thiers123"), "--make-registry"),
    ],
)
def test_a_slip_in_a_name_makes_nothing(
    there: list[str], named: tuple[str, str], flag: str, stage: Stage
) -> None:
    names = stage.others_have(there)

    code = stage.run("up", *names, *named)

    assert code == 1
    assert f"There is no {named[0].removeprefix('--')} {named[1]}, and a name" in stage.text
    assert f"say {flag}" in stage.text
    assert stage.world.changed == []
    assert stage.run("up", *names, *named, flag) == 0, stage.text
    before = len(stage.world.changed)
    assert stage.run("up") == 0, stage.text
    assert stage.world.changed[before:] == []
