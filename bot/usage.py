"""What an answer used up, as the provider counts it: what money is reckoned from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot import tokens


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, pictures and searches of one answer by `model`; 0 where the provider does not say.

    `input` includes `cached_input`, `output` includes the thinking. An answer that failed half-way
    has one too, in its error's `usage`: what is known of it, or reckoned where nothing was told.
    """

    model: str
    input: int = 0
    cached_input: int = 0
    output: int = 0
    images: int = 0
    searches: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Sum of two requests for one answer; the later one's model names it."""
        return replace(
            other,
            input=self.input + other.input,
            cached_input=self.cached_input + other.cached_input,
            output=self.output + other.output,
            images=self.images + other.images,
            searches=self.searches + other.searches,
        )


def reckoned(model: str, read: int, said: str) -> Usage:
    """What an answer that broke off or was stopped used up: the provider tells nothing then.

    `read` is how many tokens the question has, as they are reckoned here.
    """
    return Usage(model, input=read, output=tokens.reckoned(said))
