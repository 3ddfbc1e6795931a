"""A TOML file that a person wrote: read, or refused with the place and the remedy."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from bot.errors import BadSettings

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails

# Of pydantic's names, those that are not the file's.
_KINDS = {
    "tuple_type": 'must be a list, as in ["one", "two"]',
    "dict_type": "must be a table",
    "model_type": "must be a table",
}


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


def expected(detail: ErrorDetails) -> str:
    """What has to stand where `detail` found something else, in the words of the file."""
    words = detail["msg"].removeprefix("Value error, ").partition(", unable to parse")[0]
    words = words.replace("Input should be", "must be").replace("String should", "must")
    return _KINDS.get(detail["type"], f"{words[0].lower()}{words[1:]}")
