"""How a run ends early: one sentence on what is wrong, one on what to do."""

from __future__ import annotations

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
        last = "\n    ".join(said.strip().splitlines()[-_LINES:]) or "(it said nothing)"
        super().__init__(f"This failed:\n    {line}\n    {last}\n{remedy(said)}")


_LINES = 6
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
