"""What GitHub needs: whose the repository is, variables, the guard's environment, deploy keys.

Variables and environments carry no tags, and a repository has one image workflow and one rollback
guard: so it serves one set-up, which the variable DISCORD_SKY_SETUP names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from clusters.azure.runner import Stop, gh
from clusters.azure.steps.model import Step, StepState, get_path

if TYPE_CHECKING:
    from clusters.azure.runner import Runner


# GitHub publishes it on docs.github.com, "GitHub's SSH key fingerprints".
KNOWN_HOSTS = (
    "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """`public` as in authorized_keys, `private` as ssh-keygen writes it."""

    public: str
    private: str = field(repr=False)


def new_pair() -> KeyPair:
    """Make an ed25519 pair."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return KeyPair(public.decode(), private.decode())


_KEYS = "repos/$GITHUB_REPOSITORY/keys"


def listed_keys(runner: Runner) -> list[Any]:
    """List this repository's deploy keys."""
    return list(runner.query(gh(f"api {_KEYS} --paginate")) or ())


def titled_keys(runner: Runner, title: str) -> list[Any]:
    """List this repository's deploy keys of that title."""
    return [key for key in listed_keys(runner) if key["title"] == title]


def replace_key(runner: Runner, title: str) -> KeyPair:
    """Remove what has the title and add a new key with write access; returns its two halves.

    Whoever holds the private half of an earlier one can do nothing more with it.
    """
    runner.comment("an earlier key of that title goes first: nobody has its other half any more")
    remove_keys(runner, title)
    pair = new_pair()
    public = {} if runner.dry_run else {"DEPLOY_KEY": pair.public}
    runner.run(
        gh(f"api --method POST {_KEYS} -f title='{title}' -f key=$DEPLOY_KEY -F read_only=false"),
        **public,
    )
    return pair


def remove_keys(runner: Runner, title: str) -> None:
    """Remove every key of that title."""
    for key in titled_keys(runner, title):
        runner.run(gh(f"api --method DELETE {_KEYS}/$KEY_ID"), KEY_ID=str(key["id"]))
    if runner.dry_run:
        runner.comment("for each key of that title that is there already:")
        runner.run(gh(f"api --method DELETE {_KEYS}/$KEY_ID"))


# It is written first: a run that was stopped in between has listed more than there is, never less.
RECORD = "DISCORD_SKY_SETUP"
REPO = "--repo $GITHUB_REPOSITORY"
_SETUP = "$NAME@$AZURE_SUBSCRIPTION_ID"
_TITLES_OF_KEYS = re.compile(r"(.+): (?:image automation|rollback guard)")


@dataclass(frozen=True, slots=True)
class Ownership:
    """What the variable says: `owner` is NAME@SUBSCRIPTION, or "" where nobody wrote one."""

    owner: str = ""
    made: frozenset[str] = frozenset()
    mine: bool = True  # nobody's, or this set-up's


def variables(runner: Runner) -> dict[str, str]:
    """Read the repository's variables."""
    found = runner.query(gh(f"variable list {REPO} --json name,value")) or ()
    return {one["name"]: one["value"] for one in found}


def ownership(runner: Runner, known: Mapping[str, str] | None = None) -> Ownership:
    """Read whose the repository is, from its variables."""
    known = variables(runner) if known is None else known
    words = known.get(RECORD, "").split()
    owner = words[0] if words and "@" in words[0] else ""
    made = frozenset(words[1:] if owner else words)
    if owner or not made:
        return Ownership(owner, made, mine=owner in {"", _setup(runner)})
    # Written before the variable named its set-up: the other things that it made tell.
    subscription = known.get("AZURE_SUBSCRIPTION_ID", runner.values["AZURE_SUBSCRIPTION_ID"])
    titles = (_TITLES_OF_KEYS.fullmatch(key["title"]) for key in listed_keys(runner))
    names = {title[1] for title in titles if title}
    others = names and runner.values["NAME"] not in names
    mine = subscription == runner.values["AZURE_SUBSCRIPTION_ID"] and not others
    name = runner.values["NAME"] if mine else next(iter(sorted(names)), runner.values["NAME"])
    return Ownership(f"{name}@{subscription}", made, mine=mine)


