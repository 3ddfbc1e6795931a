"""How set-up runs programs: command lines, what runs them, and how a run ends early."""

from __future__ import annotations

import json
import os
import re
import shlex
import string
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

PROGRAMS = "clusters/azure/README.md#before-the-first-run"


class Stop(Exception):
    """The set-up cannot go on. The message says what to do; running again goes on from there."""


class NotInstalled(Stop):
    """There is no such program on PATH."""

    def __init__(self, program: str) -> None:
        super().__init__(f"{program} is not installed: {PROGRAMS}.")


class CommandFailed(Stop):
    """A program said no. The message has the command line, its words, and a remedy if one is known.

    `said` is what the program wrote, for callers that know what to make of it.
    """

    def __init__(self, line: str, said: str) -> None:
        self.said = said
        last = "\n    ".join(said.strip().splitlines()[-_SHOWN_LINES:]) or "(it said nothing)"
        super().__init__(f"This failed:\n    {line}\n    {last}\n{remedy(said)}")


_SHOWN_LINES = 6
# What az, gh, kubectl and git say, and what to do about it. The first match counts.
_REMEDIES = (
    ("az login", "Log in: az login, then az account set --subscription NAME."),
    ("AADSTS", "Log in again: az login."),
    ("gh auth login", "Log in to GitHub: gh auth login --scopes repo,workflow."),
    (
        "Could not resolve to a Repository",
        "There is no such repository, or your GitHub login may not see it: see --repository.",
    ),
    ("HTTP 403", "Your GitHub login may not do that: you need to be an admin of the repository."),
    (
        "Failed to create the environment protection rule",
        "Environments with rules need a public repository, or a paid plan for a private one.",
    ),
    ("QuotaExceeded", "The subscription has no room for this machine size in this region."),
    (
        "VaultAlreadyExists",
        "Somebody else's vault has this name, in use or deleted: choose one with --vault.",
    ),
    ("AlreadyInUse", "Somebody else's registry has this name: choose one with --registry."),
    ("ForbiddenByRbac", "A role that was given just now takes minutes to count: run this again."),
    ("AuthorizationFailed", "You lack this permission; clusters/azure/README.md lists the roles."),
    ("RequestDisallowedByPolicy", "A policy of your organization forbids it; the words name it."),
    ("SubscriptionNotRegistered", "Run this again: the provider is still being registered."),
    (
        "deploy keys are disabled",
        "The organization forbids deploy keys; its owner can allow them.",
    ),
    ("kubelogin", "This cluster's logins go through Entra: az aks install-cli."),
    ("Unable to connect to the server", "Is the cluster running? az aks start starts it."),
)


def remedy(said: str) -> str:
    """Say what to do about a program's words."""
    known = next((what for words, what in _REMEDIES if words.lower() in said.lower()), None)
    return known or "Mend that and run this again; it goes on from there."


ROOT = Path(__file__).resolve().parents[2]  # of the repository; every command runs here
# A person's defaults (az configure) change nothing, and one subscription is meant throughout.
_SUBSCRIPTION = ("--subscription", "$AZURE_SUBSCRIPTION_ID")
_JSON = ("--output", "json", "--only-show-errors")


@dataclass(frozen=True, slots=True)
class Command:
    """One command line: `words` as written, `stdin` if it reads something, and what that is."""

    words: tuple[str, ...]
    stdin: str | None = None
    stdin_label: str = ""
    env: Mapping[str, str] = field(default_factory=dict)

    def argv(self, values: Mapping[str, str]) -> list[str]:
        """Fill the values in. Raises KeyError for one that is not known."""
        return [string.Template(word).substitute(values) for word in self.words]

    def display(self, values: Mapping[str, str]) -> str:
        """Return what a person could paste; what is not known yet stays `$NAME`.

        How az answers is of no interest to a person, and left out.
        """
        words = self.words[: -len(_JSON)] if self.words[-len(_JSON) :] == _JSON else self.words
        line = " ".join(_shown(word, values) for word in words).replace(f"{ROOT}/", "")
        if not self.stdin_label:
            return line
        return (
            f"{line} < {self.stdin_label}"
            if (ROOT / self.stdin_label).exists()
            else f"{line}  # {self.stdin_label}"
        )

    def with_stdin(self, stdin: str, described: str) -> Command:
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


