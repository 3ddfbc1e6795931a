"""What the model is asked, whichever way the provider is spoken to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot import tokens
from bot.usage import ceiling

if TYPE_CHECKING:
    from bot.conversation.turns import Turn
    from bot.usage import Usage

_CONTINUE = (
    "The last message of the conversation is the beginning of your answer, which a fault cut off "
    "there. Go on with exactly what comes next. Repeat nothing of it, and do not mention the fault."
)


@dataclass(frozen=True, slots=True)
class Ask:
    """What the model is asked: who it is, what was said so far, and what differs from the settings.

    `effort` is a reasoning model's, `tools` are those that the provider hosts, `image` asks for a
    picture as the answer. `searches` and `drawings` are how often tools may be called for it.
    `begun` is the beginning of the answer, where it was cut off.
    """

    instructions: str
    turns: tuple[Turn, ...]
    model: str | None = None
    temperature: float | None = None
    effort: str | None = None
    tools: tuple[str, ...] = ()
    image: bool = False
    searches: int = 0
    drawings: int = 0
    begun: str = ""

    @property
    def told(self) -> str:
        """The instructions, with what to do about a beginning."""
        return f"{self.instructions}\n\n{_CONTINUE}" if self.begun else self.instructions

    @property
    def pictures(self) -> int:
        """How many pictures are shown to the model."""
        return sum(len(turn.images) for turn in self.turns)

    @property
    def text_tokens(self) -> int:
        """How many tokens its text has, as they are reckoned here."""
        return sum(map(tokens.reckoned, self._texts)) + tokens.PER_TURN * (len(self.turns) + 2)

    @property
    def likely_tokens(self) -> int:
        """About how many tokens it has in all, where the provider does not tell."""
        return sum(map(tokens.likely, self._texts)) + tokens.PER_IMAGE * self.pictures

    @property
    def _texts(self) -> list[str]:
        return [self.told, *(turn.text for turn in self.turns), self.begun]

    def ceiling(self, model: str, output: int) -> Usage:
        """Give the most that one request for it can use up; see usage.py."""
        return ceiling(
            model,
            text=self.text_tokens,
            pictures=self.pictures,
            output=output,
            searches=self.searches,
            drawings=self.drawings,
        )

    def resumed(self, begun: str) -> Ask:
        """Give what is asked to go on with an answer: its words alone, without further tools."""
        return replace(self, begun=begun, tools=(), image=False, searches=0, drawings=0)
