"""The settings of what may be asked and said."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from bot.settings.base import Section


def _split(value: Any) -> Any:
    """Take "a, b" apart."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


Words = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=100)], ...],
    NoDecode,
    BeforeValidator(_split),
]


class Safety(Section):
    """What is not asked and not said. Mentions never ping, links are never masked: no setting."""

    banned_words: Words = Field(
        default=(),
        description="Words or phrases: a question with one is not answered, "
        "in an answer they are hidden",
    )
    moderation: Literal["off", "input", "output", "both"] = Field(
        default="off",
        description="What the provider's moderation checks: questions, answers (shown some "
        "sentences at a time then), both",
    )
    moderation_model: str = Field(
        default="omni-moderation-latest", min_length=1, description="What it checks with"
    )
    moderation_down: Literal["refuse", "allow"] = Field(
        default="refuse", description="What happens while it cannot be asked"
    )
