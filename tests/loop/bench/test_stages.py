"""What the bench takes from the bot's log."""

import json

import pytest

from tests.loop.bench.stages import inside


def _line(message: str, second: float) -> str:
    return json.dumps({"time": f"2026-01-01T00:00:{second:09.6f}+00:00", "message": message})


_NEW_YEAR = 1767225600.0
_LOG = [
    _line("started", 1.5),
    "a line of a library that is not JSON",
    _line("gateway ready", 2.0),
    _line("model client loaded", 3.25),
    _line("gateway ready", 9.0),  # a later session is not the start
]


def test_the_moments_of_a_start_are_those_of_the_bots_first_lines() -> None:
    assert inside(_LOG, _NEW_YEAR) == pytest.approx([1.5, 2.0, 3.25])


def test_a_log_whose_beginning_was_rotated_away_tells_nothing() -> None:
    assert inside(_LOG[1:], _NEW_YEAR) == []
