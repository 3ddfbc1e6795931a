"""Write the settings from the code into bot/README.md (a table) and bot/settings/defaults.toml.

python -m tests.bot.settings_table
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bot.settings.schema import PREFIX, SEPARATOR, Settings
from tests.bot import settings_defaults

README = Path(__file__).parents[2] / "bot" / "README.md"
_BETWEEN = re.compile(r"(<!-- settings: .*? -->\n).*?(<!-- end of settings -->)", re.DOTALL)


def table() -> str:
    """Make a row of every key: its name in file and environment, its default, its meaning."""
    head = "| key | variable | default | meaning |\n| --- | --- | --- | --- |\n"
    return head + "".join(_rows(Settings, ""))


def _rows(model: type[BaseModel], section: str) -> list[str]:
    rows = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            rows += _rows(kind, f"{name}.")
            continue
        key = f"{section}{name}"
        variable = PREFIX + key.replace(".", SEPARATOR).upper()
        rows.append(f"| `{key}` | `{variable}` | {_shown(field.default)} | {field.description} |\n")
    return rows


def _shown(value: Any) -> str:
    if value in ((), {}):
        return "empty"
    if isinstance(value, dict):
        return f"{len(value)} entries, in `defaults.toml`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def written(text: str) -> str:
    """Put the table into the README's text."""
    return _BETWEEN.sub(lambda hit: f"{hit[1]}\n{table()}\n{hit[2]}", text)


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
    settings_defaults.FILE.write_text(settings_defaults.text())
