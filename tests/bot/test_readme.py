"""The room's README says what the code says."""

from __future__ import annotations

import re

from tests.bot.settings_table import README, written


def test_the_settings_table_is_the_code() -> None:
    """When this fails: `python -m tests.bot.settings_table`."""
    text = README.read_text()

    assert written(text) == text


def test_every_room_is_listed() -> None:
    listed = set(re.findall(r"\]\((\w+\.py)\)", README.read_text()))
    rooms = {path.name for path in README.parent.glob("*.py")} - {"__init__.py"}

    assert listed == rooms
