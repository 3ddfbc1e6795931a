"""What a person sees of an answer: the bot's messages that belong to one question."""

import re
from dataclasses import dataclass, replace

from tests.servers.discord.records import Message

from .text_integrity import balanced, is_whole

LIMIT = 2000
SMALL_PRINT = re.compile(r"(\n-# [^\n]*)+\Z")


def buttons(message: Message) -> dict[str, str]:
    """Give what comes back with a press of each button, by what stands on it."""
    rows = [row["components"] for row in message.components]
    return {button["label"]: button["custom_id"] for row in rows for button in row}


@dataclass(frozen=True)
class Seen:
    """All messages that answer one question, in order."""

    parts: tuple[Message, ...]

    @property
    def text(self) -> str:
        """What a person reads, message after message."""
        return "\n".join(part.content for part in self.parts)

    @property
    def bare(self) -> "Seen":
        """The same without the small print under an answer: remarks on how it came about."""
        bare = [replace(part, content=SMALL_PRINT.sub("", part.content)) for part in self.parts]
        return Seen(tuple(bare))

    @property
    def well_formed(self) -> bool:
        """Whether every message is one that Discord takes, with its fences closed."""
        return all(len(p.content) <= LIMIT and balanced(p.content) for p in self.parts)

    def shows(self, text: str) -> bool:
        """Whether this is that text, whole, with nothing added and nothing twice."""
        return self.well_formed and is_whole([part.content for part in self.parts], text)
