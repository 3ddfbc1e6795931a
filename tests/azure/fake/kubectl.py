"""The fake `kubectl`, `flux` and `python -m bot secrets`."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from clusters.azure.steps.kubernetes import INSTANCE, KUSTOMIZATION, OPERATOR, OPERATOR_VERSION
from tests.azure.fake.cloud import (
    FakeCommand,
    Invocation,
    ProgramError,
    State,
    UnsupportedCommand,
    read,
)
from tests.azure.fake.outcomes import flux_follows

_CONFIG = ("--kubeconfig",)
_JSON = ("--ignore-not-found", "--output")
_GONE = ("--ignore-not-found", "--wait", "--timeout")
_CRDS = {INSTANCE: "crd//fluxinstances", KUSTOMIZATION: "crd//kustomizations"}
_UNREACHABLE = "Unable to connect to the server: no such host"
_OPERATOR = f"ghcr.io/controlplaneio-fluxcd/flux-operator:{OPERATOR_VERSION}"


def cluster_of(state: State, invocation: Invocation) -> Any:
    """Find the cluster that the kubeconfig leads to."""
    file = Path(invocation.one("--kubeconfig"))
    found = state["clusters"].get(file.read_text()) if file.exists() else None
    if found is None:
        raise ProgramError(1, _UNREACHABLE)
    return found


def _objects(state: State, invocation: Invocation) -> dict[str, Any]:
    found: dict[str, Any] = cluster_of(state, invocation)["objects"]
    return found


def _key(kind: str, namespace: str, name: str) -> str:
    one = (
        kind.split(".", maxsplit=1)[0]
        .lower()
        .removesuffix("s")
        .replace("repositorie", "repository")
    )
    return f"{one}/{namespace}/{name}"


def _name_of(invocation: Invocation) -> str:
    last = invocation.words.split()[-1]
    kind, name = last.split("/") if "/" in last else invocation.words.split()[-2:]
    return _key(kind, invocation.options.get("-n", [""])[0], name)


def _get(state: State, invocation: Invocation) -> Any:
    _defined(state, invocation)
    flux_follows(state, cluster_of(state, invocation))
    return _objects(state, invocation).get(_name_of(invocation), "")


def _get_system(state: State, invocation: Invocation) -> Any:
    cluster_of(state, invocation)
    return "namespace/kube-system\n"


def _nodes(state: State, invocation: Invocation) -> Any:
    found = cluster_of(state, invocation)
    allocatable = found.get("allocatable", {"cpu": "1900m", "memory": "6271Mi"})
    return {
        "items": [
            a_node("node-1", allocatable, **found.get("node", {})),
            *found.get("more_nodes", ()),
        ]
    }


def a_node(
    name: str, allocatable: dict[str, str], arch: str = "amd64", os: str = "linux", taint: str = ""
) -> Any:
    """Return a node as the API server shows it; TAINT is an effect."""
    return {
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/arch": arch, "kubernetes.io/os": os},
        },
        "spec": {"taints": [{"key": "kept", "effect": taint}] if taint else []},
        "status": {"allocatable": allocatable},
    }


def _pods(state: State, invocation: Invocation) -> Any:
    wanted = cluster_of(state, invocation).get("taken", {"cpu": "950m", "memory": "1400Mi"})
    return {
        "items": [
            {
                "metadata": {"namespace": "kube-system", "name": "add-ons"},
                "spec": {
                    "nodeName": "node-1",
                    "containers": [{"resources": {"requests": wanted}}],
                },
                "status": {"phase": "Running"},
            }
        ]
    }


def _apply(state: State, invocation: Invocation) -> Any:
    known = _objects(state, invocation)
    if invocation.one("-f") == OPERATOR:
        known.setdefault("namespace//flux-system", {"metadata": {"name": "flux-system"}})
        container = {"name": "manager", "image": _OPERATOR}
        known["deployment/flux-system/flux-operator"] = {
            "spec": {"template": {"spec": {"containers": [container]}}},
            "status": {"availableReplicas": 1},
        }
        known["crd//fluxinstances"] = {}
        return "applied"
    if invocation.one("-f") != "-":
        raise UnsupportedCommand(invocation.argv)
    given = yaml.safe_load(invocation.stdin or "")
    meta = given["metadata"]
    namespace = meta.get("namespace", "")
    if namespace and f"namespace//{namespace}" not in known:
        raise ProgramError(1, f'namespaces "{namespace}" not found')
    if given["kind"] == "FluxInstance" and "crd//fluxinstances" not in known:
        raise ProgramError(1, 'no matches for kind "FluxInstance"')
    if given["kind"] == "Secret":
        given["data"] = {
            name: base64.b64encode(value.encode()).decode()
            for name, value in given.pop("stringData").items()
        }
    known[_key(given["kind"], namespace, meta["name"])] = given
    return "applied"


def _diff(state: State, invocation: Invocation) -> Any:
    given = yaml.safe_load(invocation.stdin or "")
    meta = given["metadata"]
    known = _objects(state, invocation).get(_key(given["kind"], meta["namespace"], meta["name"]))
    if known is None or {**known, "status": 0} != {**given, "status": 0}:
        raise ProgramError(1, "")
    return ""


def _defined(state: State, invocation: Invocation) -> None:
    """Raise ProgramError for a kind that no CustomResourceDefinition defines."""
    kind = invocation.words.split()[1]
    if kind in _CRDS and _CRDS[kind] not in _objects(state, invocation):
        raise ProgramError(1, f"error: the server doesn't have a resource type {kind!r}")


def _list(state: State, invocation: Invocation) -> Any:
    _defined(state, invocation)
    flux_follows(state, cluster_of(state, invocation))
    known = _objects(state, invocation)
    return {"items": [one for name, one in known.items() if name.startswith("kustomization/")]}


def _drop(state: State, invocation: Invocation, *starts: str) -> None:
    known = _objects(state, invocation)
    for name in [name for name in known if name.startswith(starts)]:
        del known[name]


def _delete(state: State, invocation: Invocation) -> Any:
    _defined(state, invocation)
    kind, name = invocation.words.split()[1:3]
    _drop(state, invocation, _name_of(invocation))
    if kind == "namespace":
        _drop(state, invocation, *(f"{one}/{name}/" for one in ("deployment", "configmap")))
    if kind == INSTANCE:
        _drop(state, invocation, "crd//kustomizations", "deployment/flux-system/kustomize")
    return "deleted"


def _prune(state: State, invocation: Invocation) -> Any:
    """All Kustomizations go, and what they applied; the bot's namespace is kept on purpose."""
    _defined(state, invocation)
    _drop(state, invocation, "kustomization/", "imagerepository/", "deployment/discord-sky/")
    cluster_of(state, invocation)["scanned"] = False
    return "deleted"


