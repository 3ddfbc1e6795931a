"""Read the settings from a file and the environment, and report every mistake at once."""

from __future__ import annotations

import difflib
import json
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource, NoDecode, SettingsError

from bot.domain.errors import BadSettings
from bot.settings.schema import PREFIX, SEPARATOR, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic_core import ErrorDetails


# Of pydantic's names, those that are not the file's.
_KINDS = {
    "tuple_type": 'must be a list, as in ["one", "two"]',
    "dict_type": "must be a table",
    "model_type": "must be a table",
}


def read(path: Path, *, missing: str, directory: str) -> dict[str, Any]:
    """Read `path`; raises BadSettings with one sentence.

    `missing` and `directory` are the remedies if it does not exist, or is a directory.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        problem = f"there is no such file. {missing}"
    except IsADirectoryError:
        problem = f"is a directory. {directory}"
    except OSError as error:
        problem = f"cannot be read ({error.strerror}). Fix its permissions."
    except UnicodeDecodeError:
        problem = "is not UTF-8 text. Save it as UTF-8."
    except tomllib.TOMLDecodeError as error:
        problem = f"is not TOML: {error}. Fix that line."
    raise BadSettings([f"{path}: {problem}"])


def expected(detail: ErrorDetails) -> str:
    """Say what is expected where `detail` found something else, in the file's own terms."""
    words = detail["msg"].removeprefix("Value error, ").partition(", unable to parse")[0]
    words = words.replace("Input should be", "must be").replace("String should", "must")
    return _KINDS.get(detail["type"], f"{words[0].lower()}{words[1:]}")


DEFAULTS = Path(__file__).parent / "defaults.toml"  # below the file and the environment
_SEVERAL = (dict, list, tuple, set, frozenset)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Usable settings, and a sentence for each key that nothing reads.

    Unknown keys are refused by `check-config`; at run time they are a warning, because the file and
    the image arrive at different moments.
    """

    settings: Settings
    unknown: list[str]
    path: Path | None = None


def load(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Read `path` (None: no file) under `environ`; raises BadSettings with every problem found."""
    written = _read(path) if path else {}
    below = _read(DEFAULTS)
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value for name, value in environ.items()}
    try:
        values = _merged(_merged(below, written), source())
    except SettingsError:
        raise BadSettings(list(_not_json(environ))) from None
    unknown = [*_unknown_keys(written, path), *_unknown_variables(environ)]
    try:
        return Loaded(Settings.model_validate(values), unknown, path)
    except ValidationError as error:
        problems = [_sentence(detail, environ, path) for detail in error.errors()]
        raise BadSettings([*problems, *unknown]) from None


def _read(path: Path) -> dict[str, Any]:
    return read(path, missing="Create it, or name another.", directory="Name a file in it.")


def _not_json(environ: Mapping[str, str]) -> Iterator[str]:
    """Name the variables for a table or a list that hold neither."""
    for name, value in environ.items():
        try:
            json.loads(value)
        except ValueError:
            if name.upper().startswith(PREFIX) and _holds_several(name):
                yield (
                    f"environment variable {name}: is not JSON, which a table or a list in a "
                    "variable has to be. Write it as JSON, or into the file."
                )


def _holds_several(variable: str) -> bool:
    section, _, key = variable.upper().removeprefix(PREFIX).lower().partition(SEPARATOR.lower())
    kind = Settings.model_fields[section].annotation if section in Settings.model_fields else None
    fields = getattr(kind, "model_fields", {})
    if not key:
        return bool(fields) or get_origin(kind) in _SEVERAL
    if key not in fields or NoDecode in fields[key].metadata:
        return False
    return get_origin(fields[key].annotation) in _SEVERAL


def _merged(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        lower = merged.get(key)
        both = isinstance(lower, dict) and isinstance(value, dict)
        merged[key] = _merged(lower, value) if both and lower is not None else value
    return merged


def _sentence(detail: ErrorDetails, environ: Mapping[str, str], path: Path | None) -> str:
    """One problem: where, what is wrong, what is there now. The remedy is in what is expected."""
    keys = [str(key) for key in detail["loc"]]
    place = _place(keys, environ, path)
    shown = textwrap.shorten(repr(detail["input"]), 80, placeholder="…")
    return f"{place}: {expected(detail)}; it is {shown} now."


def _place(keys: list[str], environ: Mapping[str, str], path: Path | None) -> str:
    for size in range(len(keys), 0, -1):
        variable = PREFIX + SEPARATOR.join(keys[:size]).upper()
        for name in environ:
            if name.upper() == variable:
                return f"environment variable {name}"
    return f"{path or 'defaults'}, {'.'.join(keys)}"


def _unknown_keys(written: Mapping[str, Any], path: Path | None) -> Iterator[str]:
    for keys in _strays(written, Settings):
        *section, stray = keys
        known = [*Settings.model_fields, *known_keys(Settings)]
        where = f"section [{'.'.join(section)}]" if section else "the top level"
        yield f"{path}, {where}: unknown key {stray!r}. {_nearest('.'.join(keys), known)}"


def _strays(written: Mapping[str, Any], model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    for key, value in written.items():
        field = model.model_fields.get(key)
        if field is None:
            yield (key,)
            continue
        section, table = field.annotation, _model_in(field.annotation)
        if not isinstance(value, dict):
            continue
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from ((key, *rest) for rest in _strays(value, section))
        elif table is not None:
            for name, inner in value.items():
                if isinstance(inner, dict):
                    yield from ((key, name, *rest) for rest in _strays(inner, table))


def _model_in(kind: Any) -> type[BaseModel] | None:
    """The section that each value of a table of names is; None if they are plain."""
    inner = get_args(kind)[1] if get_origin(kind) is dict else None
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    sections = [key.upper() for key in Settings.model_fields]
    keys = [key.replace(".", SEPARATOR).upper() for key in known_keys(Settings)]
    known = {PREFIX + name for name in [*keys, *sections]}
    for name in environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            nearest = _nearest(name.upper(), sorted(known))
            yield f"environment variable {name}: no such setting. {nearest}"


def _nearest(stray: str, known: list[str]) -> str:
    near = difflib.get_close_matches(stray, known, n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}?" if near else "Remove it."


def known_keys(model: type[BaseModel]) -> list[str]:
    """Every key of `model`, those of its sections with a dot."""
    keys: list[str] = []
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            keys += [f"{name}.{key}" for key in known_keys(section)]
        else:
            keys.append(name)
    return keys
