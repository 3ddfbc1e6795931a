"""What can go wrong, as one tree.

    SkyError                     label: its name in metrics and logs; sentence: what a person reads
    ├── Retried                  tried again while nothing has been said yet; told if it lasts
    │   ├── ModelBusy            429 for pace
    │   ├── ModelDown            5xx, no connection, an answer that is no answer
    │   ├── ModelSlow            no text in time
    │   ├── ModelPaused          it failed so often that it is not asked just now
    │   └── KeyRefused           401: tried again as soon as another key is there
    ├── Told                     trying again would change nothing: the person reads its sentence
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
    │   ├── NothingSaid          a complete answer without a word in it
    │   ├── TooBusy              more is waiting than the bot takes on
    │   ├── OverLimit            a limit per hour, or the budget, is reached; says until when
    │   ├── UnknownPersona       nobody has the name that was asked for
    │   ├── Interrupted          the bot is stopping
    │   ├── QuestionGone         the question was deleted
    │   ├── Stopped              by the one who asked
    │   └── Unexpected           a defect of ours
    ├── Unsaid                   nobody can be told, for Discord refuses the words
    │   ├── MayNotSpeak          no permission, a closed DM
    │   ├── PlaceGone            the channel or the answer was deleted
    │   └── DiscordDown          Discord did not take it in time, after retries
    └── Fatal                    for the operator; each says the remedy
        ├── BadSettings          the process ends with code 2
        ├── CredentialMissing    waits for the file
        ├── TokenRefused         waits for another token
        └── GatewayRefused       Discord closed the gateway for a reason that only a person can mend

What an exception says is for operators and holds neither content nor credentials.
People read its class's sentence.
"""

from __future__ import annotations

import math

from bot.errors_root import SkyError
from bot.errors_told import (
    AnswerWithheld,
    BadPicture,
    BannedWord,
    CutShort,
    Filtered,
    Interrupted,
    ModelMissing,
    NothingSaid,
    OutOfRoom,
    OverLimit,
    QuestionGone,
    QuestionWithheld,
    QuotaSpent,
    RequestRefused,
    Stopped,
    Told,
    TooBusy,
    ToolMissing,
    TooMuchText,
    Unchecked,
    Unexpected,
    UnknownPersona,
)

__all__ = [
    "AnswerWithheld",
    "BadPicture",
    "BadSettings",
    "BannedWord",
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
    "Told",
    "TooBusy",
    "TooMuchText",
    "ToolMissing",
    "Unchecked",
    "Unexpected",
    "UnknownPersona",
    "Unsaid",
]


_IN_SECONDS = 100  # a longer wait is told in minutes


class Retried(SkyError):
    """May pass by itself. `after` is how many seconds the other side asked to wait, if it did."""

    def __init__(self, message: str = "", *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class ModelBusy(Retried):
    """The provider takes no more requests at this pace."""

    label = "model_busy"
    sentence = "The language model is busy right now. Please ask me again in a minute."


class ModelDown(Retried):
    """The provider cannot be reached or fails."""

    label = "model_down"
    sentence = (
        "I can't reach the language model at the moment. Please ask me again in a few minutes."
    )


class ModelSlow(Retried):
    """The provider was reached and said nothing in time."""

    label = "model_slow"
    sentence = "The language model took too long to answer. Please ask me again."


class ModelPaused(Retried):
    """The provider failed so often in a row that it is not asked for `seconds` more."""

    label = "model_paused"
    sentence = (
        "The language model has failed several times in a row, so I give it a moment to recover."
    )

    def __init__(self, seconds: float) -> None:
        super().__init__("the circuit breaker is open")
        length, unit = (60, "minute") if seconds > _IN_SECONDS else (1, "second")
        wait = math.ceil(seconds / length)
        self.sentence += f" Please ask me again in {wait} {unit}{'s' if wait > 1 else ''}."


class KeyRefused(Retried):
    """The provider refused the API key."""

    label = "key_refused"
    sentence = (
        "My access to the language model was refused. The people who run me have to mend that."
    )


class Unsaid(SkyError):
    """Discord does not take what the bot has to say, so nobody can be told."""


class MayNotSpeak(Unsaid):
    """A missing permission, or a person whose DMs are closed."""

    label = "may_not_speak"


class PlaceGone(Unsaid):
    """The channel, or the answer that was being written, no longer exists."""

    label = "place_gone"


class DiscordDown(Unsaid):
    """Discord failed or was out of reach for longer than the retries last."""

    label = "discord_down"


class Fatal(SkyError):
    """Only an operator can mend it."""


class BadSettings(Fatal):
    """The settings cannot be used. `problems` are sentences, each with a place and a remedy."""

    label = "bad_settings"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class CredentialMissing(Fatal):
    """A credential's file is not there, not readable, or empty."""

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