def _delete_namespace_of_operator(state: State, invocation: Invocation) -> Any:
    everything = ("deployment", "configmap", "secret", "fluxinstance", "kustomization")
    _drop(
        state, invocation, "namespace//flux-system", *(f"{one}/flux-system/" for one in everything)
    )


def _delete_rest_of_operator(state: State, invocation: Invocation) -> Any:
    if invocation.one("-f") != OPERATOR:
        raise UnsupportedCommand(invocation.argv)
    _drop(state, invocation, "crd//fluxinstances")
    return "deleted"


def _wait(state: State, invocation: Invocation) -> Any:
    flux_follows(state, cluster_of(state, invocation))
    if _name_of(invocation) not in _objects(state, invocation):
        raise ProgramError(1, "timed out waiting for the condition")
    return "met"


_COMMANDS: dict[str, FakeCommand] = {
    "get namespace kube-system": FakeCommand(_get_system, (*_CONFIG, "--output")),
    "get nodes": FakeCommand(_nodes, (*_CONFIG, "--output")),
    "get pods": FakeCommand(_pods, (*_CONFIG, "--all-namespaces", "--output")),
    "get namespace flux-system": FakeCommand(_get, (*_CONFIG, *_JSON)),
    **{
        f"get {what}": FakeCommand(_get, (*_CONFIG, "-n", *_JSON))
        for what in (
            "secret flux-system",
            "secret discord-webhook",
            "secret github-commit-status",
            "secret github-dispatch",
            f"{KUSTOMIZATION} alerts-discord",
            f"{KUSTOMIZATION} alerts-github",
            f"{KUSTOMIZATION} alerts-rollback",
            "deployment flux-operator",
            "configmap cluster-settings",
            f"{INSTANCE} flux",
            f"{KUSTOMIZATION} discord-sky",
            "imagerepositories.image.toolkit.fluxcd.io discord-sky",
        )
    },
    "apply": FakeCommand(_apply, (*_CONFIG, "--server-side", "-f"), changes=True),
    "diff": FakeCommand(_diff, (*_CONFIG, "--server-side", "-f")),
    "rollout status deployment/flux-operator": FakeCommand(_wait, (*_CONFIG, "-n", "--timeout")),
    "wait deployment": FakeCommand(_get_system, (*_CONFIG, "--all", "-n", "--for", "--timeout")),
    "wait fluxinstance/flux": FakeCommand(_wait, (*_CONFIG, "-n", "--for", "--timeout")),
    "get configmap discord-sky-setup": FakeCommand(_get, (*_CONFIG, "-n", *_JSON)),
    f"get {KUSTOMIZATION}": FakeCommand(_list, (*_CONFIG, "-n", *_JSON)),
    f"delete {KUSTOMIZATION}": FakeCommand(
        _prune, (*_CONFIG, "-n", "--all", "--wait", "--timeout"), changes=True
    ),
    f"delete {INSTANCE} flux": FakeCommand(_delete, (*_CONFIG, "-n", *_GONE), changes=True),
    "delete namespace discord-sky": FakeCommand(_delete, (*_CONFIG, *_GONE), changes=True),
    "delete configmap discord-sky-setup": FakeCommand(
        _delete, (*_CONFIG, "-n", *_GONE), changes=True
    ),
    "delete": FakeCommand(
        _delete_rest_of_operator,
        (*_CONFIG, "-f", *_GONE),
        changes=True,
        half=_delete_namespace_of_operator,
    ),
}