def made_here(runner: Runner, known: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return what this set-up made on GitHub; nothing where the repository is another's."""
    seen = ownership(runner, known)
    return seen.made if seen.mine else frozenset()


def refuse_another(runner: Runner) -> None:
    """Raise Stop if the repository belongs to another set-up."""
    seen = ownership(runner)
    if seen.mine or runner.dry_run:
        return
    name, subscription = seen.owner.split("@", 1)
    where = f"--name {name}"
    if subscription != runner.values["AZURE_SUBSCRIPTION_ID"]:
        where += f" --subscription {subscription}"
    raise Stop(
        f"{runner.values['GITHUB_REPOSITORY']} already belongs to the set-up {name} in the "
        f"subscription {subscription}. A repository has one image workflow and one rollback guard, "
        "so it serves one set-up.\n"
        "For a second bot, fork or copy the repository, and run this in its clone.\n"
        f"To go on with the first:         make azure ARGS='{where}'\n"
        f"To replace it, remove it first:  make azure-teardown ARGS='{where}'"
    )


def _setup(runner: Runner) -> str:
    return runner.fill(_SETUP)


def claim(runner: Runner, more: frozenset[str] | set[str] = frozenset()) -> None:
    """Write down, before it is made, that this set-up makes MORE in this repository."""
    known = variables(runner)
    seen = ownership(runner, known)
    written = (
        bool(runner.claimed) if runner.dry_run else known.get(RECORD, "").startswith(_setup(runner))
    )
    if written and more <= (runner.claimed if runner.dry_run else seen.made):
        return
    runner.comment(
        "whose the repository is and what set-up made in it; the list grows by the step:"
    )
    runner.claimed |= seen.made | more
    body = " ".join((_setup(runner), *sorted(runner.claimed)))
    runner.run(gh(f"variable set {RECORD} {REPO} --body '{body}'"))


# Each with the value that it gets.
VARIABLES = {
    "ACR_LOGIN_SERVER": "ACR_LOGIN_SERVER",
    "AZURE_CLIENT_ID": "CI_CLIENT_ID",
    "AZURE_SUBSCRIPTION_ID": "AZURE_SUBSCRIPTION_ID",
    "AZURE_TENANT_ID": "AZURE_TENANT_ID",
}


def _check_variables(runner: Runner) -> StepState:
    known = variables(runner)
    made = made_here(runner, known)
    wanted = {name: runner.fill(f"${value}") for name, value in VARIABLES.items()}
    problems = tuple(
        f"The repository's variable {name} says {known[name]} and has to say {wanted[name]}; if "
        f"nothing else needs it: {runner.fill(f'gh variable delete {name} {REPO}')}"
        for name in wanted
        if name in known and name not in made and known[name] != wanted[name]
    )
    there = all(known.get(name) == value for name, value in wanted.items())
    ours = RECORD in known and ownership(runner, known).mine
    return StepState(exists=there, owned=ours, problems=problems)


def _set_variables(runner: Runner) -> None:
    known = variables(runner)
    wanted = {name: runner.fill(f"${value}") for name, value in VARIABLES.items()}
    missing = [name for name in wanted if known.get(name) != wanted[name]]
    claim(runner, set(missing))
    for name in missing:
        runner.run(gh(f"variable set {name} {REPO} --body {wanted[name]}"))


def _remove_variables(runner: Runner) -> None:
    known = variables(runner)
    ours = (
        VARIABLES
        if runner.dry_run
        else [name for name in VARIABLES if name in made_here(runner, known)]
    )
    for name in ours:
        if runner.dry_run or name in known:
            runner.run(gh(f"variable delete {name} {REPO}"))
    runner.run(gh(f"variable delete {RECORD} {REPO}"))


WORKFLOW_VARIABLES = Step(
    name="variables",
    description="what the image workflow needs to know; no secret among them",
    check=_check_variables,
    create=_set_variables,
    delete=_remove_variables,
    place="github",
)


ENVIRONMENT = "rollback-guard"
_ENVIRONMENTS = "repos/$GITHUB_REPOSITORY/environments"
_GUARD_KEY_TITLE = "$NAME: rollback guard"
_SECRET = "GUARD_DEPLOY_KEY"  # noqa: S105 - its name
_ANY = "any branch"


def _branches(runner: Runner) -> list[str] | None:
    """Which branches may use the environment; None if there is no environment."""
    listed = runner.query(gh(f"api {_ENVIRONMENTS}"))
    found = [one for one in get_path(listed, "environments") or () if one["name"] == ENVIRONMENT]
    if not found and not runner.dry_run:
        return None
    policies = runner.query(gh(f"api {_ENVIRONMENTS}/{ENVIRONMENT}/deployment-branch-policies"))
    if not found or not get_path(found[0], "deployment_branch_policy.custom_branch_policies"):
        return [_ANY]
    return [one["name"] for one in get_path(policies, "branch_policies") or ()]


def _check_environment(runner: Runner) -> StepState:
    ours = "environment" in made_here(runner)
    branches = _branches(runner)
    others = [name for name in branches or () if name != "main"]
    problems: tuple[str, ...] = ()
    if others and not runner.dry_run and not (ours and others == [_ANY]):
        where = "GitHub, Settings, Environments, Deployment branches"
        who = ", ".join(others)
        problems = (f"The environment {ENVIRONMENT} is for {who}, not for main alone: {where}.",)
    return StepState(
        exists=branches == ["main"], owned=ours and branches is not None, problems=problems
    )


def _create_environment(runner: Runner) -> None:
    claim(runner, {"environment"})
    rule = {"protected_branches": False, "custom_branch_policies": True}
    body = json.dumps({"deployment_branch_policy": rule})
    put = gh(f"api --method PUT {_ENVIRONMENTS}/{ENVIRONMENT} --input -")
    runner.run(put.with_stdin(body, body))
    if "main" not in (_branches(runner) or ()):
        policies = f"{_ENVIRONMENTS}/{ENVIRONMENT}/deployment-branch-policies"
        runner.run(gh(f"api --method POST {policies} -f name=main"))


GUARD_ENVIRONMENT = Step(
    name="environment",
    description=f"the environment {ENVIRONMENT}, which only main may use",
    check=_check_environment,
    create=_create_environment,
    delete=(gh(f"api --method DELETE {_ENVIRONMENTS}/{ENVIRONMENT}"),),
    place="github",
)


def _has_secret(runner: Runner) -> bool:
    if _branches(runner) is None:
        return False
    listed: Any = runner.query(gh(f"secret list {REPO} --env {ENVIRONMENT} --json name"))
    return any(one["name"] == _SECRET for one in listed or ())


def _check_guard_key(runner: Runner) -> StepState:
    keys = titled_keys(runner, runner.fill(_GUARD_KEY_TITLE))
    held = _has_secret(runner)
    # In somebody else's environment, a secret without a key of ours is somebody else's too.
    foreign = "environment" not in made_here(runner)
    ours = bool(keys) and ownership(runner).mine
    return StepState(exists=held and (bool(keys) or foreign), owned=ours)


def _create_guard_key(runner: Runner) -> None:
    claim(runner)
    pair = replace_key(runner, runner.fill(_GUARD_KEY_TITLE))
    command = gh(f"secret set {_SECRET} {REPO} --env {ENVIRONMENT}")
    runner.run(command.with_stdin(pair.private, "that key's private half, which is nowhere else"))


def _remove_guard_key(runner: Runner) -> None:
    if runner.dry_run or _has_secret(runner):
        runner.run(gh(f"secret delete {_SECRET} {REPO} --env {ENVIRONMENT}"))
    remove_keys(runner, runner.fill(_GUARD_KEY_TITLE))


GUARD_KEY = Step(
    name="guard key",
    description="a deploy key with write access, for the rollback guard",
    check=_check_guard_key,
    create=_create_guard_key,
    delete=_remove_guard_key,
    place="github",
)
