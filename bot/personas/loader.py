"""Personas as files: one TOML file each, in a directory beside the settings.

A file with a mistake is left out and reported with its name, the key and the remedy; the others
answer.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bot.domain.errors import BadSettings
from bot.personas.persona import DEFAULT_KEY, Persona, PersonaRegistry
from bot.settings import loading
from bot.settings.schema import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from bot.settings.loading import Loaded


DIRECTORY = "personas"
_SUFFIX = ".toml"
_LONGEST_FILE = 64 * 1024  # bytes: a ConfigMap holds 1 MiB in all
_CUTOFF = 0.5
_TELLING = frozenset({"name", "prompt", "greeting"})  # keys that no settings file has

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_CALLED = r"^[^\n:@#`(),]+$"
_CALLABLE = re.compile(r"(?!\s)[^\n:@#`(),\ud800-\udfff]{1,32}(?<!\s)")
Name = Annotated[Words, StringConstraints(max_length=32, pattern=_CALLED)]


class _File(BaseModel):
    """The contents of a persona file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    prompt: Annotated[Words, Field(max_length=20_000)]
    model: Words | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    tools: tuple[Literal["web_search", "image_generation"], ...] = ()
    greeting: Annotated[Words, Field(max_length=1900)] | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """The personas of a directory by file name, and a sentence for each mistake."""

    personas: dict[str, Persona]
    problems: list[str]


def beside(settings_file: Path | None, chosen: Path | None) -> Path | None:
    """Return the directory to read: the configured one, or the one beside the settings file."""
    if chosen is not None or settings_file is None:
        return chosen
    return settings_file.parent / DIRECTORY


def read(directory: Path | None, *, required: bool = False) -> Read:
    """Read a directory; a missing one is empty, which is a problem if `required`."""
    found = Read({}, [])
    if directory is None:
        return found
    try:
        files = sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        if required:
            found.problems.append(f"{directory}: there is no such directory. Create it.")
        return found
    except OSError as error:
        found.problems.append(f"{directory}: cannot be read ({error.strerror}).")
        return found
    for path in files:
        try:
            found.personas[path.stem] = read_one(path)
        except BadSettings as error:
            found.problems.extend(error.problems)
    found.problems.extend(_leave_out_doubles(found.personas, directory))
    return found


def _leave_out_doubles(known: dict[str, Persona], directory: Path) -> Iterator[str]:
    """Drop personas whose name another one already has, and yield a sentence for each.

    A command stores the name that was asked for, so a name has to mean one persona.
    """
    owners = {key.casefold(): key for key in reversed(known)}
    owners.setdefault(DEFAULT_KEY, DEFAULT_KEY)
    for key, persona in list(known.items()):
        for name in (key, persona.name):
            owner = owners.setdefault(name.casefold(), key)
            if owner != key:
                del known[key]
                remedy = "Choose another name."
                yield f"{directory / key}{_SUFFIX}: {name!r} is {owner!r} already. {remedy}"
                break


def read_one(path: Path) -> Persona:
    """Read one file; raises BadSettings with everything that is wrong with it."""
    try:
        file = _File.model_validate(_written(path))
    except ValidationError as error:
        raise BadSettings([_sentence(path, detail) for detail in error.errors()]) from None
    if not _CALLABLE.fullmatch(path.stem):
        remedy = "Call it by up to 32 characters without any of : @ # ` ( ) and commas."
        raise BadSettings([f"{path}: nobody can call a persona by this file's name. {remedy}"])
    if file.temperature is not None and file.reasoning_effort is not None:
        remedy = "Keep one: models that reason take no temperature."
        raise BadSettings([f"{path}, temperature: stands beside reasoning_effort. {remedy}"])
    if "image" in {file.name.casefold(), path.stem.casefold()}:
        raise BadSettings([f"{path}: !sky(image) asks for a picture. Call this persona otherwise."])
    return Persona(
        name=file.name,
        instructions=file.prompt,
        model=file.model,
        temperature=file.temperature,
        effort=file.reasoning_effort,
        tools=file.tools,
        greeting=file.greeting,
    )


def looks_like_one(path: Path) -> bool:
    """Say whether a file is meant as a persona, with or without mistakes."""
    try:
        written = _written(path)
    except BadSettings:
        return False
    return not _TELLING.isdisjoint(written) and Settings.model_fields.keys().isdisjoint(written)


def _written(path: Path) -> dict[str, Any]:
    if path.suffix != _SUFFIX:
        remedy = f"Call it {path.stem}{_SUFFIX}, or put it elsewhere."
        raise BadSettings([f"{path}: is not a persona's file. {remedy}"])
    if path.is_file() and path.stat().st_size > _LONGEST_FILE:
        problem = f"{path}: is longer than {_LONGEST_FILE // 1024} KiB. Shorten it."
        raise BadSettings([problem])
    return loading.read(path, missing="Create it.", directory="Put it elsewhere.")


def _sentence(path: Path, detail: ErrorDetails) -> str:
    """One mistake: the file, the key, what is wrong, and what to do."""
    key = ".".join(str(each) for each in detail["loc"])
    if detail["type"] == "missing":
        return f'{path}: has no {key}. Add the line {key} = "…".'
    if detail["type"] == "extra_forbidden":
        return f"{path}: unknown key {key!r}. {_nearest(key)}"
    if detail["type"] == "string_pattern_mismatch":
        return f"{path}, {key}: must be one line without any of : @ # ` ( ) and commas."
    shown = textwrap.shorten(repr(detail["input"]), 60, placeholder="…")
    return f"{path}, {key}: {loading.expected(detail)}; it is {shown} now."


def _nearest(stray: str) -> str:
    known = list(_File.model_fields)
    also = {"effort": "reasoning_effort", "instructions": "prompt", "system": "prompt"}
    near = difflib.get_close_matches(stray, known, n=1, cutoff=_CUTOFF)
    meant = also.get(stray) or next(iter(near), None)
    return f"Did you mean {meant!r}?" if meant else f"There are {', '.join(known)}."


def of(loaded: Loaded, draft: Path | None = None) -> tuple[PersonaRegistry, list[str]]:
    """Return the registry that the settings choose, and a sentence for each mistake.

    `draft` is one more persona file, anywhere; raises BadSettings if it has a mistake.
    """
    chosen = loaded.settings.personas
    found = read(beside(loaded.path, chosen.directory), required=chosen.directory is not None)
    if draft is not None:
        found.personas[draft.stem] = read_one(draft)
    personas = PersonaRegistry(found.personas, chosen)
    return personas, [
        *found.problems,
        *(f"{loaded.path or 'settings'}, {s}" for s in personas.missing()),
    ]
