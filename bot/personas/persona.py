"""Who the bot is when it speaks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Persona:
    """A voice. `instructions` begin with one sentence that says who the bot is.

    None and empty mean what the settings say: `model`, `temperature` (0 to 2), `effort` (of
    reasoning: none, minimal, low, medium, high or xhigh), `tools` (web_search, image_generation).
    `greeting` is said to who calls without a word. Their files are read in files.py.
    """

    name: str
    instructions: str
    model: str | None = None
    temperature: float | None = None
    effort: str | None = None
    tools: tuple[str, ...] = ()
    greeting: str | None = None


DEFAULT_KEY = "sky"  # a file of this name takes her part
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

# How the conversation is written down, for every persona: see conversation/turns.py.
_READING = (
    "Several people may take part in this conversation. Each of their messages begins with the "
    "name of its writer, the time (UTC) in brackets, and a colon; the last one is newest. "
    "Your own messages have no such beginning: never write one."
)


# When it was not called at all: see temper.py.
_JOINING_IN = (
    "Nobody called you this time: you join in by yourself. Say one short thing that adds to what "
    "was said last, and ask nothing in return."
)


def instructions(persona: Persona, *, joining_in: bool = False) -> str:
    """What the model is told before the conversation."""
    parts = [persona.instructions, _READING, *([_JOINING_IN] if joining_in else [])]
    return "\n\n".join(parts)
