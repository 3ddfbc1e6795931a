"""What an answer used up: as the provider tells it, estimated where it does not, and at most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from bot import tokens

# Each call of a tool reads the conversation again, and what the searches before it found. Nobody
# documents how long that is; where it has a fixed rate, that is 8,000 tokens for each search.
_PER_SEARCH = 10_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, pictures and searches of one request to `model`.

    `input` includes `cached_input`, `output` includes the thinking. `moderated` are tokens that the
    moderation read.
    """

    model: str
    input: int = 0
    cached_input: int = 0
    output: int = 0
    images: int = 0
    searches: int = 0
    moderated: int = 0


class Account(Protocol):
    """Where one answer's requests are charged, and what may still be spent on it."""

    def charge(self, usage: Usage) -> object:
        """Count what a request used up, once, however it ended."""

    def covers(self, most: Usage) -> bool:
        """Whether what was reserved for the answer covers one more request that uses `most`."""


def completed(told: Usage, read: int, said: str, most_output: int) -> Usage:
    """Fill in what the provider does not tell: an unknown amount is never nothing.

    `read` is the estimate of what was sent, `said` what was shown. No request reads nothing, and
    none says something with no tokens, so zero is not believed there.
    """
    given = told.input or read
    return replace(
        told,
        input=given,
        cached_input=min(told.cached_input, given),
        output=told.output or min(tokens.likely(said), most_output),
    )


def ceiling(
    model: str, *, text: int, pictures: int, output: int, searches: int = 0, drawings: int = 0
) -> Usage:
    """Give the most that one request can use up.

    `text` are the tokens of the text that is sent, as they are reckoned here, `pictures` go with
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
