"""GitHub: whose the repository is, workflows, variables, the guard's environment, keys, rulesets.

Variables and environments carry no tags, and a repository has one image workflow and one rollback
guard. So a repository belongs to one set-up, which the variable DISCORD_SKY_SETUP names.
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

REPO = "--repo $GITHUB_REPOSITORY"
_API = "repos/$GITHUB_REPOSITORY"

# --- deploy keys ---

# Published by GitHub on docs.github.com, "GitHub's SSH key fingerprints".
KNOWN_HOSTS = (
    "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A deploy key, made in memory: its private half is never written to a file on this machine.

    `public` is in the format of authorized_keys, `private` in OpenSSH's.
    """

    public: str
    private: str = field(repr=False)


def new_pair() -> KeyPair:
    """Generate an ed25519 key pair."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return KeyPair(public.decode(), private.decode())


def _list_keys(runner: Runner) -> list[Any]:
    return list(runner.query(gh(f"api {_API}/keys --paginate")) or ())


def find_keys(runner: Runner, title: str) -> list[Any]:
    """Return the repository's deploy keys with this title."""
    return [key for key in _list_keys(runner) if key["title"] == title]


def replace_key(runner: Runner, title: str) -> KeyPair:
    """Delete the deploy keys with this title and add a new one with write access.

    The private half of an earlier key is worth nothing afterwards.
    """
    runner.comment("an earlier key with that title goes first: its private half is lost")
    delete_keys(runner, title)
    pair = new_pair()
    public = {} if runner.dry_run else {"DEPLOY_KEY": pair.public}
    runner.run(
        gh(
            f"api --method POST {_API}/keys -f title='{title}' -f key=$DEPLOY_KEY "
            "-F read_only=false"
        ),
        **public,
    )
    return pair


def delete_keys(runner: Runner, title: str) -> None:
    """Delete every deploy key with this title."""
    for key in find_keys(runner, title):
        runner.run(gh(f"api --method DELETE {_API}/keys/$KEY_ID"), KEY_ID=str(key["id"]))
    if runner.dry_run:
        runner.comment("for each key with that title:")
        runner.run(gh(f"api --method DELETE {_API}/keys/$KEY_ID"))


# --- whose the repository is ---

# Written before anything it lists is made, so after an interruption it lists too much, never too
# little.
_OWNERSHIP = "DISCORD_SKY_SETUP"
_OWNER = "$NAME@$AZURE_SUBSCRIPTION_ID"
_KEY_TITLES = re.compile(r"(.+): (?:image automation|rollback guard)")


@dataclass(frozen=True, slots=True)
class Ownership:
    """Which set-up a repository belongs to (NAME@SUBSCRIPTION, or "") and what that one made."""

    owner: str = ""
    made: frozenset[str] = frozenset()
    mine: bool = True  # nobody's counts as mine


def _variables(runner: Runner) -> dict[str, str]:
    found = runner.query(gh(f"variable list {REPO} --json name,value")) or ()
    return {one["name"]: one["value"] for one in found}


def ownership(runner: Runner, variables: Mapping[str, str] | None = None) -> Ownership:
    """Read whose the repository is, from its variables."""
    known = _variables(runner) if variables is None else variables
    words = known.get(_OWNERSHIP, "").split()
    owner = words[0] if words and "@" in words[0] else ""
    made = frozenset(words[1:] if owner else words)
    if owner or not made:
        return Ownership(owner, made, mine=owner in {"", runner.fill(_OWNER)})
    # Written by an earlier version, which did not name the owner: subscription and keys tell.
    subscription = known.get("AZURE_SUBSCRIPTION_ID", runner.values["AZURE_SUBSCRIPTION_ID"])
    titles = (_KEY_TITLES.fullmatch(key["title"]) for key in _list_keys(runner))
    names = {title[1] for title in titles if title}
    name = runner.values["NAME"]
    mine = subscription == runner.values["AZURE_SUBSCRIPTION_ID"] and (not names or name in names)
    if not mine and names:
        name = min(names)
    return Ownership(f"{name}@{subscription}", made, mine=mine)


