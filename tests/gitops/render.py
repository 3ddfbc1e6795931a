"""Each cluster as Flux renders it: the root Kustomization and, recursively, its children.

`flux build` reads no cluster, so that a test hands it what `cluster-settings` would hold. A
variable that is not in there is an error, as it is for the controller.
"""

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.gitops.findings import Finding, KubeObject, RenderFailed, Tree, identity, load_all
from tests.tools import tool

SYNC_INTERVAL = "10m"
GIT_URL = "ssh://git@git.example/discord-sky"  # made up


@dataclass(frozen=True)
class Render:
    """What one Flux Kustomization of one cluster applies."""

    cluster: str
    kustomization: str
    path: str
    objects: tuple[KubeObject, ...]

    @property
    def where(self) -> str:
        """How a finding names this render."""
        return f"{self.path} (cluster {self.cluster})"


def root_kustomization(cluster: str) -> KubeObject:
    """Return the root as the set-up, or the loop, creates it: plain, without substitution."""
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "flux-system", "namespace": "flux-system"},
        "spec": {
            "interval": SYNC_INTERVAL,
            "path": f"./clusters/{cluster}",
            "prune": True,
            "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
        },
    }


def render_cluster(tree: Tree, cluster: str) -> list[Render]:
    """Render CLUSTER from its root down. Raises RenderFailed at the first that Flux refuses."""
    settings = tree.settings_of(cluster)
    renders: list[Render] = []
    waiting = [root_kustomization(cluster)]
    while waiting:
        kustomization = waiting.pop(0)
        objects = _build(tree, cluster, _with_settings(kustomization, settings))
        name, path = kustomization["metadata"]["name"], kustomization["spec"]["path"]
        renders.append(Render(cluster, name, path.removeprefix("./"), tuple(objects)))
        waiting.extend(item for item in objects if _is_flux_kustomization(item))
    return renders


def render_flux_instance(
    tree: Tree, git_url: str | None = GIT_URL, *, cluster: str = "production"
) -> KubeObject:
    """Fill CLUSTER's flux-instance.yaml in as the set-up does. Raises RenderFailed."""
    path = tree.root / f"clusters/{cluster}/flux-instance.yaml"
    address = {} if git_url is None else {"GIT_URL": git_url}
    values = {**tree.settings_of(cluster), **address}
    done = subprocess.run(
        [tool("flux"), "envsubst", "--strict"],
        input=path.read_text(),
        env=values,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RenderFailed(_refused(tree.name(path), done.stderr))
    (instance,) = load_all(done.stdout)
    return instance


def _is_flux_kustomization(item: KubeObject) -> bool:
    group = str(item["apiVersion"]).partition("/")[0]
    return group == "kustomize.toolkit.fluxcd.io" and item["kind"] == "Kustomization"


def _with_settings(kustomization: KubeObject, settings: Mapping[str, str]) -> KubeObject:
    """Put SETTINGS in place of the ConfigMap that only a cluster has."""
    spec = dict(kustomization["spec"])
    if post_build := dict(spec.get("postBuild", {})):
        sources = post_build.pop("substituteFrom", [])
        if any(source["name"] == "cluster-settings" for source in sources):
            post_build["substitute"] = dict(settings)
        spec["postBuild"] = post_build
    return {**kustomization, "spec": spec}


def _build(tree: Tree, cluster: str, kustomization: KubeObject) -> list[KubeObject]:
    name, path = kustomization["metadata"]["name"], kustomization["spec"]["path"]
    where = f"{path.removeprefix('./')} (cluster {cluster})"
    if not (tree.root / path).is_dir():
        remedy = f"Correct spec.path of {identity(kustomization)}."
        raise RenderFailed(Finding(where, f"{path} is not a folder of the repository", remedy))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kustomization.yaml"
        file.write_text(yaml.safe_dump(kustomization))
        done = subprocess.run(
            [
                *(tool("flux"), "build", "kustomization", name, "--namespace=flux-system"),
                *(f"--path={path}", f"--kustomization-file={file}"),
                *("--dry-run", "--strict-substitute", "--in-memory-build"),
            ],
            cwd=tree.root,
            check=False,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise RenderFailed(_refused(where, done.stderr))
    return load_all(done.stdout)


def _refused(where: str, stderr: str) -> Finding:
    """Turn what Flux says into a finding: its last line has the reason."""
    lines = [line.strip(" ✗") for line in stderr.splitlines() if line.strip()]
    problem = lines[-1] if lines else "flux failed without a message"
    if "variable not set" in problem:
        remedy = (
            "Set it in cluster-settings (clusters/README.md lists the names), or correct the name."
        )
    else:
        remedy = "`kubectl kustomize` on this folder reports the same."
    return Finding(where, problem, remedy)
