"""Every error that the bot raises on purpose, as one tree.

    SkyError                     label: its name in metrics and logs; sentence: what a person reads
    ├── Retried                  tried again while nothing has been said yet; told if it lasts
    │   ├── ModelBusy            429 for pace
    │   ├── ModelDown            5xx, no connection, an answer that is no answer
    │   ├── ModelSlow            no text in time
    │   ├── ModelPaused          it failed so often that it is not asked just now
    │   └── KeyRefused           401: tried again as soon as another key is there
    ├── UserFacingError          trying again would change nothing: the person reads its sentence
    │   ├── QuotaSpent           429 for money
    │   ├── ModelMissing         404: the configured model, or 403: not for this key
    │   ├── TooMuchText          the conversation is beyond the model's context
    │   ├── RequestRefused       400 of another kind
    │   ├── Filtered             the provider's content filter
    │   ├── BannedWord           a word in the question that is not wanted here
    │   ├── QuestionWithheld     the question did not pass the moderation
    │   ├── AnswerWithheld       the answer did not
    │   ├── Unchecked            the moderation could not be asked
    │   ├── ToolMissing          the model has no tool for what is asked
    │   ├── BadPicture           a picture that the provider cannot open
    │   ├── CutShort             the stream ended, or failed, before the answer was complete
    │   ├── OutOfRoom            the answer reached the configured length
    │   ├── OnlyReasoning        the thinking used up the answer's length
    │   ├── NothingSaid          a complete answer without a word in it
    │   ├── TooBusy              more is waiting than the bot takes on
    │   ├── OverLimit            a limit per hour, or the budget, is reached; says until when
    │   ├── NotSummarized        there is no summary, for one of several reasons
    │   ├── UnknownPersona       nobody has the name that was asked for
    │   ├── Interrupted          the bot is stopping
    │   ├── QuestionGone         the question was deleted
    │   ├── Stopped              by the one who asked
    │   └── Unexpected           a defect of ours
    ├── Unsaid                   nobody can be told, for Discord refuses the words
    │   ├── MayNotSpeak          no permission, a closed DM
    │   ├── ContentRefused       AutoMod or Discord's own filters, for these words only; told
    │   ├── PlaceGone            the channel or the answer was deleted
    │   └── DiscordDown          Discord did not take it in time, after retries
    └── Fatal                    for the operator; each says the remedy
        ├── BadSettings          the process ends with code 2
        ├── CredentialMissing    waits for the file
        ├── TokenRefused         waits for another token
        └── GatewayRefused       Discord closed the gateway for a reason that only a person can fix

What an exception says is for operators and holds neither content nor credentials.
People read its class's sentence.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from bot.domain.model_request import Usage


class SkyError(Exception):
    """The root: everything that the bot raises on purpose.

    `usage` is what the provider told of a failed request. `unbilled` says that a request certainly
    cost nothing: it never left, or was refused before the model began.
    """

    label = "error"
    sentence = "Something went wrong on my side. Please try again in a moment."
    usage: Usage | None = None
    unbilled: bool = False


class UserFacingError(SkyError):
    """Trying again would not help; the person is told why."""


class QuotaSpent(UserFacingError):
    """The account has run out of credit: a 429 that a retry cannot fix."""

    label = "quota_spent"
    sentence = (
        "My account with the language model has run out of credit. "
        "Please tell whoever runs this bot."
    )


class ModelMissing(UserFacingError):
    """The configured model does not exist, or this key may not use it."""

    label = "model_missing"
    sentence = (
        "The language model I am set to use is not available. Please tell whoever runs this bot."
    )


class TooMuchText(UserFacingError):
    """The conversation does not fit into the model's context."""

    label = "too_much_text"
    sentence = "That is more text than I can read at once. Please shorten it."


class RequestRefused(UserFacingError):
    """The provider refused the request for another reason."""

    label = "request_refused"
    sentence = "The language model did not accept that question. Please try to rephrase it."


class Filtered(UserFacingError):
    """The provider's content filter stepped in."""

    label = "filtered"
    sentence = "The language model's content filter stopped this answer. Please rephrase it."


class BannedWord(UserFacingError):
    """The question has a word in it that the settings ban."""

    label = "banned_word"
    sentence = "Your message contains a word that is not allowed here, so I won't answer it."


class QuestionWithheld(UserFacingError):
    """The question did not pass the moderation."""

    label = "question_withheld"
    sentence = "Your message did not pass moderation. Please rephrase it."


