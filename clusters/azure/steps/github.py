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
from clusters.azure.steps.model import Found, Step, at

if TYPE_CHECKING:
    from clusters.azure.runner import Desk


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


def listed_keys(desk: Desk) -> list[Any]:
    """List this repository's deploy keys."""
    return list(desk.ask(gh(f"api {_KEYS} --paginate")) or ())


def titled_keys(desk: Desk, title: str) -> list[Any]:
    """List this repository's deploy keys of that title."""
    return [key for key in listed_keys(desk) if key["title"] == title]


def exchange_key(desk: Desk, title: str) -> KeyPair:
    """Remove what has the title and add a new key with write access; returns its two halves.

    Whoever holds the private half of an earlier one can do nothing more with it.
    """
    desk.remark("an earlier key of that title goes first: nobody has its other half any more")
    remove_keys(desk, title)
    pair = new_pair()
    public = {} if desk.dry else {"DEPLOY_KEY": pair.public}
    desk.run(
        gh(f"api --method POST {_KEYS} -f title='{title}' -f key=$DEPLOY_KEY -F read_only=false"),
        **public,
    )
    return pair


def remove_keys(desk: Desk, title: str) -> None:
    """Remove every key of that title."""
    for key in titled_keys(desk, title):
        desk.run(gh(f"api --method DELETE {_KEYS}/$KEY_ID"), KEY_ID=str(key["id"]))
    if desk.dry:
        desk.remark("for each key of that title that is there already:")
        desk.run(gh(f"api --method DELETE {_KEYS}/$KEY_ID"))


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


def variables(desk: Desk) -> dict[str, str]:
    """Read the repository's variables."""
    found = desk.ask(gh(f"variable list {REPO} --json name,value")) or ()
    return {one["name"]: one["value"] for one in found}


def ownership(desk: Desk, known: Mapping[str, str] | None = None) -> Ownership:
    """Read whose the repository is, from its variables."""
    known = variables(desk) if known is None else known
    words = known.get(RECORD, "").split()
    owner = words[0] if words and "@" in words[0] else ""
    made = frozenset(words[1:] if owner else words)
    if owner or not made:
        return Ownership(owner, made, mine=owner in {"", _setup(desk)})
    # Written before the variable named its set-up: the other things that it made tell.
    subscription = known.get("AZURE_SUBSCRIPTION_ID", desk.values["AZURE_SUBSCRIPTION_ID"])
    titles = (_TITLES_OF_KEYS.fullmatch(key["title"]) for key in listed_keys(desk))
    names = {title[1] for title in titles if title}
    others = names and desk.values["NAME"] not in names
    mine = subscription == desk.values["AZURE_SUBSCRIPTION_ID"] and not others
    name = desk.values["NAME"] if mine else next(iter(sorted(names)), desk.values["NAME"])
    return Ownership(f"{name}@{subscription}", made, mine=mine)


