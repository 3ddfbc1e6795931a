"""What is built: families.toml, one family for each go.mod, because their dependencies disagree."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

# The Flux release whose CRDs are taken; flux/go.mod pins the same (a test compares them).
FLUX = "v2.9.5"
# What a command needs, so that nobody waits for more.
GROUPS = {
    "loop": (
        *("kubernetes", "etcd", "registry", "crane", "pause", "coredns", "flux-controllers"),
        *("crds", "csi-crds", "secrets-store-csi-driver", "azure-provider"),
    ),
    "check": (
        *("actionlint", "crane", "crds", "csi-crds", "flux", "goregex", "kubeconform"),
        *("openapi", "registry"),
    ),
}


@dataclass(frozen=True)
class Share:
    """Files of the family's module that are wanted as they are.

    `paths` are paths or glob patterns inside the module. With `crds_only` each
    CustomResourceDefinition in them becomes one file, `<its name>.yaml`, and the rest is left out.
    """

    name: str
    paths: tuple[str, ...]
    crds_only: bool = False


@dataclass(frozen=True)
class Family:
    """Programs and shared files that come from one go.mod.

    `module` is the module whose version, as go.mod pins it, fills `{version}` (v1.36.3),
    `{number}` (1.36.3), `{major}` and `{minor}` in `ldflags`. `tools` maps a program's name to its
    Go package. `additions` are files that the module does not carry and cannot be compiled
    without: path in the module to content. `go` replaces the version of Go that such a module asks
    for. `seconds` was measured on 2 cores with nothing cached; it only decides what is started
    first. `megabytes` is the disk that a cold build takes, Go's caches included (an estimate).
    """

    name: str
    module: str = ""
    tools: tuple[tuple[str, str], ...] = ()
    ldflags: str = ""
    additions: tuple[tuple[str, str], ...] = ()
    shares: tuple[Share, ...] = ()
    folder: str = ""
    go: str = ""
    seconds: int = 5
    megabytes: int = 200

    @property
    def provides(self) -> list[str]:
        """The names of its programs and of its shared folders."""
        return [*dict(self.tools), *(share.name for share in self.shares)]

    @property
    def source(self) -> Path:
        """The folder with this family's go.mod."""
        return HERE / (self.folder or self.name)

    def version(self) -> str:
        """The version of `module` that go.mod pins; empty for programs of our own."""
        pinned = re.search(
            rf"^(?:require)?\s+{re.escape(self.module)} (v\S+)",
            (self.source / "go.mod").read_text(),
            re.MULTILINE,
        )
        return pinned[1] if pinned else ""


def _read(name: str, table: dict[str, Any]) -> Family:
    """Make a family of its table: packages may begin with a slash, for the module's own."""
    module = table.get("module", "")
    tools = {
        tool: module + package if package[:1] in {"", "/"} else package
        for tool, package in table.pop("tools", {}).items()
    }
    shares = [
        Share(
            share, tuple(path.replace("{flux}", FLUX) for path in paths), crds_only=kind == "crds"
        )
        for kind in ("crds", "shares")
        for share, paths in table.pop(kind, {}).items()
    ]
    additions = tuple(table.pop("additions", {}).items())
    return Family(
        name, tools=tuple(tools.items()), shares=tuple(shares), additions=additions, **table
    )


FAMILIES = tuple(
    _read(name, table)
    for name, table in tomllib.loads((HERE / "families.toml").read_text()).items()
)
