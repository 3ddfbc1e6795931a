"""The fake `gh`, for one repository: what GitHub's API refuses, it refuses in the same words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.azure.fake.cloud import (
    REPOSITORY,
    FakeCommand,
    Invocation,
    ProgramError,
    State,
    UnsupportedCommand,
    number,
    read,
)
from tests.azure.fake.outcomes import image_workflow

OTHER = "example/other"
_ROOT = f"repos/{REPOSITORY}"
_ENVIRONMENT = f"{_ROOT}/environments/rollback-guard"


def _fields(invocation: Invocation) -> dict[str, str]:
    given = [*invocation.options.get("-f", ()), *invocation.options.get("-F", ())]
    return dict(one.split("=", 1) for one in given)


def _environment(state: State) -> Any:
    found = state["github"]["environments"].get("rollback-guard")
    if found is None:
        raise ProgramError(1, "gh: Not Found (HTTP 404)")
    return found


def _repository(state: State, _asked: Invocation) -> Any:
    return {
        "full_name": REPOSITORY,
        "name": "discord-sky",
        "id": 22,
        "owner": {"login": "example", "id": 11, "type": state["github"].get("owner", "User")},
        "private": "plan" in state["github"],
        "archived": state["github"].get("archived", False),
        "default_branch": state["github"].get("default_branch", "main"),
        "permissions": {"admin": state["github"].get("admin", True)},
    }


def _other_repository(state: State, _asked: Invocation) -> Any:
    renamed = state["github"].get("renamed", {})
    if renamed.get(OTHER) == "":
        raise ProgramError(1, "gh: Not Found (HTTP 404)")
    return {"full_name": renamed.get(OTHER, OTHER)}


def _account(kind: str) -> Callable[[State, Invocation], Any]:
    """Show an account with its plan, if the owner is of that kind; a stranger has another name."""

    def answer(state: State, _asked: Invocation) -> Any:
        mine = state["github"].get("owner", "User") == kind
        plan = {"plan": {"name": state["github"].get("plan", "team")}}
        # Members who are not owners do not see an organization's settings.
        settings = {
            "deploy_keys_enabled_for_repositories": state["github"].get("deploy_keys", True)
        }
        shown = settings if kind == "Organization" and state["github"].get("owns", True) else {}
        return {"login": "example" if mine else "somebody", **plan, **shown}

    return answer


def _environments(state: State, _asked: Invocation) -> Any:
    every = state["github"]["environments"]
    return {
        "environments": [
            {"name": name, "deployment_branch_policy": one["policy"]} for name, one in every.items()
        ]
    }


def _put_environment(state: State, invocation: Invocation) -> Any:
    policy = json.loads(invocation.stdin or "")["deployment_branch_policy"]
    every = state["github"]["environments"]
    every.setdefault("rollback-guard", {"branches": [], "secrets": {}})["policy"] = policy


def _delete_environment(state: State, _asked: Invocation) -> Any:
    _environment(state)
    del state["github"]["environments"]["rollback-guard"]
    return ""


def _policies(state: State, _asked: Invocation) -> Any:
    return {"branch_policies": [{"name": name} for name in _environment(state)["branches"]]}


def _add_policy(state: State, invocation: Invocation) -> Any:
    branches = _environment(state)["branches"]
    if _fields(invocation)["name"] not in branches:
        branches.append(_fields(invocation)["name"])


def _add_key(state: State, invocation: Invocation) -> Any:
    if not state["github"].get("deploy_keys", True):
        said = "gh: Validation Failed (HTTP 422)\nDeploy keys are disabled for this repository"
        raise ProgramError(1, said)
    fields = _fields(invocation)
    key = {"id": number(state), "title": fields["title"], "key": fields["key"]}
    state["github"]["keys"].append({**key, "read_only": fields["read_only"] == "true"})


def _delete_key(state: State, invocation: Invocation) -> Any:
    wanted = int(invocation.words.rsplit("/", 1)[1])
    keys = state["github"]["keys"]
    if wanted not in {key["id"] for key in keys}:
        raise ProgramError(1, "gh: Not Found (HTTP 404)")
    state["github"]["keys"] = [key for key in keys if key["id"] != wanted]
    return ""


def _variables(state: State, _asked: Invocation) -> Any:
    return [{"name": name, "value": value} for name, value in state["github"]["variables"].items()]


def _set_variable(state: State, invocation: Invocation) -> Any:
    state["github"]["variables"][invocation.words.split()[2]] = invocation.one("--body")
    return ""


def _delete_variable(state: State, invocation: Invocation) -> Any:
    if state["github"]["variables"].pop(invocation.words.split()[2], None) is None:
        raise ProgramError(1, "could not delete variable: HTTP 404")
    return ""


def _set_secret(state: State, invocation: Invocation) -> Any:
    _environment(state)["secrets"]["GUARD_DEPLOY_KEY"] = invocation.stdin
    return ""


def _delete_secret(state: State, _asked: Invocation) -> Any:
    del _environment(state)["secrets"]["GUARD_DEPLOY_KEY"]
    return ""


def _secrets(state: State, _asked: Invocation) -> Any:
    return [{"name": name} for name in _environment(state)["secrets"]]


_COURSE = {"asked": "queued", "queued": "in_progress", "in_progress": "completed"}


def _runs(state: State, _asked: Invocation) -> Any:
    """List the newest run. A new one is listed by the second look only, and over by the fourth."""
    runs = state["github"]["runs"]
    listed = [dict(run) for run in runs if run["status"] != "asked"]
    for run in runs:
        if run["status"] != "completed":
            run["status"] = _COURSE[run["status"]]
            if run["status"] == "completed":
                run["conclusion"] = image_workflow(state)
    return listed[-1:]


_FILES = (
    "check.yaml",
    "image.yaml",
    "image-schedule.yaml",
    "rollback-guard.yaml",
    "rollback-guard-schedule.yaml",
    "rollback-on-failure.yaml",
)


def _workflow_state(state: State, name: str) -> str:
    return str(state["github"]["workflows"].get(name, "active"))


def _workflows(state: State, _asked: Invocation) -> Any:
    """List nothing in a fork whose owner never enabled Actions, or for a main without the files."""
    names = [] if _unknown_to_github(state) else list(_FILES)
    listed = [
        {
            "id": number,
            "name": name,
            "path": f".github/workflows/{name}",
            "state": _workflow_state(state, name),
        }
        for number, name in enumerate(names, start=101)
        if _workflow_state(state, name) != "missing"
    ]
    return {"total_count": len(listed), "workflows": listed}


def _unknown_to_github(state: State) -> bool:
    return bool(state["github"].get("fork_without_actions") or state["github"].get("not_pushed"))


def _content(state: State, _asked: Invocation) -> Any:
    if state["github"].get("not_pushed"):
        raise ProgramError(1, "gh: Not Found (HTTP 404)")
    return {"type": "file", "path": ".github/workflows/image.yaml"}


def _enable_workflow(state: State, invocation: Invocation) -> Any:
    name = invocation.words.split()[2]
    if _unknown_to_github(state) or name not in _FILES:
        raise ProgramError(1, f"could not find any workflows named {name}")
    if not _workflow_state(state, name).startswith("disabled"):
        raise ProgramError(1, f"could not find any disabled workflows named {name}")
    state["github"]["workflows"].pop(name)
    return ""


def _actions(state: State, _asked: Invocation) -> Any:
    allowed = state["github"].get("actions", "all")
    if allowed == "none":
        return {"enabled": False}
    return {"enabled": True, "allowed_actions": allowed, "sha_pinning_required": False}


def _selected_actions(state: State, _asked: Invocation) -> Any:
    if state["github"].get("actions", "all") != "selected":
        raise ProgramError(1, "gh: Conflict (HTTP 409)")
    return state["github"]["selected"]


def _rules(state: State, _asked: Invocation) -> Any:
    return [
        {"type": rule["type"], "ruleset_id": one["id"], "ruleset_source_type": "Repository"}
        for one in state["github"]["rulesets"]
        for rule in one["rules"]
        if one["enforcement"] == "active"
    ]


def _rulesets(state: State, _asked: Invocation) -> Any:
    """List them as GitHub does: without rules and without bypass actors."""
    every = state["github"]["rulesets"]
    return [{key: one[key] for key in ("id", "name", "target", "enforcement")} for one in every]


def _ruleset(state: State, invocation: Invocation) -> Any:
    wanted = int(invocation.words.rsplit("/", 1)[1])
    for one in state["github"]["rulesets"]:
        if one["id"] == wanted:
            hidden = one.get("hidden")  # one of the organization's, seen by somebody else
            return {k: v for k, v in one.items() if not (hidden and k == "bypass_actors")}
    raise ProgramError(1, "gh: Not Found (HTTP 404)")


def _add_ruleset(state: State, invocation: Invocation) -> Any:
    given = json.loads(invocation.stdin or "")
    every = state["github"]["rulesets"]
    if given["name"] in {one["name"] for one in every}:
        raise ProgramError(1, "gh: Validation Failed (HTTP 422)\nName must be unique")
    for actor in given["bypass_actors"]:
        if actor["actor_type"] == "DeployKey" and (actor["actor_id"], actor["bypass_mode"]) != (
            None,
            "always",
        ):
            raise ProgramError(1, "gh: Invalid request.\n\nInvalid property (HTTP 422)")
    every.append({"id": number(state), **given})


def _delete_ruleset(state: State, invocation: Invocation) -> Any:
    wanted = _ruleset(state, invocation)["id"]
    kept = [one for one in state["github"]["rulesets"] if one["id"] != wanted]
    state["github"]["rulesets"] = kept
    return ""


def _run_workflow(state: State, invocation: Invocation) -> Any:
    name = invocation.words.split()[2]
    if _unknown_to_github(state):
        said = f"HTTP 404: workflow {name} not found on the default branch"
        raise ProgramError(1, said)
    if _workflow_state(state, name).startswith("disabled"):
        said = "HTTP 422: Cannot trigger a 'workflow_dispatch' on a disabled workflow"
        raise ProgramError(1, said)
    address = f"https://example.org/runs/{number(state)}"
    state["github"]["runs"].append({"status": "asked", "conclusion": "", "url": address})
    return ""


def _text(text: str) -> Callable[[State, Invocation], Any]:
    return lambda _state, _asked: text


_REPO = ("--repo",)
_COMMANDS: dict[str, FakeCommand] = {
    "version": FakeCommand(_text("gh version 2.83.0 (2026-10-01)\n")),
    "repo view": FakeCommand(lambda _s, _a: {"nameWithOwner": REPOSITORY}, ("--json",)),
    f"repo view {REPOSITORY}": FakeCommand(
        lambda _s, _a: {"nameWithOwner": REPOSITORY}, ("--json",)
    ),
    # Another repository of the same person's; it has nothing in it.
    f"repo view {OTHER}": FakeCommand(lambda _s, _a: {"nameWithOwner": OTHER}, ("--json",)),
    f"api repos/{OTHER}": FakeCommand(_other_repository),
    f"api {_ROOT}": FakeCommand(_repository),
    "api user": FakeCommand(_account("User")),
    "api orgs/example": FakeCommand(_account("Organization")),
    f"api {_ROOT}/actions/oidc/customization/sub": FakeCommand(lambda s, _a: s["github"]["oidc"]),
    f"api {_ROOT}/environments": FakeCommand(_environments),
    f"api {_ENVIRONMENT}/deployment-branch-policies": FakeCommand(_policies),
    f"api {_ROOT}/keys": FakeCommand(lambda s, _a: s["github"]["keys"], ("--paginate",)),
    "variable list": FakeCommand(_variables, (*_REPO, "--json")),
    "secret list": FakeCommand(_secrets, (*_REPO, "--env", "--json")),
    f"api {_ROOT}/actions/permissions": FakeCommand(_actions),
    f"api {_ROOT}/actions/permissions/selected-actions": FakeCommand(_selected_actions),
    f"api {_ROOT}/actions/workflows?per_page=100": FakeCommand(_workflows),
    f"api {_ROOT}/contents/.github/workflows/image.yaml?ref=main": FakeCommand(_content),
    f"api {_ROOT}/rules/branches/main?per_page=100": FakeCommand(_rules),
    f"api {_ROOT}/rulesets?includes_parents=false&per_page=100": FakeCommand(_rulesets),
    **{
        f"workflow enable {name}": FakeCommand(_enable_workflow, _REPO, changes=True)
        for name in _FILES
    },
    "run list": FakeCommand(_runs, (*_REPO, "--workflow", "--branch", "--limit", "--json")),
    "workflow run image.yaml": FakeCommand(_run_workflow, (*_REPO, "--ref"), changes=True),
    "secret set GUARD_DEPLOY_KEY": FakeCommand(_set_secret, (*_REPO, "--env"), changes=True),
    "secret delete GUARD_DEPLOY_KEY": FakeCommand(_delete_secret, (*_REPO, "--env"), changes=True),
}
# What comes after the method is the address.
_METHODS: dict[tuple[str, str], FakeCommand] = {
    ("PUT", _ENVIRONMENT): FakeCommand(_put_environment, ("--input",), changes=True),
    ("DELETE", _ENVIRONMENT): FakeCommand(_delete_environment, changes=True),
    ("POST", f"{_ENVIRONMENT}/deployment-branch-policies"): FakeCommand(
        _add_policy, ("-f",), changes=True
    ),
    ("POST", f"{_ROOT}/rulesets"): FakeCommand(_add_ruleset, ("--input",), changes=True),
    ("POST", f"{_ROOT}/keys"): FakeCommand(_add_key, ("-f", "-F"), changes=True),
}


def gh(
    argv: list[str], stdin: str | None, env: Mapping[str, str]
) -> tuple[Invocation, FakeCommand]:
    """Read a command line of `gh`."""
    if argv[1:3] == ["api", "--method"]:
        return _method(argv, stdin, env)
    if argv[1] == "api" and argv[2].startswith(f"{_ROOT}/rulesets/"):
        return read({" ".join(argv[1:3]): FakeCommand(_ruleset)}, argv, stdin, env)
    if argv[1] == "variable" and argv[2] in {"set", "delete"}:
        changing = _set_variable if argv[2] == "set" else _delete_variable
        options = (*_REPO, "--body") if argv[2] == "set" else _REPO
        commands = {" ".join(argv[1:4]): FakeCommand(changing, options, changes=True)}
        return read(commands, argv, stdin, env)
    return read(_COMMANDS, argv, stdin, env)


def _method(
    argv: list[str], stdin: str | None, env: Mapping[str, str]
) -> tuple[Invocation, FakeCommand]:
    method, address, rest = argv[3], argv[4], argv[5:]
    if method == "DELETE" and address.startswith(f"{_ROOT}/keys/"):
        command = FakeCommand(_delete_key, changes=True)
    elif method == "DELETE" and address.startswith(f"{_ROOT}/rulesets/"):
        command = FakeCommand(_delete_ruleset, changes=True)
    elif (method, address) in _METHODS:
        command = _METHODS[method, address]
    else:
        raise UnsupportedCommand(argv)
    # `-f a=b -f c=d`: one option with both.
    options: dict[str, list[str]] = {}
    for name, value in zip(rest[::2], rest[1::2], strict=True):
        options.setdefault(name, []).append(value)
    if set(options) != set(command.options):
        raise UnsupportedCommand(argv)
    return Invocation(f"{method} {address}", options, stdin, env, argv), command
