"""A TOML file that a person wrote: read, or refused with the place and the remedy."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from bot.errors import BadSettings

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path, *, missing: str, directory: str) -> dict[str, Any]:
    """Read `path`; raises BadSettings, with one sentence.

    `missing` and `directory` are the remedies where it is not there, or is a directory.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        problem = f"there is no such file. {missing}"
    except IsADirectoryError:
        problem = f"is a directory. {directory}"
    except OSError as error:
        problem = f"cannot be read ({error.strerror}). Mend its permissions."
    except UnicodeDecodeError:
        problem = "is not UTF-8 text. Save it as UTF-8."
    except tomllib.TOMLDecodeError as error:
        problem = f"is not TOML: {error}. Mend that line."
    raise BadSettings([f"{path}: {problem}"])
