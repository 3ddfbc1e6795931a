"""The custom ids of the buttons below an answer.

Any pod must be able to handle a press days later from the id alone: who asked, where, and which
message. It never contains message content.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from bot.domain.messages import Button

if TYPE_CHECKING:
    from bot.domain.messages import Message


Act = Literal["stop", "again"]

_LABELS: dict[Act, str] = {"stop": "Stop", "again": "Again"}
_MARK = re.compile(r"sky:(stop|again):(\d{1,20}):(\d{1,20}):(\d{1,20})")


@dataclass(frozen=True, slots=True)
class ButtonId:
    """What a button does, for whom, about which question in which channel."""

    act: Act
    asker_id: int
    channel_id: int
    question_id: int

    def __str__(self) -> str:
        return f"sky:{self.act}:{self.asker_id}:{self.channel_id}:{self.question_id}"


def read(custom_id: str) -> ButtonId | None:
    """Parse the custom id of a press; None if it is not a button of an answer."""
    found = _MARK.fullmatch(custom_id)
    if found is None:
        return None
    act, *ids = found.groups()
    return ButtonId(cast("Act", act), *map(int, ids))


def button(act: Act, question: Message) -> Button:
    """Return the button with this action for the answer to `question`."""
    mark = ButtonId(act, question.author.id, question.channel_id, question.id)
    return Button(_LABELS[act], str(mark))
