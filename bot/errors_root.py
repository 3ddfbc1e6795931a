"""The root of the errors that errors.py draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.usage import Usage


class SkyError(Exception):
    """The root: everything that the bot raises on purpose.

    `usage` is what the provider told of a failed request. `unbilled` says that a request certainly
    cost nothing: it never left, or was refused before the model began.
    """

    label = "error"
    sentence = "Something went wrong on my side. Please try again in a moment."
    usage: Usage | None = None
    unbilled: bool = False