def _made_here(runner: Runner, variables: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return what this set-up made on GitHub; nothing if the repository belongs to another."""
    found = ownership(runner, variables)
    return found.made if found.mine else frozenset()


def made_images(runner: Runner) -> bool:
    """Return whether this set-up pushed the first images into a registry that it did not make."""
    return "images" in _made_here(runner)


def refuse_another_setup(runner: Runner) -> None:
    """Raise Stop if the repository belongs to another set-up."""
    found = ownership(runner)
    if found.mine or runner.dry_run:
        return
    name, subscription = found.owner.split("@", 1)
    arguments = f"--name {name}"
    if subscription != runner.values["AZURE_SUBSCRIPTION_ID"]:
        arguments += f" --subscription {subscription}"
    raise Stop(
        f"{runner.values['GITHUB_REPOSITORY']} already belongs to the set-up {name} in the "
        f"subscription {subscription}. A repository has one image workflow and one rollback guard, "
        "so it serves one set-up.\n"
        "For a second bot, fork or copy the repository and run this in its clone.\n"
        f"To continue the first one:        make azure ARGS='{arguments}'\n"
        f"To replace it, remove it first:   make azure-teardown ARGS='{arguments}'"
    )


def claim(runner: Runner, more: frozenset[str] | set[str] = frozenset()) -> None:
    """Record, before MORE is made, that this set-up makes it in this repository."""
    known = _variables(runner)
    found = ownership(runner, known)
    owner = runner.fill(_OWNER)
    recorded = (
        bool(runner.claimed) if runner.dry_run else known.get(_OWNERSHIP, "").startswith(owner)
    )
    if recorded and more <= (runner.claimed if runner.dry_run else found.made):
        return
    runner.comment("which set-up this repository belongs to, and what that one made; it grows:")
    runner.claimed |= found.made | more
    body = " ".join((owner, *sorted(runner.claimed)))
    runner.run(gh(f"variable set {_OWNERSHIP} {REPO} --body '{body}'"))


def _check_claim(runner: Runner) -> StepState:
    known = _variables(runner)
    owned = _OWNERSHIP in known and ownership(runner, known).mine
    named = known.get(_OWNERSHIP, "").startswith(runner.fill(_OWNER))
    return StepState(exists=owned and named, owned=owned)


# The first step on GitHub, so that teardown takes it back last.
CLAIM = Step(
    name="repository",
    description="$GITHUB_REPOSITORY belongs to this set-up",
    check=_check_claim,
    create=claim,
    delete=(gh(f"variable delete {_OWNERSHIP} {REPO}"),),
    place="github",
)

# --- workflows ---

IMAGE_WORKFLOW = "image.yaml"
# The schedules have files of their own: GitHub disables a whole workflow for having one.
IMAGE_WORKFLOWS = (IMAGE_WORKFLOW, "image-schedule.yaml")
GUARD_WORKFLOWS = ("rollback-guard.yaml", "rollback-guard-schedule.yaml")
FAILURE_WORKFLOW = "rollback-on-failure.yaml"
FAILURE_SWITCH = "ROLLBACK_ON_FAILURE"  # the variable that switches it off: "off" in any case
WORKFLOWS = (*IMAGE_WORKFLOWS, *GUARD_WORKFLOWS, FAILURE_WORKFLOW)


def workflow_states(runner: Runner) -> dict[str, tuple[str, str]] | None:
    """Return id and state of the repository's workflows by file name; None in a dry run."""
    found = runner.query(gh(f"api {_API}/actions/workflows?per_page=100"))
    if found is None:
        return None
    return {
        one["path"].rpartition("/")[2]: (str(one["id"]), one["state"]) for one in found["workflows"]
    }


def _disabled_workflows(runner: Runner) -> dict[str, str]:
    """Return the ids of the bot's workflows that are disabled, by file name."""
    states = workflow_states(runner) or {}
    return {
        name: states[name][0]
        for name in WORKFLOWS
        if name in states and states[name][1].startswith("disabled")
    }


def _enable_workflows(runner: Runner) -> None:
    if runner.dry_run:
        runner.comment("for each of them that is disabled:")
        runner.run(gh(f"workflow enable {GUARD_WORKFLOWS[1]} {REPO}"))
    for name in _disabled_workflows(runner):
        runner.run(gh(f"workflow enable {name} {REPO}"))


ENABLED_WORKFLOWS = Step(
    name="workflows",
    description="the image workflow and the rollback guard are enabled, their schedules included",
    check=lambda runner: StepState(exists=not runner.dry_run and not _disabled_workflows(runner)),
    create=_enable_workflows,  # they stay enabled: they are the repository's own
    place="github",
)

# --- variables ---

# What the image workflow reads, with the value that each variable gets.
VARIABLES = {
    "ACR_LOGIN_SERVER": "ACR_LOGIN_SERVER",
    "AZURE_CLIENT_ID": "CI_CLIENT_ID",
    "AZURE_SUBSCRIPTION_ID": "AZURE_SUBSCRIPTION_ID",
    "AZURE_TENANT_ID": "AZURE_TENANT_ID",
}


def _check_variables(runner: Runner) -> StepState:
    known = _variables(runner)
    made = _made_here(runner, known)
    wanted = {name: runner.fill(f"${value}") for name, value in VARIABLES.items()}
    problems = tuple(
        f"The repository's variable {name} is set to {known[name]}, and the image workflow of this "
        "set-up needs another value. If nothing else uses it: "
        f"{runner.fill(f'gh variable delete {name} {REPO}')}"
        for name in wanted
        if name in known and name not in made and known[name] != wanted[name]
    )
    exists = all(known.get(name) == value for name, value in wanted.items())
    return StepState(exists=exists, owned=bool(made & set(VARIABLES)), problems=problems)


def _set_variables(runner: Runner) -> None:
    known = _variables(runner)
    wanted = {name: runner.fill(f"${value}") for name, value in VARIABLES.items()}
    missing = [name for name in wanted if known.get(name) != wanted[name]]
    claim(runner, set(missing))
    for name in missing:
        runner.run(gh(f"variable set {name} {REPO} --body {wanted[name]}"))


def _delete_variables(runner: Runner) -> None:
    known = _variables(runner)
    made = _made_here(runner, known)
    for name in VARIABLES:
        if runner.dry_run or (name in made and name in known):
            runner.run(gh(f"variable delete {name} {REPO}"))


WORKFLOW_VARIABLES = Step(
    name="variables",
    description="the ids that the image workflow needs; none of them is a secret",
    check=_check_variables,
    create=_set_variables,
    delete=_delete_variables,
    place="github",
)

# --- the rollback guard's environment and key ---

ENVIRONMENT = "rollback-guard"
_ENVIRONMENT_API = f"{_API}/environments/{ENVIRONMENT}"
_GUARD_KEY_TITLE = "$NAME: rollback guard"
_SECRET = "GUARD_DEPLOY_KEY"  # noqa: S105 - its name
_ANY = "any branch"


def _environment_branches(runner: Runner) -> list[str] | None:
    """Return which branches may use the environment; None if there is no environment."""
    listed = runner.query(gh(f"api {_API}/environments"))
    found = [one for one in get_path(listed, "environments") or () if one["name"] == ENVIRONMENT]
    if not found and not runner.dry_run:
        return None
    policies = runner.query(gh(f"api {_ENVIRONMENT_API}/deployment-branch-policies"))
    if not found or not get_path(found[0], "deployment_branch_policy.custom_branch_policies"):
        return [_ANY]
    return [one["name"] for one in get_path(policies, "branch_policies") or ()]


def _check_environment(runner: Runner) -> StepState:
    owned = "environment" in _made_here(runner)
    branches = _environment_branches(runner)
    others = [name for name in branches or () if name != "main"]
    problems: tuple[str, ...] = ()
    if others and not runner.dry_run and not (owned and others == [_ANY]):
        where = runner.fill("https://github.com/$GITHUB_REPOSITORY/settings/environments")
        problems = (
            (
                f"The environment {ENVIRONMENT} is open to {', '.join(others)}, and must be open "
                f"to main alone: {where}, {ENVIRONMENT}, Deployment branches."
            ),
        )
    return StepState(
        exists=branches == ["main"], owned=owned and branches is not None, problems=problems
    )


def _create_environment(runner: Runner) -> None:
    claim(runner, {"environment"})
    rule = {"protected_branches": False, "custom_branch_policies": True}
    body = json.dumps({"deployment_branch_policy": rule})
    put = gh(f"api --method PUT {_ENVIRONMENT_API} --input -")
    runner.run(put.with_stdin(body, body))
    if "main" not in (_environment_branches(runner) or ()):
        policies = f"{_ENVIRONMENT_API}/deployment-branch-policies"
        runner.run(gh(f"api --method POST {policies} -f name=main"))


GUARD_ENVIRONMENT = Step(
    name="environment",
    description=f"the environment {ENVIRONMENT}, which only main may use",
    check=_check_environment,
    create=_create_environment,
    delete=(gh(f"api --method DELETE {_ENVIRONMENT_API}"),),
    place="github",
)


def _has_guard_secret(runner: Runner) -> bool:
    if _environment_branches(runner) is None:
        return False
    listed: Any = runner.query(gh(f"secret list {REPO} --env {ENVIRONMENT} --json name"))
    return any(one["name"] == _SECRET for one in listed or ())


def _check_guard_key(runner: Runner) -> StepState:
    keys = find_keys(runner, runner.fill(_GUARD_KEY_TITLE))
    has_secret = _has_guard_secret(runner)
    # In somebody else's environment, a secret without a key of ours is somebody else's too.
    foreign = "environment" not in _made_here(runner)
    return StepState(
        exists=has_secret and (bool(keys) or foreign),
        owned=bool(keys) and ownership(runner).mine,
    )


def _create_guard_key(runner: Runner) -> None:
    claim(runner)
    pair = replace_key(runner, runner.fill(_GUARD_KEY_TITLE))
    command = gh(f"secret set {_SECRET} {REPO} --env {ENVIRONMENT}")
    runner.run(command.with_stdin(pair.private, "the private half of that key, kept nowhere else"))


def _delete_guard_key(runner: Runner) -> None:
    if runner.dry_run or _has_guard_secret(runner):
        runner.run(gh(f"secret delete {_SECRET} {REPO} --env {ENVIRONMENT}"))
    delete_keys(runner, runner.fill(_GUARD_KEY_TITLE))


GUARD_KEY = Step(
    name="guard key",
    description="a deploy key with write access, for the rollback guard",
    check=_check_guard_key,
    create=_create_guard_key,
    delete=_delete_guard_key,
    place="github",
)

# --- rulesets for main ---

_PULL_REQUESTS, _HISTORY = "$NAME: main by pull request", "$NAME: history of main"
# Jobs of .github/workflows/check.yaml, which run for every pull request.
REQUIRED_CHECKS = (
    "check",
    "test-bot",
    "test-release",
    "test-azure",
    "test-gitops",
    "test-loop",
)
_ACTIONS_APP = 15368  # GitHub Actions: no other app can report these checks as passed
_ADMIN_ROLE = 5
# Rules that a push of the image automation or the guard cannot satisfy, only bypass.
BLOCKING_RULES = frozenset(
    {
        "pull_request",
        "required_status_checks",
        "required_signatures",
        "required_deployments",
        "merge_queue",
        "update",
        "workflows",
        "code_scanning",
    }
)


def rulesets(name: str) -> tuple[dict[str, Any], ...]:
    """Return the two rulesets that protect main, for the set-up NAME.

    The deploy keys of the image automation and of the guard pass the first one, because their
    commits need no pull request. Nobody passes the second one, so a leaked key can add a commit
    that everybody sees and can revert, but cannot rewrite or delete main. GitHub can restrict a key
    to neither paths nor branches.
    """
    on_main = {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}}
    common = {"target": "branch", "enforcement": "active", "conditions": on_main}
    pull_request = {
        "required_approving_review_count": 0,
        "dismiss_stale_reviews_on_push": False,
        "require_code_owner_review": False,
        "require_last_push_approval": False,
        "required_review_thread_resolution": False,
    }
    checks = {
        "strict_required_status_checks_policy": False,
        "required_status_checks": [
            {"context": check, "integration_id": _ACTIONS_APP} for check in REQUIRED_CHECKS
        ],
    }
    return (
        {
            "name": _PULL_REQUESTS.replace("$NAME", name),
            **common,
            "bypass_actors": [
                {"actor_id": None, "actor_type": "DeployKey", "bypass_mode": "always"},
                # An admin may merge a pull request whose checks fail or are still running.
                {
                    "actor_id": _ADMIN_ROLE,
                    "actor_type": "RepositoryRole",
                    "bypass_mode": "pull_request",
                },
            ],
            "rules": [
                {"type": "pull_request", "parameters": pull_request},
                {"type": "required_status_checks", "parameters": checks},
            ],
        },
        {
            "name": _HISTORY.replace("$NAME", name),
            **common,
            "bypass_actors": [],
            "rules": [{"type": "non_fast_forward"}, {"type": "deletion"}],
        },
    )


