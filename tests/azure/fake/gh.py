"""The scripted `gh`, for one repository."""

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
        plan = {"plan": {"name": state["github"]["plan"]}}
        return {"login": "example" if mine else "somebody", **plan}

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


def _run_workflow(state: State, _asked: Invocation) -> Any:
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
    ("POST", f"{_ROOT}/keys"): FakeCommand(_add_key, ("-f", "-F"), changes=True),
}


def gh(
    argv: list[str], stdin: str | None, env: Mapping[str, str]
) -> tuple[Invocation, FakeCommand]:
    """Read a command line of `gh`."""
    if argv[1:3] == ["api", "--method"]:
        return _method(argv, stdin, env)
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
