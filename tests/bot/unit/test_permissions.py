"""What a person can read, from roles and a channel's overwrites."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import discord
import pytest

from bot.discord.permissions import may_read, may_view
from bot.domain.messages import Author, Message

SERVER, CREW, CAPTAINS, ADA, OWNER, HALL = 5, 50, 51, 1, 2, 11
READ = {"view_channel": True, "read_message_history": True}


def said(author: int, *roles: int) -> Message:
    return Message(
        id=1, channel_id=10, guild_id=SERVER, author=Author(author, "x"), text="", role_ids=roles
    )


def server(
    overwrites: dict[int, dict[str, bool]], *, everyone: bool = True, admins: bool = False
) -> Any:
    """Make a server with one channel, as much of discord.py's as is looked at."""
    roles = {
        SERVER: discord.Permissions(**READ) if everyone else discord.Permissions.none(),
        CREW: discord.Permissions.none(),
        CAPTAINS: discord.Permissions(administrator=True) if admins else discord.Permissions(),
    }
    hall = SimpleNamespace(
        overwrites={
            discord.Object(target): discord.PermissionOverwrite(**given)
            for target, given in overwrites.items()
        }
    )
    return SimpleNamespace(
        id=SERVER,
        owner_id=OWNER,
        get_role=lambda role: SimpleNamespace(permissions=roles[role]) if role in roles else None,
        get_channel_or_thread={HALL: hall}.get,
    )


HIDDEN = {"view_channel": False}
SHOWN = {"view_channel": True}


@pytest.mark.parametrize(
    ("place", "writer", "seen"),
    [
        (server({}), said(ADA), True),
        (server({}, everyone=False), said(ADA), False),
        (server({SERVER: HIDDEN}), said(ADA), False),
        (server({SERVER: HIDDEN}), said(OWNER), True),
        (server({SERVER: HIDDEN, CREW: SHOWN}), said(ADA), False),
        (server({SERVER: HIDDEN, CREW: SHOWN}), said(ADA, CREW), True),
        (server({CREW: HIDDEN}), said(ADA, CREW), False),
        (server({CREW: HIDDEN, CAPTAINS: SHOWN}), said(ADA, CREW, CAPTAINS), True),
        (server({SERVER: HIDDEN, ADA: SHOWN}), said(ADA), True),
        (server({CREW: SHOWN, ADA: HIDDEN}), said(ADA, CREW), False),
        (server({SERVER: HIDDEN}, admins=True), said(ADA, CAPTAINS), True),
        (server({SERVER: {"read_message_history": False}}), said(ADA), False),
        (server({}), said(ADA, 404), True),
    ],
)
def test_roles_and_overwrites_decide_as_on_discord(
    place: Any, writer: Message, *, seen: bool
) -> None:
    assert may_read(place, writer, HALL) is seen


def test_unknown_roles_are_not_taken_for_none() -> None:
    """A message from the REST API tells no roles: one that is denied the channel may be among."""
    unknown = replace(said(ADA), role_ids=None)

    assert not may_read(server({CREW: HIDDEN}), unknown, HALL)
    assert not may_read(server({}), unknown, HALL)
    assert may_read(server({}), replace(said(OWNER), role_ids=None), HALL)


def test_what_cannot_be_known_is_not_read() -> None:
    assert not may_read(None, said(OWNER), HALL)
    assert not may_read(server({}), said(OWNER), 404)


def test_who_may_not_read_the_history_still_sees_the_channel() -> None:
    unread = server({CREW: {"read_message_history": False}})

    assert may_view(unread, HALL, ADA, (CREW,))
    assert not may_read(unread, said(ADA, CREW), HALL)
    assert not may_view(server({CREW: HIDDEN}), HALL, ADA, (CREW,))
    assert not may_view(server({}), HALL, ADA, None)
    assert not may_view(server({}), 404, OWNER, ())


@pytest.mark.parametrize("kind", [discord.ChannelType.voice, discord.ChannelType.stage_voice])
def test_the_chat_of_a_voice_channel_is_read_by_those_who_can_connect(
    kind: discord.ChannelType,
) -> None:
    locked = server({SERVER: {"connect": False}, CREW: {"connect": True}})
    locked.get_channel_or_thread(HALL).type = kind

    assert not may_read(locked, said(ADA), HALL)
    assert may_read(locked, said(ADA, CREW), HALL)
    assert may_view(locked, HALL, ADA, ())
