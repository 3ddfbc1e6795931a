"""The scripted `gh`, for one repository."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.azure.fake.outcomes import image_workflow
from tests.azure.fake.world import REPOSITORY, Asked, Refused, State, Unknown, Verb, number, read

OTHER = "example/other"
_ROOT = f"repos/{REPOSITORY}"
_ENVIRONMENT = f"{_ROOT}/environments/rollback-guard"


def _fields(asked: Asked) -> dict[str, str]:
    given = [*asked.options.get("-f", ()), *asked.options.get("-F", ())]
    return dict(one.split("=", 1) for one in given)


def _environment(state: State) -> Any:
    found = state["github"]["environments"].get("rollback-guard")
    if found is None:
        raise Refused(1, "gh: Not Found (HTTP 404)")
    return found


def _repository(state: State, _asked: Asked) -> Any:
    return {
        "full_name": REPOSITORY,
        "name": "discord-sky",
        "id": 22,
        "owner": {"login": "example", "id": 11, "type": state["github"].get("owner", "User")},
        "private": "plan" in state["github"],
        "default_branch": state["github"].get("default_branch", "main"),
        "permissions": {"admin": state["github"].get("admin", True)},
    }


def _other_repository(state: State, _asked: Asked) -> Any:
    renamed = state["github"].get("renamed", {})
    if renamed.get(OTHER) == "":
        raise Refused(1, "gh: Not Found (HTTP 404)")
    return {"full_name": renamed.get(OTHER, OTHER)}


def _account(kind: str) -> Callable[[State, Asked], Any]:
    """Show an account with its plan, if the owner is of that kind; a stranger has another name."""

    def answer(state: State, _asked: Asked) -> Any:
        mine = state["github"].get("owner", "User") == kind
        plan = {"plan": {"name": state["github"]["plan"]}}
        return {"login": "example" if mine else "somebody", **plan}

    return answer


def _environments(state: State, _asked: Asked) -> Any:
    every = state["github"]["environments"]
    return {
        "environments": [
            {"name": name, "deployment_branch_policy": one["policy"]} for name, one in every.items()
        ]
    }


def _put_environment(state: State, asked: Asked) -> Any:
    policy = json.loads(asked.stdin or "")["deployment_branch_policy"]
    every = state["github"]["environments"]
    every.setdefault("rollback-guard", {"branches": [], "secrets": {}})["policy"] = policy


def _delete_environment(state: State, _asked: Asked) -> Any:
    _environment(state)
    del state["github"]["environments"]["rollback-guard"]
    return ""


def _policies(state: State, _asked: Asked) -> Any:
    return {"branch_policies": [{"name": name} for name in _environment(state)["branches"]]}


def _add_policy(state: State, asked: Asked) -> Any:
    branches = _environment(state)["branches"]
    if _fields(asked)["name"] not in branches:
        branches.append(_fields(asked)["name"])


def _add_key(state: State, asked: Asked) -> Any:
    fields = _fields(asked)
    key = {"id": number(state), "title": fields["title"], "key": fields["key"]}
    state["github"]["keys"].append({**key, "read_only": fields["read_only"] == "true"})


def _delete_key(state: State, asked: Asked) -> Any:
    wanted = int(asked.words.rsplit("/", 1)[1])
    keys = state["github"]["keys"]
    if wanted not in {key["id"] for key in keys}:
        raise Refused(1, "gh: Not Found (HTTP 404)")
    state["github"]["keys"] = [key for key in keys if key["id"] != wanted]
    return ""


def _variables(state: State, _asked: Asked) -> Any:
    return [{"name": name, "value": value} for name, value in state["github"]["variables"].items()]


def _set_variable(state: State, asked: Asked) -> Any:
    state["github"]["variables"][asked.words.split()[2]] = asked.one("--body")
    return ""


def _delete_variable(state: State, asked: Asked) -> Any:
    if state["github"]["variables"].pop(asked.words.split()[2], None) is None:
        raise Refused(1, "could not delete variable: HTTP 404")
    return ""


def _set_secret(state: State, asked: Asked) -> Any:
    _environment(state)["secrets"]["GUARD_DEPLOY_KEY"] = asked.stdin
    return ""


def _delete_secret(state: State, _asked: Asked) -> Any:
    del _environment(state)["secrets"]["GUARD_DEPLOY_KEY"]
    return ""


def _secrets(state: State, _asked: Asked) -> Any:
    return [{"name": name} for name in _environment(state)["secrets"]]


_COURSE = {"asked": "queued", "queued": "in_progress", "in_progress": "completed"}


def _runs(state: State, _asked: Asked) -> Any:
    """List the newest run. A new one is listed by the second look only, and over by the fourth."""
    runs = state["github"]["runs"]
    listed = [dict(run) for run in runs if run["status"] != "asked"]
    for run in runs:
        if run["status"] != "completed":
            run["status"] = _COURSE[run["status"]]
            if run["status"] == "completed":
                run["conclusion"] = image_workflow(state)
    return listed[-1:]


def _run_workflow(state: State, _asked: Asked) -> Any:
    address = f"https://example.org/runs/{number(state)}"
    state["github"]["runs"].append({"status": "asked", "conclusion": "", "url": address})
    return ""


def _text(text: str) -> Callable[[State, Asked], Any]:
    return lambda _state, _asked: text


_REPO = ("--repo",)
_VERBS: dict[str, Verb] = {
    "version": Verb(_text("gh version 2.83.0 (2026-10-01)\n")),
    "repo view": Verb(lambda _s, _a: {"nameWithOwner": REPOSITORY}, ("--json",)),
    f"repo view {REPOSITORY}": Verb(lambda _s, _a: {"nameWithOwner": REPOSITORY}, ("--json",)),
    # Another repository of the same person's; it has nothing in it.
    f"repo view {OTHER}": Verb(lambda _s, _a: {"nameWithOwner": OTHER}, ("--json",)),
    f"api repos/{OTHER}": Verb(_other_repository),
    f"api {_ROOT}": Verb(_repository),
    "api user": Verb(_account("User")),
    "api orgs/example": Verb(_account("Organization")),
    f"api {_ROOT}/actions/oidc/customization/sub": Verb(lambda s, _a: s["github"]["oidc"]),
    f"api {_ROOT}/environments": Verb(_environments),
    f"api {_ENVIRONMENT}/deployment-branch-policies": Verb(_policies),
    f"api {_ROOT}/keys": Verb(lambda s, _a: s["github"]["keys"], ("--paginate",)),
    "variable list": Verb(_variables, (*_REPO, "--json")),
    "secret list": Verb(_secrets, (*_REPO, "--env", "--json")),
    "run list": Verb(_runs, (*_REPO, "--workflow", "--branch", "--limit", "--json")),
    "workflow run image.yaml": Verb(_run_workflow, (*_REPO, "--ref"), changes=True),
    "secret set GUARD_DEPLOY_KEY": Verb(_set_secret, (*_REPO, "--env"), changes=True),
    "secret delete GUARD_DEPLOY_KEY": Verb(_delete_secret, (*_REPO, "--env"), changes=True),
}
# What comes after the method is the address.
_METHODS: dict[tuple[str, str], Verb] = {
    ("PUT", _ENVIRONMENT): Verb(_put_environment, ("--input",), changes=True),
    ("DELETE", _ENVIRONMENT): Verb(_delete_environment, changes=True),
    ("POST", f"{_ENVIRONMENT}/deployment-branch-policies"): Verb(
        _add_policy, ("-f",), changes=True
    ),
    ("POST", f"{_ROOT}/keys"): Verb(_add_key, ("-f", "-F"), changes=True),
}


def gh(argv: list[str], stdin: str | None, env: Mapping[str, str]) -> tuple[Asked, Verb]:
    """Read a command line of `gh`."""
    if argv[1:3] == ["api", "--method"]:
        return _method(argv, stdin, env)
    if argv[1] == "variable" and argv[2] in {"set", "delete"}:
        changing = _set_variable if argv[2] == "set" else _delete_variable
        options = (*_REPO, "--body") if argv[2] == "set" else _REPO
        verbs = {" ".join(argv[1:4]): Verb(changing, options, changes=True)}
        return read(verbs, argv, stdin, env)
    return read(_VERBS, argv, stdin, env)


def _method(argv: list[str], stdin: str | None, env: Mapping[str, str]) -> tuple[Asked, Verb]:
    method, address, rest = argv[3], argv[4], argv[5:]
    if method == "DELETE" and address.startswith(f"{_ROOT}/keys/"):
        verb = Verb(_delete_key, changes=True)
    elif (method, address) in _METHODS:
        verb = _METHODS[method, address]
    else:
        raise Unknown(argv)
    # `-f a=b -f c=d`: one option with both.
    options: dict[str, list[str]] = {}
    for name, value in zip(rest[::2], rest[1::2], strict=True):
        options.setdefault(name, []).append(value)
    if set(options) != set(verb.options):
        raise Unknown(argv)
    return Asked(f"{method} {address}", options, stdin, env, argv), verb