_MISSING_CODE = 3  # `az … show` of what does not exist
_MISSING = re.compile(
    r"(ResourceNotFound|ResourceGroupNotFound|RepositoryNotFound|NAME_UNKNOWN|HTTP 404"
    r"|repository .* is not found|doesn't have a resource type)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended."""

    code: int
    stdout: str
    stderr: str


class Execute(Protocol):
    """Run one program to its end; `live` leaves terminal and keyboard to it."""

    def __call__(
        self, argv: list[str], stdin: str | None, env: Mapping[str, str], *, live: bool
    ) -> Completed:
        """Return how it ended."""
        ...


@dataclass(slots=True)
class Runner:
    """One run of up or teardown. In a dry run nothing is executed: what would be is said."""

    values: dict[str, str]
    execute: Execute
    say: Callable[[str], None]
    sleep: Callable[[float], None]
    dry_run: bool = False
    tight: bool = False  # whether a node with too little room will do
    named: frozenset[str] = frozenset()  # steps whose thing a person named, and may have already
    made: set[str] = field(default_factory=set)
    claimed: set[str] = field(default_factory=set)  # in a dry run: what GitHub's list would have
    _last_look: str = ""

    def query(self, command: Command, **extra: str) -> Any:
        """Run what changes nothing and read its JSON; None if what it asks for does not exist."""
        text = self.read(command, **extra)
        try:
            return json.loads(text) if text and text.strip() else None
        except ValueError as error:
            raise CommandFailed(self._shown(command, extra), f"not JSON: {text}") from error

    def read(self, command: Command, **extra: str) -> str | None:
        """Run what changes nothing and return what it wrote; None if that does not exist."""
        done = self.attempt(command, **extra)
        if done is None or done.code == 0:
            return done.stdout if done else None
        if done.code == _MISSING_CODE or _MISSING.search(done.stderr):
            return None
        raise CommandFailed(self._shown(command, extra), done.stderr or done.stdout)

    def attempt(self, command: Command, **extra: str) -> Completed | None:
        """Run what changes nothing, however it ends; None in a dry run."""
        if self.dry_run:
            line = f"  # look:  {self._shown(command, extra)}"
            if line != self._last_look:
                self.say(line)
            self._last_look = line
            return None
        return self._done(command, extra)

    def run(self, command: Command, **extra: str) -> str:
        """Run what changes something."""
        self.say(f"  {self._shown(command, extra)}")
        if self.dry_run:
            return ""
        done = self._done(command, extra)
        if done.code != 0:
            raise CommandFailed(self._shown(command, extra), done.stderr or done.stdout)
        return done.stdout

    def succeeds(self, command: Command) -> bool:
        """Run what changes something and may fail for a while; returns whether it did not."""
        self.say(f"  {self._shown(command, {})}")
        return self.dry_run or self._done(command, {}).code == 0

    def run_interactively(self, command: Command) -> None:
        """Run something that talks with the person itself."""
        self.say(f"  {self._shown(command, {})}")
        if not self.dry_run and self._done(command, {}, live=True).code != 0:
            raise Stop("It said why, above. Mend that and run this again; it goes on from there.")

    def wait_until(
        self,
        what: str,
        look: Callable[[], bool],
        *,
        minutes: float,
        every: float = 10,
        hint: str = "Run this again to wait on.",
    ) -> None:
        """Wait until LOOK says so. Raises Stop, with HINT, after so many minutes."""
        if self.dry_run:
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

    def comment(self, text: str) -> None:
        """Say in a dry run, which asks nobody, on what the next lines depend."""
        if self.dry_run:
            self.say(f"  # {text}")

    def fill(self, text: str) -> str:
        """Fill the values into a text; what is not known yet stays `$NAME`."""
        return string.Template(text).safe_substitute(self.values)

    def _done(self, command: Command, extra: Mapping[str, str], *, live: bool = False) -> Completed:
        try:
            argv = command.argv({**self.values, **extra})
        except KeyError as error:
            line = self._shown(command, extra)
            raise Stop(
                f"{error.args[0]} is not known, so this cannot be run:\n    {line}"
            ) from error
        return self.execute(argv, command.stdin, command.env, live=live)

    def _shown(self, command: Command, extra: Mapping[str, str]) -> str:
        return command.display({**self.values, **extra})


_STILL = 15.0  # seconds
_QUIET = {
    "AZURE_CORE_COLLECT_TELEMETRY": "no",
    # Asks nothing at the terminal: a missing extension is an error, not a question.
    "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
    "GH_PROMPT_DISABLED": "1",
    "GH_PAGER": "",
}


class Shell:
    """See runner.Execute. `programs` names the file of a program where PATH is not asked."""

    def __init__(
        self, say: Callable[[str], None], programs: Mapping[str, str] | None = None
    ) -> None:
        self._say = say
        self._programs = {"python": sys.executable} if programs is None else dict(programs)

    def __call__(
        self, argv: list[str], stdin: str | None, env: Mapping[str, str], *, live: bool
    ) -> Completed:
        """Run it in the repository's folder. Raises NotInstalled if there is no such program."""
        program = self._programs.get(argv[0], argv[0])
        environment = {**os.environ, **_QUIET, **env}
        began = time.monotonic()
        done = threading.Event()
        if not live:
            watch = threading.Thread(target=self._still, args=(done, began), daemon=True)
            watch.start()
        try:
            ended = subprocess.run(
                [program, *argv[1:]],
                input=stdin,
                stdin=None if live or stdin is not None else subprocess.DEVNULL,
                capture_output=not live,
                text=True,
                check=False,
                env=environment,
                cwd=ROOT,
            )
        except FileNotFoundError as error:
            raise NotInstalled(argv[0]) from error
        finally:
            done.set()
        return Completed(ended.returncode, ended.stdout or "", ended.stderr or "")

    def _still(self, done: threading.Event, began: float) -> None:
        while not done.wait(_STILL):
            self._say(f"  … {time.monotonic() - began:.0f} s")
