"""Which fields of the Flux objects the stand-in honours; every other one stalls its object.

The lists follow the CRDs of Flux 2.9. A field that Flux knows and this stand-in
does not is refused by name, so that nobody believes the loop has tried it.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tests.loop.image_controllers.model import Json, Refused

REASON = "FieldNotHonoured"

# A leaf is honoured whole (strings, lists, maps that people fill); a mapping is looked into.
_Tree = Mapping[str, "_Tree | None"]

_REF: _Tree = {"branch": None}
HONOURED: Mapping[str, _Tree] = MappingProxyType(
    {
        "ImageRepository": {
            "image": None,
            "interval": None,
            "timeout": None,
            "suspend": None,
            "exclusionList": None,
            "provider": None,
            "insecure": None,
        },
        "ImagePolicy": {
            "imageRepositoryRef": {"name": None, "namespace": None},
            "policy": {
                "semver": {"range": None},
                "alphabetical": {"order": None},
                "numerical": {"order": None},
            },
            "filterTags": {"pattern": None, "extract": None},
            "digestReflectionPolicy": None,
            "interval": None,
            "suspend": None,
        },
        "ImageUpdateAutomation": {
            "sourceRef": {"apiVersion": None, "kind": None, "name": None, "namespace": None},
            "git": {
                "checkout": {"ref": _REF},
                "commit": {
                    "author": {"name": None, "email": None},
                    "messageTemplate": None,
                    "messageTemplateValues": None,
                },
                "push": {"branch": None},
            },
            "interval": None,
            "policySelector": {"matchLabels": None, "matchExpressions": None},
            "update": {"strategy": None, "path": None},
            "suspend": None,
        },
        # Read by source-controller too. The first line matters to a push, the second never does.
        "GitRepository": {
            "url": None, "ref": _REF, "timeout": None, "provider": None,
            "interval": None, "ignore": None, "include": None, "recurseSubmodules": None,
            "sparseCheckout": None, "suspend": None, "verify": None,
        },
    }
)  # fmt: skip

_ONLY: Mapping[tuple[str, str], frozenset[Any]] = MappingProxyType(
    {
        ("ImageRepository", "provider"): frozenset({"generic"}),
        ("ImagePolicy", "digestReflectionPolicy"): frozenset({"Never", "IfNotPresent", "Always"}),
        ("ImagePolicy", "policy.alphabetical.order"): frozenset({"asc", "desc"}),
        ("ImagePolicy", "policy.numerical.order"): frozenset({"asc", "desc"}),
        ("ImageUpdateAutomation", "sourceRef.kind"): frozenset({"GitRepository"}),
        ("GitRepository", "provider"): frozenset({"generic"}),
    }
)


def refusals(kind: str, spec: Json) -> list[str]:
    """Name every field of a spec that is not honoured, as `spec.a.b`, with the reason."""
    return sorted(_walk(kind, HONOURED[kind], spec, ""))


def check(kind: str, spec: Json) -> None:
    """Raise Refused with all of `refusals` in one message, or return."""
    found = refusals(kind, spec)
    if found:
        raise Refused(found[0].split(" ", maxsplit=1)[0], f"not honoured here ({'; '.join(found)})")


def _walk(kind: str, tree: _Tree, value: Json, prefix: str) -> Iterator[str]:
    for name, child in value.items():
        path = f"{prefix}{name}"
        if name not in tree:
            yield f"spec.{path} is not honoured by this stand-in"
            continue
        below = tree[name]
        allowed = _ONLY.get((kind, path))
        if below is not None and isinstance(child, dict):
            yield from _walk(kind, below, child, f"{path}.")
        elif below is not None:
            yield f"spec.{path} should be a mapping"
        elif allowed is not None and child not in allowed:
            yield f"spec.{path} {child!r} is not honoured: only {', '.join(sorted(allowed))}"
