"""Command lines, what runs them, and how a run ends early.

Steps write what a person would type, with `$NAME` for a value that is known only later:

    az("identity show --name discord-sky-bot --resource-group $RESOURCE_GROUP")
"""

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
    """Set-up cannot continue. The message says what to do; a second run continues from there."""


class NotInstalled(Stop):
    """A program is not on PATH."""

    def __init__(self, program: str) -> None:
        super().__init__(f"{program} is not installed: {PROGRAMS}.")


class CommandFailed(Stop):
    """A program failed. The message has the command line, its last words, and a remedy.

    `said` is what the program wrote, for callers that know what to make of it.
    """

    def __init__(self, line: str, said: str, remedy: str) -> None:
        self.said = said
        last = "\n    ".join(said.strip().splitlines()[-_SHOWN_LINES:]) or "(it printed nothing)"
        super().__init__(f"This failed:\n    {line}\n    {last}\n{remedy}")


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
    (
        "Deploy keys are disabled",
        (
            "The organization forbids deploy keys. An owner of it can allow them in the "
            "organization's settings, Deploy keys."
        ),
    ),
    (
        "Failed to create the environment protection rule",
        "Environments with rules need a public repository, or a paid plan for a private one.",
    ),
    (
        "Upgrade to GitHub Pro",
        (
            "GitHub's free plan does not have this for private repositories: make the repository "
            "public, or take GitHub Pro or Team."
        ),
    ),
    ("HTTP 403", "Your GitHub login may not do that: you need to be an admin of the repository."),
    ("QuotaExceeded", "The subscription's quota for this machine size in this region is used up."),
    (
        "VaultAlreadyExists",
        "Somebody else's vault has this name, in use or deleted: choose another with --vault.",
    ),
    ("AlreadyInUse", "Somebody else's registry has this name: choose another with --registry."),
    (
        "ForbiddenByRbac",
        "A role assignment takes some minutes to take effect: run this again.",
    ),
    (
        "ForbiddenByFirewall",
        (
            "The vault's firewall does not let this machine in. Let its address in, or every "
            "address; roles still protect the secrets:\n"
            "    az keyvault network-rule add --name $KEYVAULT_NAME --ip-address YOUR-ADDRESS\n"
            "    az keyvault update --name $KEYVAULT_NAME --default-action Allow"
        ),
    ),
    (
        "ForbiddenByConnection",
        (
            "The vault is closed to public networks. Open it, or run this from within its network; "
            "roles still protect the secrets:\n"
            "    az keyvault update --name $KEYVAULT_NAME --public-network-access Enabled"
        ),
    ),
    (
        "ForbiddenByPolicy",
        (
            "The vault uses access policies instead of roles:\n"
            "    az keyvault update --name $KEYVAULT_NAME --enable-rbac-authorization true"
        ),
    ),
    ("AuthorizationFailed", "You lack this permission; clusters/azure/README.md lists the roles."),
    ("RequestDisallowedByPolicy", "A policy of your organization forbids it; the error names it."),
    ("SubscriptionNotRegistered", "The provider is still being registered: run this again."),
    ("kubelogin", "This cluster's logins go through Entra: az aks install-cli."),
    (
        "Unable to connect to the server",
        (
            "Is the cluster running? az aks start starts it. If its API server has authorized "
            "ranges, this machine's address has to be one of them."
        ),
    ),
)


def remedy(said: str) -> str:
    """Return what to do about a program's error message."""
    known = next((what for words, what in _REMEDIES if words.lower() in said.lower()), None)
    return known or "Fix that and run this again; it continues from there."


ROOT = Path(__file__).resolve().parents[2]  # of the repository; every command runs here
# Explicit, so that the person's defaults (az configure) do not matter.
_SUBSCRIPTION = ("--subscription", "$AZURE_SUBSCRIPTION_ID")
_JSON = ("--output", "json", "--only-show-errors")


@dataclass(frozen=True, slots=True)
class Command:
    """One command line: `words` as written, `stdin` if it reads any, and a label for that."""

    words: tuple[str, ...]
    stdin: str | None = None
    stdin_label: str = ""
    env: Mapping[str, str] = field(default_factory=dict)

    def argv(self, values: Mapping[str, str]) -> list[str]:
        """Substitute the values. Raises KeyError for one that is not known."""
        return [string.Template(word).substitute(values) for word in self.words]

    def display(self, values: Mapping[str, str]) -> str:
        """Return a line that a person could paste; what is not known yet stays `$NAME`.

        The options for az's output format are left out.
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
        """Return the same command with standard input."""
        return Command(self.words, stdin, described, self.env)


def az(line: str, *, subscription: bool = True) -> Command:
    """`az LINE`, in the chosen subscription, answering in JSON."""
    scope = _SUBSCRIPTION if subscription else ()
    return Command(("az", *shlex.split(line), *scope, *_JSON))


def gh(line: str) -> Command:
    """`gh LINE`."""
    return Command(("gh", *shlex.split(line)))


def kubectl(line: str) -> Command:
    """`kubectl LINE`, with the set-up's own kubeconfig, not the person's current context."""
    return Command(("kubectl", "--kubeconfig", "$KUBECONFIG", *shlex.split(line)))


def flux(line: str) -> Command:
    """`flux LINE`, with the set-up's own kubeconfig."""
    return Command(("flux", "--kubeconfig", "$KUBECONFIG", *shlex.split(line)))


