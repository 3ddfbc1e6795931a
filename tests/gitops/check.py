"""All checks over a tree, with counts of what was looked at."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.gitops.actions import check_actions
from tests.gitops.admission import admit
from tests.gitops.apiserver import ApiServer
from tests.gitops.bot_settings import check_settings
from tests.gitops.conform import conform
from tests.gitops.findings import Finding, KubeObject, RenderFailed, Tree
from tests.gitops.identifiers import check_identifiers
from tests.gitops.images import check_rendered, check_setters, check_sources
from tests.gitops.layout import check_files, check_labels
from tests.gitops.render import Render, render_cluster, render_flux_instance

# These look at files as they lie; the others at what Flux makes of them.
WITHOUT_RENDER = ("files", "identifiers", "actions", "latest")


@dataclass(frozen=True)
class Result:
    """One check: how much it looked at, in words, and what it found."""

    check: str
    looked_at: str
    findings: tuple[Finding, ...]
    seconds: float


@dataclass
class Run:
    """The checks over one tree. Each renders at most once; a failed render is a finding."""

    tree: Tree
    server: ApiServer | None = None
    renders: list[Render] = field(default_factory=list)
    instances: dict[str, KubeObject] = field(default_factory=dict)

    def results(self, only: Iterable[str] = ()) -> list[Result]:
        """Run the checks named in ONLY and what they need, or all."""
        wanted = set(only) or set(self._checks())
        if wanted - set(WITHOUT_RENDER):
            wanted.add("render")
        return [
            self._timed(name, check) for name, check in self._checks().items() if name in wanted
        ]

    def _checks(self) -> dict[str, Callable[[], tuple[str, list[Finding]]]]:
        checks: dict[str, Callable[[], tuple[str, list[Finding]]]] = {
            "files": lambda: (self._count_files(), check_files(self.tree)),
            "identifiers": lambda: ("every file in Git", check_identifiers(self.tree)),
            "actions": lambda: ("workflows", check_actions(self.tree)),
            "latest": lambda: ("manifests, workflows, Dockerfile", check_sources(self.tree)),
            "render": self._render,
            "schema": self._schema,
            "images": lambda: (self._count(), check_rendered(self.renders)),
            "setters": self._setters,
            "labels": lambda: (self._count(), check_labels(self.renders)),
            "settings": lambda: ("the rendered file", check_settings(self.tree, self.renders)),
        }
        if self.server is not None:
            checks["api-server"] = self._api_server
        return checks

    def _timed(self, name: str, check: Callable[[], tuple[str, list[Finding]]]) -> Result:
        began = time.monotonic()
        looked_at, findings = check()
        return Result(name, looked_at, tuple(findings), time.monotonic() - began)

    def _render(self) -> tuple[str, list[Finding]]:
        findings = []
        for cluster in self.tree.clusters:
            try:
                self.renders += render_cluster(self.tree, cluster)
            except RenderFailed as error:
                findings.append(error.finding)
        for cluster in self.tree.clusters:
            if not (self.tree.root / f"clusters/{cluster}/flux-instance.yaml").exists():
                continue  # the loop starts Flux's controllers itself
            try:
                self.instances[cluster] = render_flux_instance(self.tree, cluster=cluster)
            except RenderFailed as error:
                findings.append(error.finding)
        kustomizations = ", ".join(self.tree.clusters)
        return f"{len(self.renders)} Kustomizations of {kustomizations}", findings

    def _schema(self) -> tuple[str, list[Finding]]:
        valid, skipped = 0, 0
        findings: list[Finding] = []
        for where, objects in self._groups():
            conformity = conform(where, objects)
            valid += conformity.valid
            skipped += conformity.skipped
            findings += conformity.findings
        return f"{valid} objects valid, {len(findings)} not, {skipped} skipped", findings

    def _setters(self) -> tuple[str, list[Finding]]:
        findings: list[Finding] = []
        for cluster in {render.cluster for render in self.renders}:
            of_cluster = [render for render in self.renders if render.cluster == cluster]
            findings += check_setters(self.tree, cluster, of_cluster)
        return "setter comments and automations", findings

    def _api_server(self) -> tuple[str, list[Finding]]:
        assert self.server is not None
        findings: list[Finding] = []
        for cluster in self.tree.clusters:
            rendered = [i for r in self.renders if r.cluster == cluster for i in r.objects]
            instance = self.instances.get(cluster)
            everything = [*rendered, *([instance] if instance else [])]
            findings += admit(self.server, f"cluster {cluster}", everything)
        return f"{self._count()} and their pods, server-side apply", findings

    def _groups(self) -> list[tuple[str, list[KubeObject]]]:
        groups = [(render.where, list(render.objects)) for render in self.renders]
        for cluster, instance in self.instances.items():
            groups.append((f"clusters/{cluster}/flux-instance.yaml", [instance]))
        return groups

    def _count(self) -> str:
        return f"{sum(len(objects) for _, objects in self._groups())} objects"

    def _count_files(self) -> str:
        return f"{len(list(self.tree.manifests()))} files"
