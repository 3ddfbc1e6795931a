"""What this set-up makes on GitHub: what the workflows need, as .github/scripts/README.md says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from clusters.azure import deploy_keys
from clusters.azure.command import gh
from clusters.azure.step import Found, Step, at

if TYPE_CHECKING:
    from clusters.azure.desk import Desk

# Variables and environments carry no mark, so one variable lists what this set-up made. It is
# written first: a run that was stopped in between has listed more than there is, never less.
RECORD = "DISCORD_SKY_SETUP"
# What the image workflow reads, and the value that it gets.
VARIABLES = {
    "ACR_LOGIN_SERVER": "ACR_LOGIN_SERVER",
    "AZURE_CLIENT_ID": "CI_CLIENT_ID",
    "AZURE_SUBSCRIPTION_ID": "AZURE_SUBSCRIPTION_ID",
    "AZURE_TENANT_ID": "AZURE_TENANT_ID",
}
ENVIRONMENT = "rollback-guard"
_REPO = "--repo $GITHUB_REPOSITORY"
_ENVIRONMENTS = "repos/$GITHUB_REPOSITORY/environments"
_KEY_TITLE = "$NAME: rollback guard"
_SECRET = "GUARD_DEPLOY_KEY"  # noqa: S105 - its name


def _variables(desk: Desk) -> dict[str, str]:
    listed = desk.ask(gh(f"variable list {_REPO} --json name,value")) or ()
    return {one["name"]: one["value"] for one in listed}


def _made(variables: dict[str, str]) -> set[str]:
    return set(variables.get(RECORD, "").split())


def has_made(desk: Desk) -> set[str]:
    """Read the list of what has no mark of its own."""
    return _made(_variables(desk))


def note(desk: Desk, made: set[str], more: set[str]) -> None:
    """Put more into the list of what this set-up makes, before it does."""
    if desk.dry or not more <= made:
        body = " ".join(sorted(made | more))
        desk.run(gh(f"variable set {RECORD} {_REPO} --body '{body}'"))


def _look_at_variables(desk: Desk) -> Found:
    known = _variables(desk)
    made = _made(known)
    wanted = {name: desk.filled(f"${value}") for name, value in VARIABLES.items()}
    problems = tuple(
        f"The repository's variable {name} says {known[name]} and has to say {wanted[name]}; if "
        f"nothing else needs it: {desk.filled(f'gh variable delete {name} {_REPO}')}"
        for name in wanted
        if name in known and name not in made and known[name] != wanted[name]
    )
    there = all(known.get(name) == value for name, value in wanted.items())
    return Found(there=there, ours=bool(made), problems=problems)


def _set_variables(desk: Desk) -> None:
    known = _variables(desk)
    wanted = {name: desk.filled(f"${value}") for name, value in VARIABLES.items()}
    missing = [name for name in wanted if known.get(name) != wanted[name]]
    note(desk, _made(known), set(missing))
    for name in missing:
        desk.run(gh(f"variable set {name} {_REPO} --body {wanted[name]}"))


def _remove_variables(desk: Desk) -> None:
    known = _variables(desk)
    ours = VARIABLES if desk.dry else [name for name in VARIABLES if name in _made(known)]
    for name in ours:
        if desk.dry or name in known:
            desk.run(gh(f"variable delete {name} {_REPO}"))
    desk.run(gh(f"variable delete {RECORD} {_REPO}"))


WORKFLOW_VARIABLES = Step(
    name="variables",
    about="what the image workflow needs to know; no secret among them",
    look=_look_at_variables,
    make=_set_variables,
    undo=_remove_variables,
    place="github",
)


def _branches(desk: Desk) -> list[str] | None:
    """Which branches may use the environment; None if there is no environment."""
    listed = desk.ask(gh(f"api {_ENVIRONMENTS}"))
    found = [one for one in at(listed, "environments") or () if one["name"] == ENVIRONMENT]
    if not found and not desk.dry:
        return None
    policies = desk.ask(gh(f"api {_ENVIRONMENTS}/{ENVIRONMENT}/deployment-branch-policies"))
    if not found or not at(found[0], "deployment_branch_policy.custom_branch_policies"):
        return ["any"]
    return [one["name"] for one in at(policies, "branch_policies") or ()]


def _look_at_environment(desk: Desk) -> Found:
    ours = "environment" in has_made(desk)
    branches = _branches(desk)
    problems: tuple[str, ...] = ()
    if branches not in (None, ["main"]) and not ours and not desk.dry:
        who = ", ".join(branches or ["no branch"])
        where = "GitHub, Settings, Environments, Deployment branches"
        problems = (f"The environment {ENVIRONMENT} is for {who}, not for main alone: {where}.",)
    return Found(there=branches == ["main"], ours=ours and branches is not None, problems=problems)


def _make_environment(desk: Desk) -> None:
    note(desk, has_made(desk), {"environment"})
    rule = {"protected_branches": False, "custom_branch_policies": True}
    body = json.dumps({"deployment_branch_policy": rule})
    put = gh(f"api --method PUT {_ENVIRONMENTS}/{ENVIRONMENT} --input -")
    desk.run(put.reading(body, body))
    desk.run(
        gh(
            f"api --method POST {_ENVIRONMENTS}/{ENVIRONMENT}/deployment-branch-policies "
            "-f name=main"
        )
    )


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
    listed: Any = desk.ask(gh(f"secret list {_REPO} --env {ENVIRONMENT} --json name"))
    return any(one["name"] == _SECRET for one in listed or ())


def _look_at_guard_key(desk: Desk) -> Found:
    keys = deploy_keys.titled(desk, desk.filled(_KEY_TITLE))
    held = _has_secret(desk)
    # In somebody else's environment, a secret without a key of ours is somebody else's too.
    foreign = "environment" not in has_made(desk)
    return Found(there=held and (bool(keys) or foreign), ours=bool(keys))


def _make_guard_key(desk: Desk) -> None:
    pair = deploy_keys.exchange(desk, desk.filled(_KEY_TITLE))
    command = gh(f"secret set {_SECRET} {_REPO} --env {ENVIRONMENT}")
    desk.run(command.reading(pair.private, "that key's private half, which is nowhere else"))


def _remove_guard_key(desk: Desk) -> None:
    if desk.dry or _has_secret(desk):
        desk.run(gh(f"secret delete {_SECRET} {_REPO} --env {ENVIRONMENT}"))
    deploy_keys.remove(desk, desk.filled(_KEY_TITLE))


GUARD_KEY = Step(
    name="guard key",
    about="a deploy key with write access, for the rollback guard",
    look=_look_at_guard_key,
    make=_make_guard_key,
    undo=_remove_guard_key,
    place="github",
)