def kubectl(
    argv: list[str], stdin: str | None, env: Mapping[str, str]
) -> tuple[Invocation, FakeCommand]:
    """Read a command line of `kubectl`."""
    if argv[1:] == ["version", "--client"]:
        return Invocation("version", {}, stdin, env, argv), FakeCommand(
            lambda _state, _asked: "Client Version: v1.36.3\nKustomize Version: v5.8.1\n"
        )
    # The kubeconfig comes before the words.
    return read(_COMMANDS, [argv[0], *argv[3:], *argv[1:3]], stdin, env)


def _scan(state: State, invocation: Invocation) -> Any:
    found = cluster_of(state, invocation)
    if "imagerepository/flux-system/discord-sky" not in found["objects"]:
        raise ProgramError(1, "image repository not found")
    found["scanned"] = True
    return ""


def _substitute(_state: State, invocation: Invocation) -> Any:
    text = invocation.stdin or ""
    for name, value in invocation.env.items():
        text = text.replace(f"${{{name}}}", value)
    if "${" in text:
        raise ProgramError(1, "variable not set (strict mode)")
    return text


_FLUX: dict[str, FakeCommand] = {
    "reconcile image repository discord-sky": FakeCommand(_scan, (*_CONFIG, "-n"), changes=True),
    "envsubst": FakeCommand(_substitute, (*_CONFIG, "--strict")),
}


def flux(
    argv: list[str], stdin: str | None, env: Mapping[str, str]
) -> tuple[Invocation, FakeCommand]:
    """Read a command line of `flux`."""
    if argv[1:] == ["version", "--client"]:
        return Invocation("version", {}, stdin, env, argv), FakeCommand(
            lambda _s, _a: "flux: v2.9.5\n"
        )
    return read(_FLUX, [argv[0], *argv[3:], *argv[1:3]], stdin, env)


def _set_secret(state: State, invocation: Invocation) -> Any:
    host = invocation.one("--vault").removeprefix("https://").split(".")[0]
    (name,) = [word for word in invocation.argv if word in {"discord-token", "openai-api-key"}]
    names = state["azure"]["secrets"][host]
    if name not in names:
        names.append(name)
    return ""


def python(
    argv: list[str], stdin: str | None, env: Mapping[str, str]
) -> tuple[Invocation, FakeCommand]:
    """Read `python -m bot secrets set NAME --vault URL --no-bot`."""
    if argv[1:5] != ["-m", "bot", "secrets", "set"]:
        raise UnsupportedCommand(argv)
    command = FakeCommand(_set_secret, ("--config", "--vault", "--no-bot"), changes=True)
    return read({argv[5]: command}, [argv[0], *argv[5:]], stdin, env)
