"""Which persona answers where, and which one a name means. Pure."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from bot.domain.errors import UnknownPersona
from bot.personas import persona as character
from bot.settings.schema import PersonasSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.domain.messages import Location
    from bot.personas.persona import Persona


_NEAR = 3  # names that are suggested for an unknown one
_CUTOFF = 0.5


def only_sky() -> PersonaRegistry:
    """Return the registry of a bot without persona files."""
    return PersonaRegistry({}, PersonasSettings())


class PersonaRegistry:
    """All personas by their file's name, and the settings' choices.

    The built-in Sky always exists; a file `sky.toml` replaces it. A choice that names no persona
    falls back to the next one, and is reported by `missing`.
    """

    def __init__(self, files: Mapping[str, Persona], choices: PersonasSettings) -> None:
        known = {character.DEFAULT_KEY: character.DEFAULT, **files}
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
        return next(filter(None, found), character.DEFAULT)

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
