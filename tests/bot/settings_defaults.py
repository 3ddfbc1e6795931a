"""Write bot/settings/defaults.toml from the settings' classes; settings_table.py is the command.

The bot reads that file below the operator's own (settings/loading.py). Written like this it cannot
lack a key, and a test compares it with the classes field by field.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel

from bot.settings.schema import PREFIX, SEPARATOR, Settings

FILE = Path(__file__).parents[2] / "bot" / "settings" / "defaults.toml"

_HEAD = f"""\
# Every setting with its meaning and its default, as the bot reads them before your own file.
# Do not change them here: copy a section to the file that `--config` names, and keep the keys that
# differ. A variable of the environment wins over both: {PREFIX}, the section, {SEPARATOR}, the key.
# `python -m bot check-config FILE` says what a file means and what is wrong with it.
"""
_WIDTH = 100


def text() -> str:
    """Write the file."""
    top = [(n, f) for n, f in Settings.model_fields.items() if _section(f.annotation) is None]
    parts = [_HEAD, "".join(_key(name, field) for name, field in top)]
    for name, field in Settings.model_fields.items():
        kind = _section(field.annotation)
        if kind is not None:
            parts.append(_table(name, kind))
    return "\n".join(parts)


def _table(name: str, kind: type[BaseModel]) -> str:
    below: list[str] = []
    lines = [*_comment(kind.__doc__ or ""), f"[{name}]\n"]
    for key, field in kind.model_fields.items():
        if get_origin(field.annotation) is dict:
            below.append(_mapping(f"{name}.{key}", field))
        else:
            lines.append(_key(key, field))
    return "".join(lines) + "".join(f"\n{each}" for each in below)


def _key(key: str, field: Any) -> str:
    comment = "".join(_comment(field.description))
    if field.default is None:
        return f"{comment}# {key} =\n"
    return f"{comment}{key} = {_value(field.default)}\n"


def _mapping(path: str, field: Any) -> str:
    """A table of names: of plain values, or of tables of their own."""
    lines = [*_comment(field.description), f"[{path}]\n"]
    for name, value in field.default.items():
        if isinstance(value, BaseModel):
            inner = value.model_dump(exclude_none=True)
            pairs = ", ".join(f"{key} = {_value(each)}" for key, each in inner.items())
            lines.append(f"{json.dumps(name)} = {{ {pairs} }}\n")
        else:
            lines.append(f"{json.dumps(name)} = {_value(value)}\n")
    return "".join(lines)


def _comment(words: str) -> list[str]:
    wrapped = textwrap.wrap(" ".join(words.split()), _WIDTH - 2)
    return [f"# {line}\n" for line in wrapped]


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return f"{value:g}"
        case str() | Path():
            return json.dumps(str(value), ensure_ascii=False)
        case tuple() | list():
            return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"no TOML for {value!r}")


def _section(kind: Any) -> type[BaseModel] | None:
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
