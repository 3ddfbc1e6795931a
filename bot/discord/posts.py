"""Our posts into discord.py's arguments: text, buttons, files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import discord

if TYPE_CHECKING:
    from bot.messages import Button, Post

SILENT = discord.AllowedMentions.none()


def new(post: Post) -> dict[str, Any]:
    """Write a post as arguments of `send`. Files are read, so each attempt needs this anew."""
    arguments: dict[str, Any] = {"content": post.text, "allowed_mentions": SILENT}
    if post.buttons:
        arguments["view"] = _view(post.buttons)
    if post.files:
        arguments["files"] = _files(post)
    if not post.previews:
        arguments["suppress_embeds"] = True
    return arguments


def changes(post: Post, was: Post | None) -> dict[str, Any]:
    """Write what differs from `was` as arguments of `edit`; all of it if `was` is not known."""
    arguments: dict[str, Any] = {"content": post.text, "allowed_mentions": SILENT}
    if was is None or was.buttons != post.buttons:
        arguments["view"] = _view(post.buttons) if post.buttons else None
    if was is None or was.files != post.files:
        arguments["attachments"] = _files(post)
    if not post.previews and (was is None or was.previews):
        arguments["suppress"] = True
    return arguments


def _view(buttons: tuple[Button, ...]) -> discord.ui.View:
    """Lay buttons out in a row. The view is finished at once, so that discord.py keeps none.

    Who presses one is heard of as an interaction, whichever process laid it out.
    """
    view = discord.ui.View(timeout=None)
    for button in buttons:
        view.add_item(discord.ui.Button(label=button.label, custom_id=button.id))
    view.stop()
    return view


def _files(post: Post) -> list[discord.File]:
    return [discord.File(io.BytesIO(each.data), filename=each.name) for each in post.files]