def made_here(desk: Desk, known: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return what this set-up made on GitHub; nothing where the repository is another's."""
    seen = ownership(desk, known)
    return seen.made if seen.mine else frozenset()


def refuse_another(desk: Desk) -> None:
    """Raise Stop if the repository belongs to another set-up."""
    seen = ownership(desk)
    if seen.mine or desk.dry:
        return
    name, subscription = seen.owner.split("@", 1)
    where = f"--name {name}"
    if subscription != desk.values["AZURE_SUBSCRIPTION_ID"]:
        where += f" --subscription {subscription}"
    raise Stop(
        f"{desk.values['GITHUB_REPOSITORY']} already belongs to the set-up {name} in the "
        f"subscription {subscription}. A repository has one image workflow and one rollback guard, "
        "so it serves one set-up.\n"
        "For a second bot, fork or copy the repository, and run this in its clone.\n"
        f"To go on with the first:         make azure ARGS='{where}'\n"
        f"To replace it, remove it first:  make azure-teardown ARGS='{where}'"
    )


def _setup(desk: Desk) -> str:
    return desk.filled(_SETUP)


def claim(desk: Desk, more: frozenset[str] | set[str] = frozenset()) -> None:
    """Write down, before it is made, that this set-up makes MORE in this repository."""
    known = variables(desk)
    seen = ownership(desk, known)
    written = bool(desk.noted) if desk.dry else known.get(RECORD, "").startswith(_setup(desk))
    if written and more <= (desk.noted if desk.dry else seen.made):
        return
    desk.remark("whose the repository is and what set-up made in it; the list grows by the step:")
    desk.noted |= seen.made | more
    body = " ".join((_setup(desk), *sorted(desk.noted)))
    desk.run(gh(f"variable set {RECORD} {REPO} --body '{body}'"))


# Each with the value that it gets.
VARIABLES = {
    "ACR_LOGIN_SERVER": "ACR_LOGIN_SERVER",
    "AZURE_CLIENT_ID": "CI_CLIENT_ID",
    "AZURE_SUBSCRIPTION_ID": "AZURE_SUBSCRIPTION_ID",
    "AZURE_TENANT_ID": "AZURE_TENANT_ID",
}


def _look_at_variables(desk: Desk) -> Found:
    known = variables(desk)
    made = made_here(desk, known)
    wanted = {name: desk.filled(f"${value}") for name, value in VARIABLES.items()}
    problems = tuple(
        f"The repository's variable {name} says {known[name]} and has to say {wanted[name]}; if "
        f"nothing else needs it: {desk.filled(f'gh variable delete {name} {REPO}')}"
        for name in wanted
        if name in known and name not in made and known[name] != wanted[name]
    )
    there = all(known.get(name) == value for name, value in wanted.items())
    ours = RECORD in known and ownership(desk, known).mine
    return Found(there=there, ours=ours, problems=problems)


def _set_variables(desk: Desk) -> None:
    known = variables(desk)
    wanted = {name: desk.filled(f"${value}") for name, value in VARIABLES.items()}
    missing = [name for name in wanted if known.get(name) != wanted[name]]
    claim(desk, set(missing))
    for name in missing:
        desk.run(gh(f"variable set {name} {REPO} --body {wanted[name]}"))


def _remove_variables(desk: Desk) -> None:
    known = variables(desk)
    ours = VARIABLES if desk.dry else [name for name in VARIABLES if name in made_here(desk, known)]
    for name in ours:
        if desk.dry or name in known:
            desk.run(gh(f"variable delete {name} {REPO}"))
    desk.run(gh(f"variable delete {RECORD} {REPO}"))


WORKFLOW_VARIABLES = Step(
    name="variables",
    about="what the image workflow needs to know; no secret among them",
    look=_look_at_variables,
    make=_set_variables,
    undo=_remove_variables,
    place="github",
)


ENVIRONMENT = "rollback-guard"
_ENVIRONMENTS = "repos/$GITHUB_REPOSITORY/environments"
_GUARD_KEY_TITLE = "$NAME: rollback guard"
_SECRET = "GUARD_DEPLOY_KEY"  # noqa: S105 - its name
_ANY = "any branch"


def _branches(desk: Desk) -> list[str] | None:
    """Which branches may use the environment; None if there is no environment."""
    listed = desk.ask(gh(f"api {_ENVIRONMENTS}"))
    found = [one for one in at(listed, "environments") or () if one["name"] == ENVIRONMENT]
    if not found and not desk.dry:
        return None
    policies = desk.ask(gh(f"api {_ENVIRONMENTS}/{ENVIRONMENT}/deployment-branch-policies"))
    if not found or not at(found[0], "deployment_branch_policy.custom_branch_policies"):
        return [_ANY]
    return [one["name"] for one in at(policies, "branch_policies") or ()]


def _look_at_environment(desk: Desk) -> Found:
    ours = "environment" in made_here(desk)
    branches = _branches(desk)
    others = [name for name in branches or () if name != "main"]
    problems: tuple[str, ...] = ()
    if others and not desk.dry and not (ours and others == [_ANY]):
        where = "GitHub, Settings, Environments, Deployment branches"
        who = ", ".join(others)
        problems = (f"The environment {ENVIRONMENT} is for {who}, not for main alone: {where}.",)
    return Found(there=branches == ["main"], ours=ours and branches is not None, problems=problems)


def _make_environment(desk: Desk) -> None:
    claim(desk, {"environment"})
    rule = {"protected_branches": False, "custom_branch_policies": True}
    body = json.dumps({"deployment_branch_policy": rule})
    put = gh(f"api --method PUT {_ENVIRONMENTS}/{ENVIRONMENT} --input -")
    desk.run(put.reading(body, body))
    if "main" not in (_branches(desk) or ()):
        policies = f"{_ENVIRONMENTS}/{ENVIRONMENT}/deployment-branch-policies"
        desk.run(gh(f"api --method POST {policies} -f name=main"))


GUARD_ENVIRONMENT = Step(
    name="environment",
    about=f"the environment {ENVIRONMENT}, which only main may use",
    look=_look_at_environment,
    make=_make_environment,
    undo=(gh(f"api --method DELETE {_ENVIRONMENTS}/{ENVIRONMENT}"),),
    place="github",
)


def _has_secret(desk: Desk) -> bool:
    if _branches(desk) is None:
        return False
    listed: Any = desk.ask(gh(f"secret list {REPO} --env {ENVIRONMENT} --json name"))
    return any(one["name"] == _SECRET for one in listed or ())


def _look_at_guard_key(desk: Desk) -> Found:
    keys = titled_keys(desk, desk.filled(_GUARD_KEY_TITLE))
    held = _has_secret(desk)
    # In somebody else's environment, a secret without a key of ours is somebody else's too.
    foreign = "environment" not in made_here(desk)
    ours = bool(keys) and ownership(desk).mine
    return Found(there=held and (bool(keys) or foreign), ours=ours)


def _make_guard_key(desk: Desk) -> None:
    claim(desk)
    pair = exchange_key(desk, desk.filled(_GUARD_KEY_TITLE))
    command = gh(f"secret set {_SECRET} {REPO} --env {ENVIRONMENT}")
    desk.run(command.reading(pair.private, "that key's private half, which is nowhere else"))


def _remove_guard_key(desk: Desk) -> None:
    if desk.dry or _has_secret(desk):
        desk.run(gh(f"secret delete {_SECRET} {REPO} --env {ENVIRONMENT}"))
    remove_keys(desk, desk.filled(_GUARD_KEY_TITLE))


GUARD_KEY = Step(
    name="guard key",
    about="a deploy key with write access, for the rollback guard",
    look=_look_at_guard_key,
    make=_make_guard_key,
    undo=_remove_guard_key,
    place="github",
)
