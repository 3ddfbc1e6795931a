"""What credentials look like: enough to see one in the place of another, and to name one safely."""

from __future__ import annotations

import hashlib
import re

_DISCORD = re.compile(r"[\w-]{20,}\.[\w-]{5,}\.[\w-]{20,}", re.ASCII)
_VISIBLE = re.compile(r"[!-~]+")  # what may stand in an HTTP header, without white space


def digest(value: str) -> str:
    """Eight hex digits of the SHA-256: tells two values apart, too little to guess one."""
    return hashlib.sha256(value.encode()).hexdigest()[:8]


def no_form(value: str) -> str | None:
    """What no credential has: white space inside, or characters that HTTP cannot carry."""
    if not _VISIBLE.fullmatch(value):
        return "it has white space, or other characters that no credential has, inside"
    return None


def not_discord(value: str) -> str | None:
    """Why `value` cannot be a Discord bot's token; None if it may be one."""
    if value.startswith("sk-"):
        return "it is a key for OpenAI, not a token for Discord"
    return no_form(value)


def not_openai(value: str) -> str | None:
    """Why `value` cannot be a model provider's key; None if it may be one."""
    if _DISCORD.fullmatch(value):
        return "it is a token for Discord, not a key for OpenAI"
    return no_form(value)
