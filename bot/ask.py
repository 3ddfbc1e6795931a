"""What the model is asked, whichever way the provider is spoken to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot import tokens

if TYPE_CHECKING:
    from bot.conversation.turns import Turn

_CONTINUE = (
    "The last message of the conversation is the beginning of your answer, which a fault cut off "
    "there. Go on with exactly what comes next. Repeat nothing of it, and do not mention the fault."
)


@dataclass(frozen=True, slots=True)
class Ask:
    """What the model is asked: who it is, what was said so far, and what differs from the settings.

    `effort` is a reasoning model's, `tools` are those that the provider hosts, `image` asks for a
    picture as the answer. `begun` is the beginning of the answer, where it was cut off.
    """

    instructions: str
    turns: tuple[Turn, ...]
    model: str | None = None
    temperature: float | None = None
    effort: str | None = None
    tools: tuple[str, ...] = ()
    image: bool = False
    begun: str = ""

    @property
    def told(self) -> str:
        """The instructions, with what to do about a beginning."""
        return f"{self.instructions}\n\n{_CONTINUE}" if self.begun else self.instructions

    @property
    def tokens(self) -> int:
        """How many tokens it has, as they are reckoned here."""
        return tokens.reckoned(self.instructions) + sum(turn.tokens for turn in self.turns)
