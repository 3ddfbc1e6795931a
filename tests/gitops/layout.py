"""The layout of the manifests: an object a file, named after its kind, each applied."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from tests.gitops.findings import Finding, KubeObject, Tree, identity, load_all
from tests.gitops.render import Render

ORDER = ("apiVersion", "kind", "metadata", "spec")
# The set-up applies these, with values that no Kustomization of the repository could fill in.
APPLIED_BY_SET_UP = (
    "clusters/production/flux-instance.yaml",
    "clusters/generic/flux-instance.yaml",
)
# Many objects that differ in a number only: a file for all of them, and the kind that it may hold.
LISTS = {"leases.yaml": "Lease"}
PERSONAS_IN = "apps/discord-sky/kustomization.yaml"
LABELS = ("app.kubernetes.io/name", "app.kubernetes.io/part-of")


def check_files(tree: Tree) -> list[Finding]:
    """One object a file, named after its kind, fields in order, listed in a kustomization."""
    findings: list[Finding] = []
    listed = _listed(tree)
    for path in tree.manifests():
        where = tree.name(path)
        if path.suffix != ".yaml":
            findings.append(Finding(where, "is not named .yaml", "Rename it to .yaml."))
        try:
            documents = load_all(path.read_text())
        except yaml.YAMLError as error:
            reason = " ".join(str(error).split())
            findings.append(Finding(where, f"is not YAML: {reason}", "Correct the file."))
            continue
        findings.extend(_check_documents(where, path, documents))
        if path not in listed and where not in APPLIED_BY_SET_UP:
            remedy = "List it under `resources:` or `patches:`, or remove it."
            findings.append(Finding(where, "is in no kustomization: Flux never applies it", remedy))
    return [*findings, *_forgotten_personas(tree)]


def _forgotten_personas(tree: Tree) -> Iterator[Finding]:
    """Every persona's file is generated into the ConfigMap that the pod mounts."""
    for path in sorted(tree.root.glob("apps/*/personas/*")):
        kustomization = load_all((path.parents[1] / "kustomization.yaml").read_text())[0]
        generators = kustomization.get("configMapGenerator", [])
        generated = [name for each in generators for name in each.get("files", [])]
        if f"personas/{path.name}" not in generated:
            remedy = f"List personas/{path.name} under `configMapGenerator:` of {PERSONAS_IN}."
            yield Finding(tree.name(path), "is in no ConfigMap: the bot never reads it", remedy)


def check_labels(renders: Iterable[Render]) -> list[Finding]:
    """Every object of apps/ carries the labels that say what it belongs to."""
    return [
        Finding(
            render.where,
            f"{identity(item)} has no label {label}",
            "Set it once, under `labels:` of the kustomization.",
        )
        for render in renders
        if render.path.startswith("apps/")
        for item in render.objects
        for label in LABELS
        if label not in item["metadata"].get("labels", {})
    ]


def _check_documents(where: str, path: Path, documents: list[KubeObject]) -> Iterator[Finding]:
    if len(documents) != 1 and path.name not in LISTS:
        remedy = "Put each object into a file named after its kind."
        yield Finding(where, f"holds {len(documents)} objects", remedy)
        return
    for document in documents:
        fields = [field for field in document if field in ORDER]
        if fields != [field for field in ORDER if field in document]:
            problem = f"fields are in the order {', '.join(fields)}"
            yield Finding(where, problem, f"Order them {', '.join(ORDER)}.")
    kinds = {str(document.get("kind", "")) for document in documents}
    if path.name in LISTS:
        if kinds != {LISTS[path.name]}:
            problem = f"holds {', '.join(sorted(kinds))}"
            yield Finding(where, problem, f"Only {LISTS[path.name]} objects belong in it.")
        return
    (kind,) = kinds
    if path.name == "kustomization.yaml" and kind == "Component":
        return  # kustomize looks for this name only
    stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", kind).lower()
    if not (path.stem == stem or path.stem.startswith(f"{stem}-")):
        remedy = f"Name it {stem}.yaml, or {stem}-<name>.yaml where there are several."
        yield Finding(where, f"holds a {kind}", remedy)


def _listed(tree: Tree) -> set[Path]:
    """Every file that a kustomization names, and the kustomizations that are reached."""
    listed: set[Path] = set()
    for path in tree.manifests():
        if path.name != "kustomization.yaml":
            continue
        listed.add(path)
        kustomization = (load_all(path.read_text()) or [{}])[0]
        patches = [patch.get("path") for patch in kustomization.get("patches", [])]
        names = [*kustomization.get("resources", []), *patches]
        listed.update((path.parent / name).resolve() for name in names if name)
    return listed
