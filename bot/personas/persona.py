"""Personas: the name, instructions, model and tools that the bot answers with, and which one where.

Pure; loader.py reads their files.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.domain.errors import UnknownPersona
from bot.settings.schema import PersonasSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.domain.messages import Location

_NEAR = 3  # names that are suggested for an unknown one
_CUTOFF = 0.5


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


def only_sky() -> PersonaRegistry:
    """Return the registry of a bot without persona files."""
    return PersonaRegistry({}, PersonasSettings())


class PersonaRegistry:
    """All personas by their file's name, and the settings' choices.

    The built-in Sky always exists; a file `sky.toml` replaces it. A choice that names no persona
    falls back to the next one, and is reported by `missing`.
    """

    def __init__(self, files: Mapping[str, Persona], choices: PersonasSettings) -> None:
        known = {DEFAULT_KEY: DEFAULT, **files}
        self._personas = {key.casefold(): known[key] for key in sorted(known)}
        self._choices = choices

    def __iter__(self) -> Iterator[tuple[str, Persona]]:
        return iter(self._personas.items())

    def at(self, place: Location) -> Persona:
        """Return the persona that answers in a location by default."""
        choices = self._choices
        chosen = [
            *(choices.channels.get(name) for name in place.channels),
            *(choices.servers.get(name) for name in place.servers),
            choices.default,
        ]
        found = (self._personas.get(name.casefold()) for name in chosen if name is not None)
        return next(filter(None, found), DEFAULT)

    def named(self, name: str) -> Persona:
        """Return the persona with this name or file; raises UnknownPersona with similar names."""
        wanted = name.strip().casefold()
        for key, persona in self._personas.items():
            if wanted in {key, persona.name.casefold()}:
                return persona
        near = difflib.get_close_matches(wanted, self._personas, n=_NEAR, cutoff=_CUTOFF)
        raise UnknownPersona(near or list(self._personas)[:_NEAR])

    def like(self, typed: str) -> Iterator[tuple[str, Persona]]:
        """Yield the personas whose name or file contains `typed`; prefixes come first."""
        part = typed.strip().casefold()
        found = [each for each in self if part in each[0] or part in each[1].name.casefold()]
        yield from sorted(found, key=lambda each: not each[0].startswith(part))

    def missing(self) -> Iterator[str]:
        """Yield a sentence for each choice in the settings that names no persona."""
        choices = self._choices
        where = {f"personas.channels, {key!r}": name for key, name in choices.channels.items()}
        where |= {f"personas.servers, {key!r}": name for key, name in choices.servers.items()}
        for place, name in {"personas.default": choices.default, **where}.items():
            if name.casefold() not in self._personas:
                near = difflib.get_close_matches(name.casefold(), self._personas, 1, _CUTOFF)
                known = f"Did you mean {near[0]!r}?" if near else f"There are {self._all()}."
                yield f"{place}: there is no persona {name!r}. {known}"

    def _all(self) -> str:
        return ", ".join(map(repr, self._personas))