def _ruleset_ids(runner: Runner) -> dict[str, str]:
    """Return the ids of the repository's own rulesets, by name."""
    found = runner.query(gh(f"api {_API}/rulesets?includes_parents=false&per_page=100"))
    return {one["name"]: str(one["id"]) for one in found or ()}


def deploy_key_obstacles(runner: Runner) -> tuple[str, ...]:
    """Return a problem for each ruleset on main that keeps the bot's deploy keys from pushing."""
    rules = runner.query(gh(f"api {_API}/rules/branches/main?per_page=100")) or ()
    blocking = {rule["ruleset_id"] for rule in rules if rule["type"] in BLOCKING_RULES}
    problems = []
    for number in sorted(blocking):
        found = runner.query(gh(f"api {_API}/rulesets/$RULESET"), RULESET=str(number))
        actors = get_path(found, "bypass_actors")
        if actors is None:  # shown only to those who may edit the ruleset
            continue
        if not any(actor["actor_type"] == "DeployKey" for actor in actors):
            problems.append(
                f"The ruleset {found['name']!r} on main lets no deploy key pass, so neither Flux "
                "nor the rollback guard could push. Add 'Deploy keys' to its bypass list: "
                + runner.fill(f"https://github.com/$GITHUB_REPOSITORY/settings/rules/{number}")
            )
    return tuple(problems)


