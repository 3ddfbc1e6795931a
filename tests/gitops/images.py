"""Which image runs: setter comments, tags and digests, in the sources and in what is rendered."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.gitops.findings import Finding, KubeObject, Tree, identity
from tests.gitops.render import Render

_SETTER = re.compile(r"#\s*(?P<json>\{.*\$imagepolicy.*)$")
_REFERENCE = re.compile(r"^[^\s@:]+(:\d+)?(/[^\s@:]+)+:(?P<tag>[\w][\w.-]*)@sha256:[0-9a-f]{64}$")
_FROM = re.compile(r"^FROM\s+(?P<image>\S+)(?:\s+AS\s+(?P<stage>\S+))?", re.IGNORECASE)
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
SETTER_FIELDS = ("tag", "digest", "name")


def check_sources(tree: Tree) -> list[Finding]:
    """Find `latest`, in whatever file an image may be named, and base images without a digest."""
    findings = check_base_images(tree)
    for path in (*tree.manifests(), *_others(tree)):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            code = line.split(" #", 1)[0]
            if re.search(r":latest\b|(?:newTag|tag):\s*[\"']?latest\b", code):
                where = f"{tree.name(path)}:{number}"
                remedy = "Name a version and its digest: `latest` is another image tomorrow."
                findings.append(Finding(where, "the tag `latest`", remedy))
    return findings


def check_base_images(tree: Tree) -> list[Finding]:
    """Each stage of a Dockerfile comes from an image with a digest, or from another stage."""
    findings = []
    stages: set[str] = set()
    for path in sorted(tree.root.glob("Dockerfile*")):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            found = _FROM.match(line)
            if found and found["image"] not in stages and not _REFERENCE.match(found["image"]):
                where = f"{tree.name(path)}:{number}"
                remedy = (
                    "Write tag@sha256:digest: without it the image is not part of what the bot's "
                    "image is found by, and Dependabot proposes no patched one."
                )
                findings.append(Finding(where, f"{found['image']} has no digest", remedy))
            if found and found["stage"]:
                stages.add(found["stage"])
    return findings


def check_rendered(renders: Iterable[Render]) -> list[Finding]:
    """Every container's image is `registry/name:tag@sha256:digest`."""
    return [
        Finding(
            render.where,
            f"{identity(item)}: image {image} is not registry/name:tag@sha256:digest",
            "Give it `newTag` and `digest` under `images:` of the kustomization.",
        )
        for render in renders
        for item in render.objects
        for image in container_images(item)
        if not _REFERENCE.match(image)
    ]


def check_setters(tree: Tree, cluster: str, renders: Iterable[Render]) -> list[Finding]:
    """Each setter comment names an ImagePolicy of CLUSTER, and each automation finds one."""
    objects = [item for render in renders for item in render.objects]
    policies = {_key(item) for item in objects if item["kind"] == "ImagePolicy"}
    findings: list[Finding] = []
    for path in tree.manifests():
        for where, marker in _markers(tree, path):
            findings.extend(_check_marker(where, marker, policies, cluster))
    for item in objects:
        if item["kind"] == "ImageUpdateAutomation":
            findings.extend(_check_automation(tree, item, cluster))
    return findings


def container_images(item: Any) -> Iterator[str]:
    """Every image named in a pod spec anywhere inside ITEM."""
    if isinstance(item, dict):
        for field, value in item.items():
            if field in _CONTAINERS and isinstance(value, list):
                yield from (str(container.get("image", "")) for container in value)
            else:
                yield from container_images(value)
    elif isinstance(item, list):
        for value in item:
            yield from container_images(value)


def _others(tree: Tree) -> Iterator[Path]:
    yield from (path for path in [tree.root / "Dockerfile"] if path.is_file())
    yield from sorted((tree.root / ".github").rglob("*.y*ml"))


def _key(item: KubeObject) -> str:
    return f"{item['metadata']['namespace']}:{item['metadata']['name']}"


def _markers(tree: Tree, path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if found := _SETTER.search(line):
            yield f"{tree.name(path)}:{number}", found["json"]


def _check_marker(where: str, marker: str, policies: set[str], cluster: str) -> Iterator[Finding]:
    try:
        setter = str(yaml.safe_load(marker)["$imagepolicy"])
    except (yaml.YAMLError, KeyError, TypeError):
        remedy = 'Write # {"$imagepolicy": "namespace:name:tag"}; Flux ignores it otherwise.'
        yield Finding(where, f"the setter comment is not JSON: {marker}", remedy)
        return
    namespace, _, rest = setter.partition(":")
    name, _, field = rest.partition(":")
    if f"{namespace}:{name}" not in policies:
        known = ", ".join(sorted(policies)) or "none"
        problem = f"the setter comment names {namespace}:{name}, no ImagePolicy of {cluster}"
        yield Finding(where, problem, f"Name one of these: {known}.")
    if field and field not in SETTER_FIELDS:
        problem = f"the setter comment wants `{field}` of the image"
        yield Finding(where, problem, f"Name one of these: {', '.join(SETTER_FIELDS)}, or none.")


def _check_automation(tree: Tree, item: KubeObject, cluster: str) -> Iterator[Finding]:
    below = item["spec"].get("update", {}).get("path", ".")
    folder = (tree.root / below).resolve()
    marked = any(
        True
        for path in tree.manifests()
        if path.resolve().is_relative_to(folder)
        for _ in _markers(tree, path)
    )
    if not marked:
        problem = f"{identity(item)} updates {below}, where no setter comment is"
        yield Finding(f"clusters/{cluster}", problem, "Correct spec.update.path, or mark a field.")
