"""The root of the errors that errors.py draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.usage import Usage


class SkyError(Exception):
    """The root: everything that the bot raises on purpose.

    `usage` is what a failed answer used up all the same, where the model's room set it.
    """

    label = "error"
    sentence = "Something went wrong on my side. Please try again in a moment."
    usage: Usage | None = None