def _check_rulesets(runner: Runner) -> StepState:
    wanted = {one["name"] for one in rulesets(runner.values["NAME"])}
    ids = _ruleset_ids(runner)
    owned = bool(wanted & set(ids)) and "rulesets" in _made_here(runner)
    if wanted <= set(ids):
        return StepState(exists=True, owned=owned)
    if "RULESET" not in runner.values and not owned:
        note = "not requested; --ruleset creates them"
        return StepState(exists=True, owned=owned, note=note)
    return StepState(owned=owned)


def _create_rulesets(runner: Runner) -> None:
    claim(runner, {"rulesets"})
    ids = _ruleset_ids(runner)
    for one in rulesets(runner.values["NAME"]):
        if one["name"] not in ids:
            command = gh(f"api --method POST {_API}/rulesets --input -")
            runner.run(command.with_stdin(json.dumps(one), f"the ruleset {one['name']!r}"))


def _delete_rulesets(runner: Runner) -> None:
    ids = _ruleset_ids(runner)
    for one in rulesets(runner.values["NAME"]):
        if runner.dry_run or one["name"] in ids:
            found = {} if runner.dry_run else {"RULESET": ids[one["name"]]}
            runner.run(gh(f"api --method DELETE {_API}/rulesets/$RULESET"), **found)


RULESETS = Step(
    name="rulesets",
    description="main changes by pull request with passing checks, and is never rewritten",
    check=_check_rulesets,
    create=_create_rulesets,
    delete=_delete_rulesets,
    place="github",
)
