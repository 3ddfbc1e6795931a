"""The commands as Discord is told of them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bot.discord.commands import ALL, FROM_HERE, SUMMARY, USAGE, differ, offered
from bot.settings.schema import Settings


def told() -> list[dict[str, Any]]:
    """Answer as Discord does: with ids, and with all that was left out."""
    answer: list[dict[str, Any]] = copy.deepcopy(list(reversed(ALL)))
    for number, command in enumerate(answer):
        command.update(id=str(number), version="1", dm_permission=True, name_localizations=None)
        command.setdefault("default_member_permissions", None)
        command.setdefault("nsfw", False)
        if command["name"] == "help":
            del command["options"]
    return answer


def test_what_discord_adds_is_no_difference() -> None:
    assert not differ(told())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("description", "another"),
        ("default_member_permissions", "8"),
        ("contexts", [0]),
        ("name", "skye"),
        ("options", []),
    ],
)
def test_what_another_version_had_is_a_difference(key: str, value: object) -> None:
    theirs = told()
    sky = next(command for command in theirs if command["name"] == "sky")
    sky[key] = value

    assert differ(theirs)


def test_a_command_more_or_less_is_a_difference() -> None:
    assert differ(told()[1:])
    assert differ([*told(), {"type": 1, "name": "sing", "description": "x"}])
    assert differ([])


def test_usage_is_offered_only_where_it_is_counted() -> None:
    off, on = Settings(), Settings.model_validate({"usage": {"enabled": True}})

    added = [each["name"] for each in offered(on) if each not in offered(off)]
    assert added == [USAGE]
    assert differ(offered(on), offered(off))


def test_summaries_are_offered_only_where_they_are_switched_on() -> None:
    off, on = Settings(), Settings.model_validate({"summary": {"messages": 100}})

    added = [each["name"] for each in offered(on) if each not in offered(off)]
    assert added == [SUMMARY, FROM_HERE]
    assert not differ(offered(on), offered(on))
