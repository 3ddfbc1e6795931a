"""The layers of tests/run.py are what a developer runs; none of the tests may be outside them."""

import importlib.metadata

import pytest
import yaml

from tests.run import CHECKS, LAYERS, ROOT, main, narrowed


def test_every_test_file_belongs_to_a_layer() -> None:
    folders = [ROOT / place for layer in LAYERS.values() for place in layer]

    outside = [
        str(path.relative_to(ROOT))
        for path in ROOT.glob("tests/**/test_*.py")
        if not any(path.is_relative_to(folder) for folder in folders)
    ]

    assert outside == []


def test_an_unknown_layer_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["everything"])

    assert code == 2
    assert "release  the release programs" in capsys.readouterr().out


def test_no_room_of_the_tests_takes_a_librarys_name() -> None:
    """Pytest imports a room with an __init__.py under its own name: `azure` would hide Azure's."""
    rooms = [path.parent.name for path in ROOT.glob("tests/*/__init__.py")]

    assert [name for name in rooms if importlib.metadata.packages_distributions().get(name)] == []


def test_an_unknown_check_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["check", "rough"])

    assert code == 2
    assert "no check is called rough; there are: mypy, " in capsys.readouterr().out


def test_pre_commit_runs_the_checks_of_make_check() -> None:
    configuration = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    (local,) = configuration["repos"]

    assert local["repo"] == "local"
    assert {hook["id"]: hook["entry"] for hook in local["hooks"]} == {
        name: f".venv/bin/python -m tests.run check {name}" for name in CHECKS
    }


def test_a_word_narrows_a_layer_to_the_files_that_contain_it() -> None:
    chosen = narrowed(LAYERS["bot"], "Splitter")

    assert "tests/bot/unit/test_splitter.py" in chosen
    assert "tests/bot/unit/test_breaker.py" not in chosen
    assert all("splitter" in (ROOT / path).read_text().casefold() + path for path in chosen)


def test_an_expression_and_a_word_that_is_nowhere_narrow_nothing() -> None:
    assert narrowed(["tests/wording"], "links or phrases") == ["tests/wording"]
    assert narrowed(["tests/audit"], "nowhere") == ["tests/audit"]
