"""What a check reports, and the tree that it looks at."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from tests.loop.supervisor import state

ROOT = Path(__file__).resolve().parents[2]
AZURE_CLUSTERS = ("production", "local")  # the loop has stand-ins for all of Azure
CLUSTERS = (*AZURE_CLUSTERS, "generic")

KubeObject: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem: where it is, what it is, and how to fix it."""

    where: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}\n    {self.remedy}"


class RenderFailed(Exception):
    """Flux refuses to render; carries the finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


def made_up_settings(cluster: str) -> dict[str, str]:
    """Return a complete `cluster-settings` for CLUSTER, with made-up values."""
    if cluster == "generic":
        return {"ACR_LOGIN_SERVER": "registry.example.org"}  # it must need nothing of Azure
    registry = state.REGISTRY if cluster == "local" else "example.azurecr.io"
    return {
        "ACR_LOGIN_SERVER": registry,
        "KEYVAULT_NAME": "example-vault",
        "AZURE_TENANT_ID": "00000000-0000-0000-0000-000000000001",
        "BOT_CLIENT_ID": "00000000-0000-0000-0000-000000000002",
        "IMAGE_REFLECTOR_CLIENT_ID": "00000000-0000-0000-0000-000000000003",
    }


@dataclass(frozen=True)
class Tree:
    """A working tree to check. `settings` replaces the made-up cluster-settings."""

    root: Path = ROOT
    clusters: tuple[str, ...] = CLUSTERS
    settings: Mapping[str, str] | None = field(default=None)

    def settings_of(self, cluster: str) -> dict[str, str]:
        """Return what `cluster-settings` holds in CLUSTER."""
        return made_up_settings(cluster) if self.settings is None else dict(self.settings)

    def name(self, path: Path) -> str:
        """Return PATH as a person would type it from the root."""
        return path.relative_to(self.root).as_posix()

    def manifests(self) -> Iterator[Path]:
        """Every YAML file under apps/ and clusters/."""
        for folder in ("apps", "clusters"):
            yield from sorted((self.root / folder).rglob("*.y*ml"))


def load_all(text: str) -> list[KubeObject]:
    """Parse the documents of a YAML stream that are not empty."""
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


def identity(item: KubeObject) -> str:
    """Kind, namespace and name, as kubectl prints them."""
    metadata = item.get("metadata", {})
    scope = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{item.get('kind')} {scope}{metadata.get('name')}"