def python(line: str) -> Command:
    """`python LINE`, with the Python that runs this."""
    return Command(("python", *shlex.split(line)))


def _shown(word: str, values: Mapping[str, str]) -> str:
    """Quote for a shell, which is left to expand a `$NAME` that is not known."""
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
    """One run of up or teardown. A dry run executes nothing and prints what it would execute."""

    values: dict[str, str]
    execute: Execute
    say: Callable[[str], None]
    sleep: Callable[[float], None]
    dry_run: bool = False
    tight: bool = False  # whether a node with little capacity left will do
    named: frozenset[str] = frozenset()  # steps whose resource the person named
    made: set[str] = field(default_factory=set)
    claimed: set[str] = field(default_factory=set)  # in a dry run: what would be recorded on GitHub
    _last_query: str = ""
    _last_failure: str = ""

    def query(self, command: Command, **extra: str) -> Any:
        """Run a query and return its JSON; None if what it asks for does not exist."""
        text = self.read(command, **extra)
        try:
            return json.loads(text) if text and text.strip() else None
        except ValueError as error:
            raise self._failed(command, extra, f"not JSON: {text}") from error

    def read(self, command: Command, **extra: str) -> str | None:
        """Run a query and return its output; None if what it asks for does not exist."""
        done = self.attempt(command, **extra)
        if done is None or done.code == 0:
            return done.stdout if done else None
        if done.code == _MISSING_CODE or _MISSING.search(done.stderr):
            return None
        raise self._failed(command, extra, done.stderr or done.stdout)

    def attempt(self, command: Command, **extra: str) -> Completed | None:
        """Run a query, however it ends; None in a dry run."""
        if self.dry_run:
            line = f"  # query:  {self._shown(command, extra)}"
            if line != self._last_query:
                self.say(line)
            self._last_query = line
            return None
        return self._done(command, extra)

    def run(self, command: Command, **extra: str) -> str:
        """Run a command that changes something."""
        self.say(f"  {self._shown(command, extra)}")
        if self.dry_run:
            return ""
        done = self._done(command, extra)
        if done.code != 0:
            raise self._failed(command, extra, done.stderr or done.stdout)
        return done.stdout

    def succeeds(self, command: Command) -> bool:
        """Run what may fail for a while; returns whether it succeeded."""
        self.say(f"  {self._shown(command, {})}")
        if self.dry_run:
            return True
        done = self._done(command, {})
        self._last_failure = "" if done.code == 0 else (done.stderr or done.stdout).strip()
        return done.code == 0

    def run_interactively(self, command: Command) -> None:
        """Run a program that uses the terminal itself."""
        self.say(f"  {self._shown(command, {})}")
        if not self.dry_run and self._done(command, {}, live=True).code != 0:
            raise Stop("See above. Fix that and run this again; it continues from there.")

    def wait_until(
        self,
        what: str,
        check: Callable[[], bool],
        *,
        minutes: float,
        every: float = 10,
        hint: str = "Run this again to keep waiting.",
    ) -> None:
        """Wait until CHECK returns true. Raises Stop, with HINT, after MINUTES."""
        if self.dry_run:
            self.say(f"  # wait until {what}")
            check()
            return
        for turn in range(max(1, int(minutes * 60 / every))):
            if check():
                return
            if turn == 0:
                self.say(f"  waiting until {what}, at most {minutes:g} min")
            self.sleep(every)
        last = self._last_failure.splitlines()[-1:]
        why = f"\n    {last[0]}\n" if last else " "
        raise Stop(f"Waited {minutes:g} min until {what}, without success.{why}{hint}")

    def comment(self, text: str) -> None:
        """Print, in a dry run, what the next lines depend on."""
        if self.dry_run:
            self.say(f"  # {text}")

    def fill(self, text: str) -> str:
        """Substitute the values; what is not known yet stays `$NAME`."""
        return string.Template(text).safe_substitute(self.values)

    def _failed(self, command: Command, extra: Mapping[str, str], said: str) -> CommandFailed:
        return CommandFailed(self._shown(command, extra), said, self.fill(remedy(said)))

    def _done(self, command: Command, extra: Mapping[str, str], *, live: bool = False) -> Completed:
        try:
            argv = command.argv({**self.values, **extra})
        except KeyError as error:
            line = self._shown(command, extra)
            raise Stop(
                f"{error.args[0]} is not known yet, so this cannot be run:\n    {line}"
            ) from error
        return self.execute(argv, command.stdin, command.env, live=live)

    def _shown(self, command: Command, extra: Mapping[str, str]) -> str:
        return command.display({**self.values, **extra})


_STILL = 15.0  # seconds between signs of life of a program that takes long
_QUIET = {
    "AZURE_CORE_COLLECT_TELEMETRY": "no",
    # A missing extension is an error, not a question at the terminal.
    "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",
    "GH_PROMPT_DISABLED": "1",
    "GH_PAGER": "",
}


class Shell:
    """Runs programs for real (see Execute). `programs` maps names to files, instead of PATH."""

    def __init__(
        self, say: Callable[[str], None], programs: Mapping[str, str] | None = None
    ) -> None:
        self._say = say
        self._programs = {"python": sys.executable} if programs is None else dict(programs)

    def __call__(
        self, argv: list[str], stdin: str | None, env: Mapping[str, str], *, live: bool
    ) -> Completed:
        """Run it in the root of the repository. Raises NotInstalled."""
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
