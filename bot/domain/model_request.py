"""What a model is asked, what comes of it piece by piece, and what that used up.

A usage is as the provider tells it, estimated where it does not, and at most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Literal, Protocol

from bot.domain import text
from bot.domain import text as tokens

if TYPE_CHECKING:
    from bot.domain.messages import Picture

# Each call of a tool reads the conversation again, and what the searches before it found. Nobody
# documents how long that is; where it has a fixed rate, that is 8,000 tokens for each search.
_PER_SEARCH = 10_000
_TOO_MANY = 10_000_000  # tokens of one request


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, pictures and searches of one request to `model`.

    `input` includes `cached_input`, `output` includes the thinking. `moderated` are tokens that the
    moderation read. `estimated` says that the provider did not tell all of that.
    """

    model: str
    input: int = 0
    cached_input: int = 0
    output: int = 0
    images: int = 0
    searches: int = 0
    moderated: int = 0
    estimated: bool = False


class Account(Protocol):
    """Where one answer's requests are charged, and what may still be spent on it."""

    def charge(self, usage: Usage) -> object:
        """Count what a request used up, once, however it ended."""

    def covers(self, most: Usage) -> bool:
        """Whether what was reserved for the answer covers one more request that uses `most`."""


def completed(told: Usage, read: int, said: str, most_output: int) -> Usage:
    """Fill in what the provider does not tell: an unknown amount is never nothing.

    `read` is the estimate of what was sent, `said` what was shown. No request reads nothing, and
    none says something with no tokens, so zero is not believed there; nor is a number that no
    request has, because one of those would use up every budget.
    """
    given = _believed(told.input) or read
    made = _believed(told.output) or min(tokens.likely(said), most_output)
    return replace(
        told,
        input=given,
        cached_input=min(told.cached_input, given),
        output=made,
        estimated=told.estimated or (given, made) != (told.input, told.output),
    )


def _believed(told: int) -> int:
    return told if told < _TOO_MANY else 0


def ceiling(
    model: str, *, text: int, pictures: int, output: int, searches: int = 0, drawings: int = 0
) -> Usage:
    """Give the most that one request can use up.

    `text` are the tokens of the text that is sent, as they are estimated here, `pictures` go with
    it. `output`, and `searches` and `drawings` together, are bounds that the provider is sent. What
    is sent itself has no bound at the provider, so it is counted on the safe side.
    """
    sent = tokens.SAFETY * text + pictures * tokens.most_per_image(model)
    found = _PER_SEARCH * searches * (searches + 1) // 2
    return Usage(
        model,
        input=(searches + drawings + 1) * sent + found,
        output=output,
        # The provider bounds the calls of all tools together, so each may be of either kind.
        images=searches + drawings if drawings else 0,
        searches=searches + drawings if searches else 0,
    )


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side said. A person's text begins with name, time and a colon.

    `images` are data URLs, of people's turns only. What is `quoted` was written by nobody who takes
    part: a page.
    """

    role: Literal["user", "assistant"]
    text: str
    images: tuple[str, ...] = ()
    quoted: bool = False

    @property
    def tokens(self) -> int:
        """What it takes, estimated on the safe side."""
        pictures = tokens.PER_IMAGE * len(self.images)
        return tokens.estimate_tokens(self.text) + pictures + tokens.PER_TURN


_CONTINUE = (
    "The last message of the conversation is the beginning of your answer, which a fault cut off "
    "there. Go on with exactly what comes next. Repeat nothing of it, and do not mention the fault."
)


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What the model is asked: who it is, what was said so far, and what differs from the settings.

    `effort` is a reasoning model's, `tools` are those that the provider hosts, `image` asks for a
    picture as the answer. `searches` and `drawings` are how often tools may be called for it.
    `begun` is the beginning of the answer, where it was cut off; `name` is the one that the model
    answers under.
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
    name: str = ""

    @property
    def conversation(self) -> tuple[Turn, ...]:
        """What was said, with the beginning of the answer."""
        return (*self.turns, Turn("assistant", self.begun)) if self.begun else self.turns

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
        """How many tokens its text has, as they are estimated here."""
        return sum(map(text.estimate_tokens, self._texts)) + text.PER_TURN * (len(self.turns) + 2)

    @property
    def likely_tokens(self) -> int:
        """About how many tokens it has in all, where the provider does not tell."""
        return sum(map(text.likely, self._texts)) + text.PER_IMAGE * self.pictures

    @property
    def _texts(self) -> list[str]:
        return [self.told, *(turn.text for turn in self.turns), self.begun]

    def ceiling(self, model: str, output: int) -> Usage:
        """Give the most that one request for it can use up."""
        return ceiling(
            model,
            text=self.text_tokens,
            pictures=self.pictures,
            output=output,
            searches=self.searches,
            drawings=self.drawings,
        )

    def resumed(self, begun: str) -> ModelRequest:
        """Give what is asked to go on with an answer: its words alone, without further tools."""
        return replace(self, begun=begun, tools=(), image=False, searches=0, drawings=0)


@dataclass(frozen=True, slots=True)
class Text:
    """The next piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that the model made."""

    picture: Picture


@dataclass(frozen=True, slots=True)
class Citation:
    """The address of a page that the answer rests on; a page may come more than once."""

    url: str


class Finish(Enum):
    """How an answer ended."""

    COMPLETE = "complete"
    LENGTH = "length"
    FILTERED = "filtered"
    BROKEN = "broken"


class Reduced(Enum):
    """That the model was asked with less than what was meant, because it does not take it."""

    WITHOUT_PICTURES = "without_pictures"
    WITHOUT_OLDER_HALF = "without_older_half"


ModelEvent = Text | Image | Citation | Reduced


@dataclass(frozen=True, slots=True)
class Reasoned:
    """So many characters of reasoning that are not shown."""

    characters: int


@dataclass(frozen=True, slots=True)
class Searched:
    """A search in the web."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The answer's end: how, in the provider's word, and what the provider says was used."""

    finish: Finish
    reason: str
    usage: Usage


ProviderEvent = Text | Image | Citation | Reasoned | Searched | Ended
