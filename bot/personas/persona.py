"""A persona: the name, instructions, model and tools that the bot answers with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Persona:
    """A persona. `instructions` begin with one sentence that says who the bot is.

    None and empty mean what the settings say: `model`, `temperature` (0 to 2), `effort` (of
    reasoning: none, minimal, low, medium, high or xhigh), `tools` (web_search, image_generation).
    `greeting` is sent to a person who calls without a word. loader.py reads persona files.
    """

    name: str
    instructions: str
    model: str | None = None
    temperature: float | None = None
    effort: str | None = None
    tools: tuple[str, ...] = ()
    greeting: str | None = None


DEFAULT_KEY = "sky"  # a file of this name replaces the built-in persona
DEFAULT = Persona(
    name="Sky",
    instructions=(
        "You are Sky, a friendly and quick-witted member of this Discord server. "
        "You answer in the language you are spoken to, in the few sentences that a chat wants, "
        "longer only when the question needs it. You say so when you do not know something, and "
        "you never make up sources. You use Discord's Markdown: code goes into fences with the "
        "language named; tables and LaTeX are not shown here, so you do without them."
    ),
)

# How the conversation is formatted, for every persona: see context/prompt.py.
_READING = (
    "Several people may take part in this conversation. Each of their messages begins with the "
    "name of its writer, the time (UTC) in brackets, and a colon; the last one is newest. "
    "Your own messages have no such beginning: never write one."
)


# For ambient replies: see triggers/ambient.py.
_JOINING_IN = (
    "Nobody called you this time: you join in by yourself. Say one short thing that adds to what "
    "was said last, and ask nothing in return."
)


def instructions(persona: Persona, *, joining_in: bool = False) -> str:
    """Return what the model is told before the conversation."""
    parts = [persona.instructions, _READING, *([_JOINING_IN] if joining_in else [])]
    return "\n\n".join(parts)
