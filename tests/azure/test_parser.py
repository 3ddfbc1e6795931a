"""Every `az` line that set-up and teardown can print is understood by the real Azure CLI."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.azure.branches import (
    Line,
    advised_lines,
    all_branches,
    run_lines,
    written_lines,
)
from tests.azure.cli import Verdict, environment, installed, judge
from tests.azure.conftest import Stage

# The Azure CLI is installed within it the first time: 400 MB.
pytestmark = pytest.mark.timeout(1500)
ROOT = Path(__file__).parents[2]


@dataclass
class Judged:
    """What was run and advised in all branches, and what the real `az` said of it."""

    run: set[Line]
    advised: set[Line]
    verdicts: dict[Line, Verdict]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """Run everything, and let the real program judge it in one go."""
    stages = all_branches(tmp_path_factory.mktemp("branches"))
    run, advised = run_lines(stages), advised_lines(stages)
    every = sorted(run | advised | _dry_lines(tmp_path_factory.mktemp("dry")) | _documented_lines())
    verdicts = judge(every, tmp_path_factory.mktemp("home"))
    return Judged(run, advised, {verdict.argv: verdict for verdict in verdicts})


def _dry_lines(folder: Path) -> set[Line]:
    """What --dry-run prints, unknown values as they stand there."""
    stage = Stage(folder)
    assert [stage.run(action, "--dry-run") for action in ("up", "teardown")] == [0, 0]
    assert stage.world.calls == []
    found = re.findall(r"^  (?:# look:  )?az (.*)$", stage.text, re.MULTILINE)
    return {tuple(shlex.split(line)) for line in found}


def _documented_lines() -> set[Line]:
    """The lines that README.md of this room tells a person to type."""
    text = (ROOT / "clusters/azure/README.md").read_text().replace("\\\n", " ")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("az ")]
    return {tuple(shlex.split(line, comments=True)[1:]) for line in lines}


def test_the_real_parser_understands_every_line(judged: Judged) -> None:
    refused = [verdict for verdict in judged.verdicts.values() if not verdict.understood]

    assert [(shlex.join(one.argv), one.said) for one in refused] == []


def test_with_real_values_nothing_but_the_network_is_missing(judged: Judged) -> None:
    """Validators and the commands' own code take values and combinations of options, too."""
    unsound = [judged.verdicts[line] for line in judged.run if not judged.verdicts[line].sound]

    assert [(shlex.join(one.argv), one.said) for one in unsound] == []


def test_every_line_of_the_source_was_among_them(judged: Judged) -> None:
    """No `az(…)` is left out: each one's words and options were run in some branch."""
    seen: dict[str, set[str]] = {}
    for line in judged.run:
        words = " ".join(line).split(" -")[0]
        seen.setdefault(words, set()).update(word for word in line if word.startswith("--"))

    missing = {
        words: options - seen.get(words, set())
        for words, options in written_lines().items()
        if words not in seen or options - seen[words]
    }

    assert missing == {}


def test_advice_was_seen(judged: Judged) -> None:
    """The remedies for existing resources are command lines too."""
    words = {" ".join(line).split(" -")[0] for line in judged.advised}

    assert words >= {
        "acr update",
        "aks enable-addons",
        "aks nodepool add",
        "aks nodepool scale",
        "aks start",
        "aks update",
        "aks upgrade",
        "keyvault update",
    }


def test_the_judge_tells_good_from_bad(tmp_path: Path) -> None:
    """In one process, one after the other, as a terminal would."""
    good: Line = ("acr", "show", "--name", "example", "--output", "json")
    # Only the command's own code knows that these two options do not go together.
    late: Line = ("resource", "list", "--tag", "a=b", "--resource-type", "Microsoft.Maps/accounts")
    lines: list[Line] = [good, ("acr", "show", "--nme", "example"), ("acr", "show"), late, good]

    verdicts = judge(lines, tmp_path)

    assert [verdict.understood for verdict in verdicts] == [True, False, False, True, True]
    assert [verdict.sound for verdict in verdicts] == [True, False, False, False, True]


@pytest.mark.parametrize(("option", "code"), [("--name", 1), ("--nme", 2)])
def test_the_judge_says_what_the_program_says(option: str, code: int, tmp_path: Path) -> None:
    """The same from a process of its own, as a person starts it."""
    line: Line = ("acr", "show", option, "example", "--output", "json")
    command = [str(installed()), "-m", "azure.cli", *line]

    done = subprocess.run(
        command, env=environment(tmp_path), capture_output=True, text=True, check=False
    )

    (verdict,) = judge([line], tmp_path)
    assert done.returncode == verdict.code == code
    assert done.stderr.splitlines()[0] == verdict.said.splitlines()[0]
