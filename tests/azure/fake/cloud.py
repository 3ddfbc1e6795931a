"""A fake Azure, GitHub and cluster: what az, gh, kubectl and flux see and change.

It keeps state, answers what the set-up asks in the real programs' form, and refuses every command
and option that it does not know. It follows the rules on which the set-up leans: names that are
taken, roles that count later, a vault that survives its deletion, an image workflow that pushes
only with the right subject, a bot that is Ready only if the whole chain to it is whole.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clusters.azure.runner import Completed

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
TENANT = "00000000-0000-0000-0000-000000000002"
REPOSITORY = "example/discord-sky"
State = dict[str, Any]


class ProgramError(Exception):
    """The program ends with this code and these words."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(said)
        self.code = code


class UnsupportedCommand(ProgramError):
    """A command or an option that the real program may know and this cloud does not."""

    def __init__(self, argv: list[str]) -> None:
        super().__init__(2, f"fake: not known: {shlex.join(argv)}")


@dataclass(frozen=True, slots=True)
class Call:
    """One program that was run; `changes` if it is one that changes something."""

    argv: tuple[str, ...]
    changes: bool

    @property
    def line(self) -> str:
        """As a person would type it."""
        return shlex.join(self.argv)


@dataclass(slots=True)
class Invocation:
    """One command line, read: its words and its options, each with its values."""

    words: str
    options: dict[str, list[str]]
    stdin: str | None
    env: Mapping[str, str]
    argv: list[str]

    def one(self, name: str) -> str:
        """Return the only value of an option."""
        (value,) = self.options[name]
        return value


Answer = Callable[[State, Invocation], Any]


@dataclass(frozen=True, slots=True)
class FakeCommand:
    """A command this cloud knows: which options it takes (a ? marks those that may be left out).

    `half`: what it does first, where killing it half-way leaves something behind.
    """

    answer: Answer
    options: tuple[str, ...] = ()
    changes: bool = False
    half: Answer | None = None


def fresh() -> State:
    """Return an empty subscription, a repository without settings, and a person logged in."""
    return {
        "azure": {
            "providers": ["Microsoft.Storage"],
            "groups": {},
            "resources": {},
            "deleted": {},
            "roles": {},
            "secrets": {},
            "images": {},
            "grant": ["*"],
            "deny": [],
            "role_delay": 2,
        },
        "github": {
            "variables": {},
            "environments": {},
            "keys": [],
            "workflows": {},  # states other than active
            "rulesets": [],
            "runs": [],
            "oidc": {
                "use_default": True,
                "use_immutable_subject": True,
                "sub_claim_prefix": "repo:example@11/discord-sky@22",
            },
        },
        "clusters": {},
        "count": 0,
    }


def guid(words: str) -> str:
    """Make an id from what it belongs to, so that the same thing made again has the same id."""
    found = hashlib.sha256(words.encode()).hexdigest()
    return f"{found[:8]}-0000-0000-0000-{found[8:20]}"


def number(state: State) -> int:
    """Count on: for ids that are never given twice."""
    state["count"] = int(state["count"]) + 1
    return int(state["count"])


@dataclass(slots=True)
class FakeCloud:
    """The state with the programs that work on it; `calls` remembers each that was run."""

    programs: Mapping[
        str, Callable[[list[str], str | None, Mapping[str, str]], tuple[Invocation, FakeCommand]]
    ]
    state: State = field(default_factory=fresh)
    calls: list[Call] = field(default_factory=list)
    # Called with each command that changes something, before it and after it.
    observer: Callable[[Call, str], None] = lambda _call, _when: None

    def execute(
        self, argv: list[str], stdin: str | None, env: Mapping[str, str], *, live: bool
    ) -> Completed:
        """Run one program; see clusters.azure.runner.Execute."""
        del live
        try:
            invocation, command = self.programs[argv[0]](argv, stdin, env)
        except ProgramError as refused:
            self.calls.append(Call(tuple(argv), changes=False))
            return Completed(refused.code, "", str(refused))
        call = Call(tuple(argv), changes=command.changes)
        self.calls.append(call)
        if command.changes:
            self.observer(call, "before")
        try:
            if command.half is not None:
                command.half(self.state, invocation)
                self.observer(call, "half-way")
            said = command.answer(self.state, invocation)
        except ProgramError as refused:
            return Completed(refused.code, "", str(refused))
        if command.changes:
            self.observer(call, "after")
        return Completed(0, said if isinstance(said, str) else json.dumps(said), "")

    @property
    def changed(self) -> list[str]:
        """The commands so far that change something."""
        return [call.line for call in self.calls if call.changes]


def read(
    commands: Mapping[str, FakeCommand], argv: list[str], stdin: str | None, env: Mapping[str, str]
) -> tuple[Invocation, FakeCommand]:
    """Split a command line `program words --option values …`. Raises UnsupportedCommand."""
    words: list[str] = []
    options: dict[str, list[str]] = {}
    values = words
    for word in argv[1:]:
        if word.startswith("-") and len(word) > 1:
            name, equals, value = word.partition("=")
            values = options.setdefault(name, [])
            values.extend([value] if equals else ())
        else:
            values.append(word)
    known = commands.get(" ".join(words))
    if known is None:
        raise UnsupportedCommand(argv)
    may = {name.rstrip("?") for name in known.options}
    must = {name for name in known.options if not name.endswith("?")}
    if set(options) - may or must - set(options):
        raise UnsupportedCommand(argv)
    return Invocation(" ".join(words), options, stdin, env, argv), known