class AnswerWithheld(UserFacingError):
    """The answer, or what comes next of it, did not pass the moderation."""

    label = "answer_withheld"
    sentence = "My answer did not pass moderation, so I stopped."


class Unchecked(UserFacingError):
    """The settings require moderation, and it is unavailable."""

    label = "unchecked"
    sentence = (
        "I can't check messages at the moment, and I don't answer here without a check. "
        "Please ask me again in a few minutes."
    )


class ToolMissing(UserFacingError):
    """The model is asked for something that it, or its provider, has no tool for."""

    label = "tool_missing"
    sentence = (
        "The language model I use can't do that. Whoever runs this bot can choose one that makes "
        "pictures or searches the web."
    )


class BadPicture(UserFacingError):
    """The provider cannot open a picture of the conversation."""

    label = "bad_picture"
    sentence = "The language model can't open a picture here. Please send it again as PNG or JPEG."


class CutShort(UserFacingError):
    """The stream ended without saying that the answer was complete."""

    label = "cut_short"
    sentence = "My answer was cut off before it was complete. Ask me again for the rest."


class OutOfRoom(UserFacingError):
    """The answer is as long as the settings allow."""

    label = "out_of_room"
    sentence = "I've reached the length limit. Reply to this message and I'll continue."


class OnlyReasoning(UserFacingError):
    """The answer reached its length while the model was still thinking."""

    label = "only_reasoning"
    sentence = (
        "The language model spent its whole answer on thinking. "
        "Please ask something simpler; whoever runs this bot can allow longer answers."
    )


class NothingSaid(UserFacingError):
    """The model completed its answer without any text."""

    label = "nothing_said"
    sentence = "The language model had nothing to say to that. Please try to rephrase it."


class TooBusy(UserFacingError):
    """More questions are waiting than the bot accepts."""

    label = "too_busy"
    sentence = "Too many people are asking at once. Please try again in a minute."


class OverLimit(UserFacingError):
    """A limit per hour, or the budget, is reached. `until` is in seconds since 1970."""

    label = "over_limit"
    _BECAUSE: ClassVar[dict[str, str]] = {
        "user": "You've reached the hourly limit per person.",
        "channel": "This channel has reached its hourly limit.",
        "server": "This server has reached its hourly limit.",
        "day": "Today's budget is used up.",
        "month": "This month's budget is used up.",
        "set_aside": "The rest of the budget is reserved for answers that are being written.",
    }

    def __init__(self, scope: str, until: float) -> None:
        super().__init__(scope)
        self.sentence = f"{self._BECAUSE[scope]} Try again <t:{math.ceil(until)}:R>."


class NotSummarized(UserFacingError):
    """Somebody gets no summary. `why` is the outcome's label."""

    _BECAUSE: ClassVar[dict[str, str]] = {
        "not_readable": "You can't read that channel, or I can't determine whether you can.",
        "excluded": "I don't summarize that channel. Whoever runs this bot has configured it so.",
        "hidden": (
            "I can't read that channel: I need the permissions **View Channel** and **Read Message "
            "History** there."
        ),
        "nothing": "Nobody has written anything there in that time.",
        "no_text": (
            "I can't see the text of the messages there. Whoever runs this bot can turn on the "
            "Message Content Intent in Discord's Developer Portal."
        ),
        "withheld": "None of the messages passed moderation, so there is nothing to summarize.",
        "no_points": (
            "The language model named no message for what it wrote, so I don't show it. "
            "Please try again."
        ),
        "expensive": (
            "That could cost more than the settings of this bot allow for one summary. Please ask "
            "for a shorter time."
        ),
        "budget": "What is left of the budget is not enough for a summary. Please try again later.",
        "under_way": "I'm already writing a summary for you.",
        "busy": "I'm writing too many summaries at once. Please try again in a minute.",
        "discord": "Discord did not give me the messages. Please try again in a minute.",
        "late": "That took too long. Please ask for a shorter time.",
    }

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.label = why
        self.sentence = self._BECAUSE[why]


class UnknownPersona(UserFacingError):
    """No persona has the name that a person asked for; the sentence suggests `near` ones."""

    label = "unknown_persona"
    sentence = "There is no persona with that name."

    def __init__(self, near: list[str]) -> None:
        super().__init__()
        meant = " or ".join(f"**{name}**" for name in near)
        self.sentence = f"There is no persona with that name. Did you mean {meant}?"


