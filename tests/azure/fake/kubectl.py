"""The scripted `kubectl`, `flux` and `python -m bot secrets`."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from clusters.azure.steps.kubernetes import INSTANCE, KUSTOMIZATION, OPERATOR, OPERATOR_VERSION
from tests.azure.fake.outcomes import flux_follows
from tests.azure.fake.world import Asked, Refused, State, Unknown, Verb, read

_CONFIG = ("--kubeconfig",)
_JSON = ("--ignore-not-found", "--output")
_GONE = ("--ignore-not-found", "--wait", "--timeout")
_CRDS = {INSTANCE: "crd//fluxinstances", KUSTOMIZATION: "crd//kustomizations"}
_UNREACHABLE = "Unable to connect to the server: no such host"
_OPERATOR = f"ghcr.io/controlplaneio-fluxcd/flux-operator:{OPERATOR_VERSION}"


def cluster_of(state: State, asked: Asked) -> Any:
    """Find the cluster that the kubeconfig leads to."""
    file = Path(asked.one("--kubeconfig"))
    found = state["clusters"].get(file.read_text()) if file.exists() else None
    if found is None:
        raise Refused(1, _UNREACHABLE)
    return found


def _objects(state: State, asked: Asked) -> dict[str, Any]:
    found: dict[str, Any] = cluster_of(state, asked)["objects"]
    return found


def _key(kind: str, namespace: str, name: str) -> str:
    one = (
        kind.split(".", maxsplit=1)[0]
        .lower()
        .removesuffix("s")
        .replace("repositorie", "repository")
    )
    return f"{one}/{namespace}/{name}"


def _name_of(asked: Asked) -> str:
    last = asked.words.split()[-1]
    kind, name = last.split("/") if "/" in last else asked.words.split()[-2:]
    return _key(kind, asked.options.get("-n", [""])[0], name)


def _get(state: State, asked: Asked) -> Any:
    _defined(state, asked)
    flux_follows(state, cluster_of(state, asked))
    return _objects(state, asked).get(_name_of(asked), "")


def _get_system(state: State, asked: Asked) -> Any:
    cluster_of(state, asked)
    return "namespace/kube-system\n"


def _nodes(state: State, asked: Asked) -> Any:
    found = cluster_of(state, asked)
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
    """Write a node as the API server shows it; TAINT is an effect."""
    return {
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/arch": arch, "kubernetes.io/os": os},
        },
        "spec": {"taints": [{"key": "kept", "effect": taint}] if taint else []},
        "status": {"allocatable": allocatable},
    }


def _pods(state: State, asked: Asked) -> Any:
    wanted = cluster_of(state, asked).get("taken", {"cpu": "950m", "memory": "1400Mi"})
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


def _apply(state: State, asked: Asked) -> Any:
    known = _objects(state, asked)
    if asked.one("-f") == OPERATOR:
        known.setdefault("namespace//flux-system", {"metadata": {"name": "flux-system"}})
        container = {"name": "manager", "image": _OPERATOR}
        known["deployment/flux-system/flux-operator"] = {
            "spec": {"template": {"spec": {"containers": [container]}}},
            "status": {"availableReplicas": 1},
        }
        known["crd//fluxinstances"] = {}
        return "applied"
    if asked.one("-f") != "-":
        raise Unknown(asked.argv)
    given = yaml.safe_load(asked.stdin or "")
    meta = given["metadata"]
    namespace = meta.get("namespace", "")
    if namespace and f"namespace//{namespace}" not in known:
        raise Refused(1, f'namespaces "{namespace}" not found')
    if given["kind"] == "FluxInstance" and "crd//fluxinstances" not in known:
        raise Refused(1, 'no matches for kind "FluxInstance"')
    if given["kind"] == "Secret":
        given["data"] = {
            name: base64.b64encode(value.encode()).decode()
            for name, value in given.pop("stringData").items()
        }
    known[_key(given["kind"], namespace, meta["name"])] = given
    return "applied"


def _diff(state: State, asked: Asked) -> Any:
    given = yaml.safe_load(asked.stdin or "")
    meta = given["metadata"]
    known = _objects(state, asked).get(_key(given["kind"], meta["namespace"], meta["name"]))
    if known is None or {**known, "status": 0} != {**given, "status": 0}:
        raise Refused(1, "")
    return ""


def _defined(state: State, asked: Asked) -> None:
    """Raise Refused for a kind that no CustomResourceDefinition defines."""
    kind = asked.words.split()[1]
    if kind in _CRDS and _CRDS[kind] not in _objects(state, asked):
        raise Refused(1, f"error: the server doesn't have a resource type {kind!r}")


def _list(state: State, asked: Asked) -> Any:
    _defined(state, asked)
    flux_follows(state, cluster_of(state, asked))
    known = _objects(state, asked)
    return {"items": [one for name, one in known.items() if name.startswith("kustomization/")]}


def _drop(state: State, asked: Asked, *starts: str) -> None:
    known = _objects(state, asked)
    for name in [name for name in known if name.startswith(starts)]:
        del known[name]


def _delete(state: State, asked: Asked) -> Any:
    _defined(state, asked)
    kind, name = asked.words.split()[1:3]
    _drop(state, asked, _name_of(asked))
    if kind == "namespace":
        _drop(state, asked, *(f"{one}/{name}/" for one in ("deployment", "configmap")))
    if kind == INSTANCE:
        _drop(state, asked, "crd//kustomizations", "deployment/flux-system/kustomize")
    return "deleted"


def _prune(state: State, asked: Asked) -> Any:
    """All Kustomizations go, and what they applied; the bot's namespace is kept on purpose."""
    _defined(state, asked)
    _drop(state, asked, "kustomization/", "imagerepository/", "deployment/discord-sky/")
    cluster_of(state, asked)["scanned"] = False
    return "deleted"


