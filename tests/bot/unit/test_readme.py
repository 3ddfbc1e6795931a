"""The README of bot/ says what the code says."""

from __future__ import annotations

import re

import discord

from tests.bot.settings_table import README, written


def test_the_settings_table_is_the_code() -> None:
    """When this fails: `python -m tests.bot.settings_table`."""
    text = README.read_text()

    assert written(text) == text


def test_every_package_and_module_is_listed() -> None:
    listed = set(re.findall(r"\]\((\w[\w/]*(?:\.py)?)\)", README.read_text()))
    files = {path.relative_to(README.parent) for path in README.parent.rglob("*.py")}
    packages = {path.parts[0] for path in files if len(path.parts) > 1}
    modules = {path.as_posix() for path in files if path.name != "__init__.py"}

    assert listed == modules | packages


def test_the_invitation_asks_for_what_the_bot_uses_and_nothing_else() -> None:
    (number,) = re.findall(r"&permissions=(\d+)", README.read_text())

    assert discord.Permissions(int(number)) == discord.Permissions(
        view_channel=True,
        send_messages=True,
        send_messages_in_threads=True,
        read_message_history=True,
        add_reactions=True,
        attach_files=True,
        embed_links=True,
        create_public_threads=True,
    )
