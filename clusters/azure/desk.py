"""What every step works with: the values known so far, and a way to run commands and to talk."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from clusters.azure.command import Command
from clusters.azure.errors import CommandFailed, Stop

_MISSING_CODE = 3  # `az … show` of what does not exist
_MISSING = re.compile(
    r"(ResourceNotFound|ResourceGroupNotFound|RepositoryNotFound|NAME_UNKNOWN|HTTP 404"
    r"|repository .* is not found|doesn't have a resource type)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Done:
    """How a program ended."""

    code: int
    out: str
    err: str


class Execute(Protocol):
    """Run one program to its end; `live` leaves terminal and keyboard to it."""

    def __call__(
        self, argv: list[str], stdin: str | None, env: Mapping[str, str], *, live: bool
    ) -> Done:
        """Return how it ended."""
        ...


@dataclass(slots=True)
class Desk:
    """One run of up or teardown. In a dry run nothing is executed: what would be is said."""

    values: dict[str, str]
    execute: Execute
    say: Callable[[str], None]
    sleep: Callable[[float], None]
    dry: bool = False
    tight: bool = False  # whether a node with too little room will do
    named: frozenset[str] = frozenset()  # steps whose thing a person named, and may have already
    made: set[str] = field(default_factory=set)
    noted: set[str] = field(default_factory=set)  # in a dry run: what GitHub's list would have
    _last_look: str = ""

    def ask(self, command: Command, **extra: str) -> Any:
        """Run what changes nothing and read its JSON; None if what it asks for does not exist."""
        text = self.read(command, **extra)
        try:
            return json.loads(text) if text and text.strip() else None
        except ValueError as error:
            raise CommandFailed(self._shown(command, extra), f"not JSON: {text}") from error

    def read(self, command: Command, **extra: str) -> str | None:
        """Run what changes nothing and return what it wrote; None if that does not exist."""
        done = self.try_(command, **extra)
        if done is None or done.code == 0:
            return done.out if done else None
        if done.code == _MISSING_CODE or _MISSING.search(done.err):
            return None
        raise CommandFailed(self._shown(command, extra), done.err or done.out)

    def try_(self, command: Command, **extra: str) -> Done | None:
        """Run what changes nothing, however it ends; None in a dry run."""
        if self.dry:
            line = f"  # look:  {self._shown(command, extra)}"
            if line != self._last_look:
                self.say(line)
            self._last_look = line
            return None
        return self._done(command, extra)

    def run(self, command: Command, **extra: str) -> str:
        """Run what changes something."""
        self.say(f"  {self._shown(command, extra)}")
        if self.dry:
            return ""
        done = self._done(command, extra)
        if done.code != 0:
            raise CommandFailed(self._shown(command, extra), done.err or done.out)
        return done.out

    def succeeds(self, command: Command) -> bool:
        """Run what changes something and may fail for a while; returns whether it did not."""
        self.say(f"  {self._shown(command, {})}")
        return self.dry or self._done(command, {}).code == 0

    def hand_over(self, command: Command) -> None:
        """Run something that talks with the person itself."""
        self.say(f"  {self._shown(command, {})}")
        if not self.dry and self._done(command, {}, live=True).code != 0:
            raise Stop("It said why, above. Mend that and run this again; it goes on from there.")

    def until(
        self,
        what: str,
        look: Callable[[], bool],
        *,
        minutes: float,
        every: float = 10,
        hint: str = "Run this again to wait on.",
    ) -> None:
        """Wait until LOOK says so. Raises Stop, with HINT, after so many minutes."""
        if self.dry:
            self.say(f"  # wait until {what}")
            look()
            return
        for turn in range(max(1, int(minutes * 60 / every))):
            if look():
                return
            if turn == 0:
                self.say(f"  waiting until {what}, at most {minutes:g} min")
            self.sleep(every)
        raise Stop(f"Waited {minutes:g} min until {what}, in vain. {hint}")

    def remark(self, text: str) -> None:
        """Say in a dry run, which asks nobody, on what the next lines depend."""
        if self.dry:
            self.say(f"  # {text}")

    def filled(self, text: str) -> str:
        """Fill the values into a text; what is not known yet stays `$NAME`."""
        return string.Template(text).safe_substitute(self.values)

    def _done(self, command: Command, extra: Mapping[str, str], *, live: bool = False) -> Done:
        try:
            argv = command.argv({**self.values, **extra})
        except KeyError as error:
            line = self._shown(command, extra)
            raise Stop(
                f"{error.args[0]} is not known, so this cannot be run:\n    {line}"
            ) from error
        return self.execute(argv, command.stdin, command.env, live=live)

    def _shown(self, command: Command, extra: Mapping[str, str]) -> str:
        return command.shown({**self.values, **extra})
