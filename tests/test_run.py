"""The layers of tests/run.py are what a developer runs; none of the tests may be outside them."""

import importlib.metadata

import pytest

from tests.run import LAYERS, ROOT, main


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
