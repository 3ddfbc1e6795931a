"""The layers of tests/run.py are what a developer runs; none of the tests may be outside them."""

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
