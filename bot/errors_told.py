"""What a person is told, and trying again would not change; errors.py draws the whole tree."""

from __future__ import annotations

import math
from typing import ClassVar

from bot.errors_root import SkyError


class Told(SkyError):
    """Trying again would not help; the person is told why."""


class QuotaSpent(Told):
    """The account's money is used up: a 429 that no retry mends."""

    label = "quota_spent"
    sentence = (
        "My budget with the language model is used up. The people who run me have to refill it."
    )


class ModelMissing(Told):
    """The configured model does not exist, or this key may not use it."""

    label = "model_missing"
    sentence = (
        "The language model I am set to use is not available. "
        "The people who run me have to choose another."
    )


class TooMuchText(Told):
    """The conversation does not fit into the model's context."""

    label = "too_much_text"
    sentence = "That is more text than I can read at once. Please ask with less of it."


class RequestRefused(Told):
    """The provider refused the request for another reason."""

    label = "request_refused"
    sentence = "The language model did not accept that question. Please try to put it differently."


class Filtered(Told):
    """The provider's content filter stepped in."""

    label = "filtered"
    sentence = "The language model's content filter stopped this answer. Please ask differently."


class BannedWord(Told):
    """The question has a word in it that the settings ban."""

    label = "banned_word"
    sentence = "There is a word in your message that is not wanted here, so I don't answer it."


class QuestionWithheld(Told):
    """The question did not pass the moderation."""

    label = "question_withheld"
    sentence = "Your message did not pass the moderation here. Please put it differently."


class AnswerWithheld(Told):
    """The answer, or what comes next of it, did not pass the moderation."""

    label = "answer_withheld"
    sentence = "What I was about to say did not pass the moderation here, so I stopped."


class Unchecked(Told):
    """The moderation could not be asked, and the settings want it to be."""

    label = "unchecked"
    sentence = (
        "I can't have messages checked at the moment, and without that I don't speak here. "
        "Please ask me again in a few minutes."
    )


class ToolMissing(Told):
    """The model is asked for something that it, or its provider, has no tool for."""

    label = "tool_missing"
    sentence = (
        "The language model I use can't do that. The people who run me can choose one that makes "
        "pictures or searches the web."
    )


class BadPicture(Told):
    """The provider cannot open a picture of the conversation."""

    label = "bad_picture"
    sentence = "The language model can't open a picture here. Please send it again as PNG or JPEG."


class CutShort(Told):
    """The stream ended without saying that the answer was complete."""

    label = "cut_short"
    sentence = "My answer broke off before it was complete. Ask me again for the rest."


class OutOfRoom(Told):
    """The answer is as long as the settings allow."""

    label = "out_of_room"
    sentence = "I ran out of room here. Reply to this message and I will go on."


class NothingSaid(Told):
    """The model completed its answer without any text."""

    label = "nothing_said"
    sentence = "The language model had nothing to say to that. Please try to put it differently."


class TooBusy(Told):
    """More people are waiting than the bot takes on at once."""

    label = "too_busy"
    sentence = (
        "So many people are asking at once that I can't keep up. Please try again in a minute."
    )


class OverLimit(Told):
    """A limit per hour, or the budget, is reached. `until` is in seconds since 1970."""

    label = "over_limit"
    _BECAUSE: ClassVar[dict[str, str]] = {
        "user": "You have asked me all that I answer one person in an hour.",
        "channel": "This channel has asked me all that I answer it in an hour.",
        "server": "This server has asked me all that I answer it in an hour.",
        "day": "What I may spend in a day is spent.",
        "month": "What I may spend in a month is spent.",
        "set_aside": "What I may still spend is set aside for answers that I am writing just now.",
    }

    def __init__(self, scope: str, until: float) -> None:
        super().__init__(scope)
        self.sentence = f"{self._BECAUSE[scope]} I am back <t:{math.ceil(until)}:R>."


class UnknownPersona(Told):
    """Nobody has the name that a person asked for; the sentence offers `near` ones."""

    label = "unknown_persona"
    sentence = "I know nobody of that name."

    def __init__(self, near: list[str]) -> None:
        super().__init__()
        meant = " or ".join(f"**{name}**" for name in near)
        self.sentence = f"I know nobody of that name. Did you mean {meant}?"


class Interrupted(Told):
    """The bot is being stopped and this answer did not end in time."""

    label = "interrupted"
    sentence = "I am being restarted and could not finish this answer. Please ask me again."


class QuestionGone(Told):
    """The question was deleted while its answer waited or was being written."""

    label = "question_gone"
    sentence = "The question was deleted, so I stopped here."


class Stopped(Told):
    """The one who asked pressed Stop."""

    label = "stopped"
    sentence = "Stopped, as you asked."


class Unexpected(Told):
    """A defect of ours, seen at a task's edge."""

    label = "unexpected"
