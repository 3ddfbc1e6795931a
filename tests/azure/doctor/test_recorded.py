"""The facts that the doctor recorded for each planted fault in the loop, diagnosed again.

The files in recorded/ were written by `--facts` in tests/loop/tests/test_doctor.py (trace ids
removed): `passive` from the cluster alone, `asked` with what Entra and the vault said themselves.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.azure.doctor.facts import Facts
from clusters.azure.doctor.links import diagnose
from tests.azure.doctor.test_links import found
from tests.loop.scenarios.planted_faults import FAULTS

_FOLDER = Path(__file__).parent / "recorded"
_FILES = sorted(_FOLDER.glob("*.json"))


def _fault(file: Path) -> str:
    return file.name.partition(".")[0]


def test_each_planted_fault_was_recorded() -> None:
    planted = {name.lower().replace(" ", "-") for name in FAULTS}

    assert {_fault(file) for file in _FILES if ".passive." in file.name} == planted


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_the_recorded_fault_is_named_first_with_its_remedy(file: Path) -> None:
    seen = Facts.model_validate_json(file.read_text())
    name = next(name for name in FAULTS if name.lower().replace(" ", "-") == _fault(file))
    _, link, command = FAULTS[name]

    broken = found(seen)

    assert broken.name == link
    assert command in "\n".join(broken.result.commands)


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_the_links_before_the_fault_work(file: Path) -> None:
    seen = Facts.model_validate_json(file.read_text())
    links = diagnose(seen)

    before = links[: links.index(found(seen))]

    assert {link.result.status for link in before} <= {"ok", "unknown"}
    assert all(link.result.summary for link in before)
