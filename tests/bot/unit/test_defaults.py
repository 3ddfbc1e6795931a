"""bot/settings/defaults.toml: what the bot reads below everybody's own settings."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from bot.settings import loading
from bot.settings.loading import known_keys, load
from bot.settings.schema import Settings
from tests.bot import settings_defaults

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_file_says_what_the_code_says() -> None:
    """When this fails: `python -m tests.bot.settings_table`."""
    assert settings_defaults.FILE.read_text() == settings_defaults.text()


def test_every_default_in_the_file_is_the_classes_own_field_by_field() -> None:
    assert load(settings_defaults.FILE, {}).unknown == []
    written = Settings.model_validate(tomllib.loads(settings_defaults.FILE.read_text()))
    assert written.model_dump() == Settings().model_dump()


def test_every_key_stands_in_the_file_with_a_comment() -> None:
    text, section, found = settings_defaults.FILE.read_text(), "", set[str]()
    for line in text.splitlines():
        if head := re.fullmatch(r"\[(\w+)(?:\.(\w+))?\]", line):
            section = head[1]
            found |= {f"{section}.{head[2]}"} if head[2] else set()
        elif key := re.match(r"(?:# )?(\w+) =", line):
            found.add(f"{section}.{key[1]}" if section else key[1])

    assert found >= set(known_keys(Settings))
    assert max(map(len, text.splitlines())) <= 110


def test_the_bot_reads_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "defaults.toml"
    changed.write_text(settings_defaults.text().replace('command = "!sky"', 'command = "!sea"'))
    monkeypatch.setattr(loading, "DEFAULTS", changed)

    assert load(None, {}).settings.discord.command == "!sea"


def test_a_price_of_ones_own_stands_beside_those_that_come_along(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[budget.prices."my-model"]\ninput = 1\noutput = 2\nouput = 3\n')

    loaded = load(path, {})

    assert loaded.settings.budget.prices["my-model"].output == 2
    assert "gpt-5-mini" in loaded.settings.budget.prices
    (problem,) = loaded.unknown
    assert problem.startswith(f"{path}, section [budget.prices.my-model]: unknown key 'ouput'.")