def _delete_namespace_of_operator(state: State, asked: Asked) -> Any:
    everything = ("deployment", "configmap", "secret", "fluxinstance", "kustomization")
    _drop(state, asked, "namespace//flux-system", *(f"{one}/flux-system/" for one in everything))


def _delete_rest_of_operator(state: State, asked: Asked) -> Any:
    if asked.one("-f") != OPERATOR:
        raise Unknown(asked.argv)
    _drop(state, asked, "crd//fluxinstances")
    return "deleted"


def _wait(state: State, asked: Asked) -> Any:
    flux_follows(state, cluster_of(state, asked))
    if _name_of(asked) not in _objects(state, asked):
        raise Refused(1, "timed out waiting for the condition")
    return "met"


_VERBS: dict[str, Verb] = {
    "get namespace kube-system": Verb(_get_system, (*_CONFIG, "--output")),
    "get nodes": Verb(_nodes, (*_CONFIG, "--output")),
    "get pods": Verb(_pods, (*_CONFIG, "--all-namespaces", "--output")),
    "get namespace flux-system": Verb(_get, (*_CONFIG, *_JSON)),
    **{
        f"get {what}": Verb(_get, (*_CONFIG, "-n", *_JSON))
        for what in (
            "secret flux-system",
            "secret discord-webhook",
            "secret github-commit-status",
            f"{KUSTOMIZATION} alerts-discord",
            f"{KUSTOMIZATION} alerts-github",
            "deployment flux-operator",
            "configmap cluster-settings",
            f"{INSTANCE} flux",
            f"{KUSTOMIZATION} discord-sky",
            "imagerepositories.image.toolkit.fluxcd.io discord-sky",
        )
    },
    "apply": Verb(_apply, (*_CONFIG, "--server-side", "-f"), changes=True),
    "diff": Verb(_diff, (*_CONFIG, "--server-side", "-f")),
    "rollout status deployment/flux-operator": Verb(_wait, (*_CONFIG, "-n", "--timeout")),
    "wait deployment": Verb(_get_system, (*_CONFIG, "--all", "-n", "--for", "--timeout")),
    "wait fluxinstance/flux": Verb(_wait, (*_CONFIG, "-n", "--for", "--timeout")),
    "get configmap discord-sky-setup": Verb(_get, (*_CONFIG, "-n", *_JSON)),
    f"get {KUSTOMIZATION}": Verb(_list, (*_CONFIG, "-n", *_JSON)),
    f"delete {KUSTOMIZATION}": Verb(
        _prune, (*_CONFIG, "-n", "--all", "--wait", "--timeout"), changes=True
    ),
    f"delete {INSTANCE} flux": Verb(_delete, (*_CONFIG, "-n", *_GONE), changes=True),
    "delete namespace discord-sky": Verb(_delete, (*_CONFIG, *_GONE), changes=True),
    "delete configmap discord-sky-setup": Verb(_delete, (*_CONFIG, "-n", *_GONE), changes=True),
    "delete": Verb(
        _delete_rest_of_operator,
        (*_CONFIG, "-f", *_GONE),
        changes=True,
        half=_delete_namespace_of_operator,
    ),
}


def kubectl(argv: list[str], stdin: str | None, env: Mapping[str, str]) -> tuple[Asked, Verb]:
    """Read a command line of `kubectl`."""
    if argv[1:] == ["version", "--client"]:
        return Asked("version", {}, stdin, env, argv), Verb(
            lambda _state, _asked: "Client Version: v1.36.3\nKustomize Version: v5.8.1\n"
        )
    # The kubeconfig comes before the words.
    return read(_VERBS, [argv[0], *argv[3:], *argv[1:3]], stdin, env)


def _scan(state: State, asked: Asked) -> Any:
    found = cluster_of(state, asked)
    if "imagerepository/flux-system/discord-sky" not in found["objects"]:
        raise Refused(1, "image repository not found")
    found["scanned"] = True
    return ""


def _substitute(_state: State, asked: Asked) -> Any:
    text = asked.stdin or ""
    for name, value in asked.env.items():
        text = text.replace(f"${{{name}}}", value)
    if "${" in text:
        raise Refused(1, "variable not set (strict mode)")
    return text


_FLUX: dict[str, Verb] = {
    "reconcile image repository discord-sky": Verb(_scan, (*_CONFIG, "-n"), changes=True),
    "envsubst": Verb(_substitute, (*_CONFIG, "--strict")),
}


def flux(argv: list[str], stdin: str | None, env: Mapping[str, str]) -> tuple[Asked, Verb]:
    """Read a command line of `flux`."""
    if argv[1:] == ["version", "--client"]:
        return Asked("version", {}, stdin, env, argv), Verb(lambda _s, _a: "flux: v2.9.5\n")
    return read(_FLUX, [argv[0], *argv[3:], *argv[1:3]], stdin, env)


def _set_secret(state: State, asked: Asked) -> Any:
    host = asked.one("--vault").removeprefix("https://").split(".")[0]
    (name,) = [word for word in asked.argv if word in {"discord-token", "openai-api-key"}]
    names = state["azure"]["secrets"][host]
    if name not in names:
        names.append(name)
    return ""


def python(argv: list[str], stdin: str | None, env: Mapping[str, str]) -> tuple[Asked, Verb]:
    """Read `python -m bot secrets set NAME --vault URL --no-bot`."""
    if argv[1:5] != ["-m", "bot", "secrets", "set"]:
        raise Unknown(argv)
    verb = Verb(_set_secret, ("--config", "--vault", "--no-bot"), changes=True)
    return read({argv[5]: verb}, [argv[0], *argv[5:]], stdin, env)
