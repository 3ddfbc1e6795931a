"""A message that the bot answers, with everything that was decided about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.personas import persona as character

if TYPE_CHECKING:
    from bot.domain.errors import SkyError
    from bot.domain.messages import Message
    from bot.personas.persona import Persona


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """A message that the bot answers, the words in it, the bot's own id, and when it was taken.

    `persona` is who answers; `image` says that a picture is asked for, `unasked` that the bot joins
    in by itself. `refused` is what is told instead of an answer. `replaces` are the messages of an
    earlier answer, in whose place this one comes; `stem` names its messages if the question did so
    already, for the earlier ones. `late` is a call that was not heard when it was written.
    """

    message: Message
    prompt: str
    me: int
    taken: float
    persona: Persona = character.DEFAULT
    image: bool = False
    ambient: bool = False
    refused: SkyError | None = None
    replaces: tuple[int, ...] = ()
    nonce_base: int | None = None
    late: bool = False

    @property
    def age(self) -> float:
        """Seconds from the question to the press that wants it answered again, by Discord's ids."""
        return (
            ((self.nonce_base >> 22) - (self.message.id >> 22)) / 1000 if self.nonce_base else 0.0
        )

    @property
    def wordless(self) -> bool:
        """Whether nothing was asked: no words, no file, and no other message that is meant."""
        asked = self.prompt or self.message.attachments or self.message.forwarded
        return not asked and self.message.replies_to is None
