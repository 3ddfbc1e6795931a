"""What the rollback guard needs: an environment for main alone, and a deploy key in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from clusters.azure import deploy_keys
from clusters.azure.command import gh
from clusters.azure.github_record import REPO, claim, made_here, ownership
from clusters.azure.step import Found, Step, at

if TYPE_CHECKING:
    from clusters.azure.desk import Desk

ENVIRONMENT = "rollback-guard"
_ENVIRONMENTS = "repos/$GITHUB_REPOSITORY/environments"
_KEY_TITLE = "$NAME: rollback guard"
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
    keys = deploy_keys.titled(desk, desk.filled(_KEY_TITLE))
    held = _has_secret(desk)
    # In somebody else's environment, a secret without a key of ours is somebody else's too.
    foreign = "environment" not in made_here(desk)
    ours = bool(keys) and ownership(desk).mine
    return Found(there=held and (bool(keys) or foreign), ours=ours)


def _make_guard_key(desk: Desk) -> None:
    claim(desk)
    pair = deploy_keys.exchange(desk, desk.filled(_KEY_TITLE))
    command = gh(f"secret set {_SECRET} {REPO} --env {ENVIRONMENT}")
    desk.run(command.reading(pair.private, "that key's private half, which is nowhere else"))


def _remove_guard_key(desk: Desk) -> None:
    if desk.dry or _has_secret(desk):
        desk.run(gh(f"secret delete {_SECRET} {REPO} --env {ENVIRONMENT}"))
    deploy_keys.remove(desk, desk.filled(_KEY_TITLE))


GUARD_KEY = Step(
    name="guard key",
    about="a deploy key with write access, for the rollback guard",
    look=_look_at_guard_key,
    make=_make_guard_key,
    undo=_remove_guard_key,
    place="github",
)
