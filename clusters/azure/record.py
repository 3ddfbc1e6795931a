"""The local record: `clusters/azure/NAME.local.env`, which Git ignores.

Lines of KEY=value, readable by a shell, the doctor and the person: what was chosen, which ids were
found, and under MADE what this set-up made. It is a convenience: whether a thing is this set-up's
own is read from the thing itself (its tag, label, title or name), so that a run that was killed
between making and writing, or another machine, knows as much.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
_HEAD = "# Written by `python -m clusters.azure`. Ids of your Azure: Git ignores this file.\n"


def path_of(name: str, folder: Path = FOLDER) -> Path:
    """Where the record of the set-up NAME lies."""
    return folder / f"{name}.local.env"


def load(path: Path) -> dict[str, str]:
    """Read a record; empty if there is none."""
    if not path.exists():
        return {}
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {key: "".join(shlex.split(value)) for key, value in pairs}


def save(path: Path, values: Mapping[str, str]) -> None:
    """Write a record whole or not at all, for this user only."""
    text = _HEAD + "".join(f"{key}={shlex.quote(values[key])}\n" for key in sorted(values))
    if path.exists() and path.read_text() == text:
        return
    draft = path.with_name(f"draft-{path.name}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
