"""A command line as it is written in the steps, and as it is run and shown.

Steps write what a person would type, with `$NAME` where a value is known only later:

    az("identity show --name discord-sky-bot --resource-group $RESOURCE_GROUP")
"""

from __future__ import annotations

import shlex
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of the repository; every command runs here
# A person's defaults (az configure) change nothing, and one subscription is meant throughout.
_SUBSCRIPTION = ("--subscription", "$AZURE_SUBSCRIPTION_ID")
_JSON = ("--output", "json", "--only-show-errors")


@dataclass(frozen=True, slots=True)
class Command:
    """One command line: `words` as written, `stdin` if it reads something, and what that is."""

    words: tuple[str, ...]
    stdin: str | None = None
    reads: str = ""
    env: Mapping[str, str] = field(default_factory=dict)

    def argv(self, values: Mapping[str, str]) -> list[str]:
        """Fill the values in. Raises KeyError for one that is not known."""
        return [string.Template(word).substitute(values) for word in self.words]

    def shown(self, values: Mapping[str, str]) -> str:
        """Return what a person could paste; what is not known yet stays `$NAME`.

        How az answers is of no interest to a person, and left out.
        """
        words = self.words[: -len(_JSON)] if self.words[-len(_JSON) :] == _JSON else self.words
        line = " ".join(_shown(word, values) for word in words).replace(f"{ROOT}/", "")
        if not self.reads:
            return line
        return (
            f"{line} < {self.reads}" if (ROOT / self.reads).exists() else f"{line}  # {self.reads}"
        )

    def reading(self, stdin: str, described: str) -> Command:
        """Return the same command with something on its standard input."""
        return Command(self.words, stdin, described, self.env)


def az(line: str, *, subscription: bool = True) -> Command:
    """`az LINE`, in the chosen subscription, answering in JSON."""
    scope = _SUBSCRIPTION if subscription else ()
    return Command(("az", *shlex.split(line), *scope, *_JSON))


def gh(line: str) -> Command:
    """`gh LINE`."""
    return Command(("gh", *shlex.split(line)))


def kubectl(line: str) -> Command:
    """`kubectl LINE`, in the set-up's own kubeconfig: a person's current context is left alone."""
    return Command(("kubectl", "--kubeconfig", "$KUBECONFIG", *shlex.split(line)))


def flux(line: str) -> Command:
    """`flux LINE`, in the set-up's own kubeconfig."""
    return Command(("flux", "--kubeconfig", "$KUBECONFIG", *shlex.split(line)))


def python(line: str) -> Command:
    """`python LINE`, with the Python that runs this."""
    return Command(("python", *shlex.split(line)))


def _shown(word: str, values: Mapping[str, str]) -> str:
    """Quote for a shell, but leave a `$NAME` that is not known to be filled in by it."""
    template = string.Template(word)
    filled = template.safe_substitute(values)
    if all(name in values for name in template.get_identifiers()):
        return shlex.quote(filled)
    return f'"{filled}"' if set(filled) & set(" ()[]*?&;|<>'") else filled
