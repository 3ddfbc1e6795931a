"""bot/ARCHITECTURE.md names what there is: its links are followed by `make check`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.leadership.elector import Acquisition, LeaseTiming
from bot.settings.schema import Settings

BOT = Path(__file__).parents[3] / "bot"
TEXT = (BOT / "ARCHITECTURE.md").read_text()
CODE = "\n".join(path.read_text() for path in BOT.rglob("*.py"))


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`([A-Z][a-z]+[A-Z]\w+|[A-Z]{3,}_?[A-Z]*)`", TEXT)))
)
def test_a_class_or_member_that_it_names_exists(name: str) -> None:
    assert re.search(rf"^\s*(class {name}\b|{name} = )", CODE, re.MULTILINE)


@pytest.mark.parametrize("path", sorted(set(re.findall(r'\["([\w/]+\.py)<br/>', TEXT))))
def test_a_module_in_a_diagram_exists(path: str) -> None:
    assert (BOT / path).is_file()


def test_the_table_of_vacant_leases_has_every_reason() -> None:
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", TEXT, re.MULTILINE)) == set(
        Acquisition.__members__
    )


def test_the_seconds_of_the_lease_are_those_of_the_defaults() -> None:
    timing = LeaseTiming.of(Settings().lease.seconds)

    assert f"renewed every {timing.renew:g} s" in TEXT
    assert f"not renewed for {timing.lasts - timing.margin:g} s" in TEXT
    assert f"not renewed for {timing.lasts:g} s" in TEXT
    assert f"stops {timing.margin:g} s early" in TEXT


def test_the_annotations_are_those_of_the_handover_states() -> None:
    listed = set(re.findall(r"`discord-sky/(\w+)`", TEXT))

    assert listed
    assert all(f'name = "{name}"' in CODE for name in listed)
