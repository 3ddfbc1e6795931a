"""The most that one answer can cost: what is reserved before it starts. Pure.

A request is bounded by what the provider is sent: `max_output_tokens`, and `max_tool_calls`, or
`n` where it draws only. What is reserved covers one request with all of that by the dearest model
that may be asked, and one more, without tools: another attempt, or going on with what broke off.
Whatever else may be tried after a failure is tried only while the rest of the reservation covers it
(usage.Account), so no answer costs more, whichever way it fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.admission.budget import cost
from bot.domain import text as tokens
from bot.domain.model_request import Usage, ceiling

if TYPE_CHECKING:
    from bot.domain.model_request import ModelRequest
    from bot.personas.persona import Persona
    from bot.settings.schema import Settings


_SEARCH, _DRAW = "web_search", "image_generation"
_AROUND = 100  # tokens: what surrounds the turns, and what a model is told that goes on
# A check of an answer reads 400 characters before each 240 (safety/guard.py), and the tokens that
# are estimated here are up to 4 times the provider's (tokens.py).
_MODERATED_PER_TOKEN = 12


def tool_calls(settings: Settings, persona: Persona, *, image: bool) -> tuple[int, int]:
    """Return how many searches and drawings an answer of a persona may make."""
    if settings.openai.api == "chat":  # no tools but the Images API, which is asked for one
        return 0, int(image)
    limits = settings.limits
    searches = limits.searches if _SEARCH in persona.tools else 0
    return searches, limits.drawings if image or _DRAW in persona.tools else 0


def before_reading(settings: Settings, persona: Persona, *, image: bool) -> float:
    """Return the most that an answer can cost while its conversation is not known yet."""
    searches, drawings = tool_calls(settings, persona, image=image)
    text = tokens.estimate_tokens(persona.instructions) + settings.conversation.max_tokens + _AROUND
    sent = _Sent(text, settings.files.pictures, searches, drawings)
    return _answer(settings, persona.model, sent)


def of_ask(settings: Settings, ask: ModelRequest) -> float:
    """Return the most that an answer can cost once it is known what the model will read."""
    sent = _Sent(ask.text_tokens + _AROUND, ask.pictures, ask.searches, ask.drawings)
    return _answer(settings, ask.model, sent)


@dataclass(frozen=True, slots=True)
class _Sent:
    text: int
    pictures: int
    searches: int
    drawings: int


def _answer(settings: Settings, chosen: str | None, sent: _Sent) -> float:
    """Give the money for one request with all of it, another one, and the moderation."""
    output = settings.openai.max_output_tokens
    first = second = 0.0
    for model in {chosen or settings.openai.model, settings.openai.fallback_model} - {None}:
        assert model is not None
        whole = ceiling(
            model,
            text=sent.text,
            pictures=sent.pictures,
            output=output,
            searches=sent.searches,
            drawings=sent.drawings,
        )
        plain = ceiling(model, text=sent.text + output, pictures=sent.pictures, output=output)
        first = max(first, cost(whole, settings.budget))
        second = max(second, cost(plain, settings.budget))
    return first + second + _moderation(settings)


def _moderation(settings: Settings) -> float:
    safety, read = settings.safety, 0
    if safety.moderation in {"input", "both"}:
        read += 2 * settings.conversation.max_tokens  # flagged history is read again in parts
    if safety.moderation in {"output", "both"}:
        read += 2 * _MODERATED_PER_TOKEN * settings.openai.max_output_tokens
    return cost(Usage(safety.moderation_model, moderated=read), settings.budget)
