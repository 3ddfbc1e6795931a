"""The layers of tests/run.py are what a developer runs; none of the tests may be outside them."""

import importlib.metadata
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.run import CHECKS, HALVES, LAYERS, ROOT, main, narrowed, side_by_side


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


CLOSING = re.compile(r"=+ \d+ (passed|failed)\b.* in ")


def _part(folder: Path, name: str, body: str) -> list[str]:
    """Write a file with one test; return what pytest needs to run it."""
    file = folder / f"test_{name}.py"
    file.write_text(f"import os, pathlib, time\n\ndef test_{name}():\n    {body}\n")
    return [str(file), "-p", "no:cacheprovider", "-o", "addopts=-ra"]


def test_each_half_of_the_suite_counts_and_the_end_tells_of_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = _part(tmp_path, "good", "pass"), _part(tmp_path, "bad", "assert 1 == 2")

    codes = [
        side_by_side(parts)
        for parts in (
            {"one": good, "two": bad},
            {"one": bad, "two": good},
            {"one": good, "two": good},
        )
    ]

    assert codes == [1, 1, 0]
    lines = capsys.readouterr().out.splitlines()
    ends = [line.strip("= ").partition(" in ")[0] for line in lines if CLOSING.match(line)]
    assert ends == ["1 failed, 1 passed", "1 failed, 1 passed", "2 passed"]
    assert CLOSING.match(lines[-1])
    assert sum(line.startswith("FAILED ") for line in lines) == 2
    assert sum(line.startswith("E       assert 1 == 2") for line in lines) == 2
    assert sum(line.startswith("two | ") and "100%" in line for line in lines) == 3


def test_a_half_that_dies_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dies = _part(tmp_path, "dies", "os._exit(0)")

    code = side_by_side({"one": _part(tmp_path, "good", "pass"), "two": dies})

    assert code == 1
    *_, what, closing, _ = capsys.readouterr().out.split("\n")
    assert what == "ERROR two: pytest ended without a result"
    assert closing.strip("= ").startswith("1 passed, 1 error in")


def test_one_interrupt_ends_both_halves_with_their_teardown(tmp_path: Path) -> None:
    body = """here = pathlib.Path(__file__)
    here.with_suffix(".began").touch()
    try:
        time.sleep(60)
    finally:
        here.with_suffix(".ended").touch()"""
    parts = {name: _part(tmp_path, name, body) for name in ("one", "two")}
    program = f"import sys, tests.run as r; sys.exit(r.side_by_side({parts!r}))"
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) as process:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("*.began"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)

        os.kill(process.pid, signal.SIGINT)

        assert process.wait(60) == 2
    assert len(list(tmp_path.glob("*.ended"))) == 2


def test_the_halves_of_the_suite_are_all_of_it_and_one_has_the_whole_loop() -> None:
    loop, rest = HALVES["loop"], HALVES["rest"]
    outside = [
        str(path.relative_to(ROOT))
        for path in ROOT.glob("tests/**/*.py")
        if "mark.loop" in path.read_text() and not path.is_relative_to(ROOT / loop[0])
    ]

    assert rest[:2] == ["tests", f"--ignore={loop[0]}"]
    assert outside == ["tests/test_run.py"]