class Interrupted(UserFacingError):
    """The bot is being stopped and this answer did not end in time."""

    label = "interrupted"
    sentence = "I'm restarting and could not finish this answer. Please ask me again."


class QuestionGone(UserFacingError):
    """The question was deleted while its answer waited or was being written."""

    label = "question_gone"
    sentence = "The question was deleted, so I stopped here."


class Stopped(UserFacingError):
    """The one who asked pressed Stop."""

    label = "stopped"
    sentence = "Stopped, as you asked."


class Unexpected(UserFacingError):
    """A bug of the bot, caught at the top of a task."""

    label = "unexpected"


__all__ = [
    "AnswerWithheld",
    "BadPicture",
    "BadSettings",
    "BannedWord",
    "ContentRefused",
    "CredentialMissing",
    "CutShort",
    "DiscordDown",
    "Fatal",
    "Filtered",
    "GatewayRefused",
    "Interrupted",
    "KeyRefused",
    "MayNotSpeak",
    "ModelBusy",
    "ModelDown",
    "ModelMissing",
    "ModelPaused",
    "ModelSlow",
    "NotSummarized",
    "NothingSaid",
    "OutOfRoom",
    "OverLimit",
    "PlaceGone",
    "QuestionGone",
    "QuestionWithheld",
    "QuotaSpent",
    "RequestRefused",
    "Retried",
    "SkyError",
    "Stopped",
    "TokenRefused",
    "TooBusy",
    "TooMuchText",
    "ToolMissing",
    "Unchecked",
    "Unexpected",
    "UnknownPersona",
    "Unsaid",
    "UserFacingError",
]


_IN_SECONDS = 100  # a longer wait is told in minutes


class Retried(SkyError):
    """May pass by itself. `after` is how many seconds the other side asked to wait, if it did."""

    def __init__(self, message: str = "", *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class ModelBusy(Retried):
    """The provider's rate limit is reached."""

    label = "model_busy"
    sentence = "The language model is busy right now. Please ask me again in a minute."


class ModelDown(Retried):
    """The provider cannot be reached or fails."""

    label = "model_down"
    sentence = (
        "I can't reach the language model at the moment. Please ask me again in a few minutes."
    )


class ModelSlow(Retried):
    """The provider was reached but sent nothing in time."""

    label = "model_slow"
    sentence = "The language model took too long to answer. Please ask me again."


class ModelPaused(Retried):
    """The circuit breaker is open: no requests for another `seconds`, after repeated failures."""

    label = "model_paused"
    sentence = "The language model has failed several times in a row, so I'm giving it a rest."

    def __init__(self, seconds: float) -> None:
        super().__init__("the circuit breaker is open")
        length, unit = (60, "minute") if seconds > _IN_SECONDS else (1, "second")
        wait = math.ceil(seconds / length)
        self.sentence += f" Please ask me again in {wait} {unit}{'s' if wait > 1 else ''}."


class KeyRefused(Retried):
    """The provider refused the API key."""

    label = "key_refused"
    sentence = "The language model refused my credentials. Please tell whoever runs this bot."


class Unsaid(SkyError):
    """Discord does not accept the bot's message, so the person cannot be told."""


class MayNotSpeak(Unsaid):
    """A missing permission, or a person whose DMs are closed."""

    label = "may_not_speak"


class ContentRefused(Unsaid):
    """Discord accepts messages of the bot there, but not this one."""

    label = "content_refused"
    sentence = "This server's AutoMod, or a filter of Discord's, blocked what I was about to say."


class PlaceGone(Unsaid):
    """The channel, or the answer that was being written, no longer exists."""

    label = "place_gone"


class DiscordDown(Unsaid):
    """Discord failed or was out of reach for longer than the retries last.

    `after` is for how many seconds it wants no requests at all, if it said so.
    """

    label = "discord_down"

    def __init__(self, message: str = "", *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Fatal(SkyError):
    """Only an operator can fix it."""


class BadSettings(Fatal):
    """The settings cannot be used. `problems` are sentences, each with a place and a remedy."""

    label = "bad_settings"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class CredentialMissing(Fatal):
    """A credential's file is missing, unreadable, or empty."""

    label = "credential_missing"


class TokenRefused(Fatal):
    """Discord does not accept the bot's token."""

    label = "token_refused"


class GatewayRefused(Fatal):
    """Discord closed the gateway for good. `code` is its close code."""

    label = "gateway_refused"

    def __init__(self, code: int, remedy: str) -> None:
        super().__init__(remedy)
        self.code = code
