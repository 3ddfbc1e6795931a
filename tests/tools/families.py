"""The table of what is built: one family for each go.mod, because their dependencies disagree.

To add a tool, make a folder with a go.mod whose `tool` lines name the programs (README.md says
how) and add one Family to the table. Versions are nowhere but in the go.mod files.
"""

import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent

# The Flux release whose CRDs are taken; flux/go.mod pins the same (a test compares them).
FLUX = "v2.9.5"
_FLUX_CRDS = "config/data/flux/" + FLUX + "/"
_FLUX_OPERATOR = "github.com/controlplaneio-fluxcd/flux-operator"
_FLUX_CLI = "github.com/fluxcd/flux2/v2"
_KUBE_VERSION = "k8s.io/component-base/version"
_CSI_DRIVER = "sigs.k8s.io/secrets-store-csi-driver"
_AZURE_PROVIDER = "github.com/Azure/secrets-store-csi-driver-provider-azure"


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
    without: path in the module to content. `seconds` was measured on 2 cores with nothing cached;
    it only decides what is started first. `megabytes` is the disk that a cold build takes, Go's
    caches included (12.5 GB were measured for everything; the shares are estimates).
    """

    name: str
    module: str
    tools: tuple[tuple[str, str], ...] = ()
    ldflags: str = ""
    additions: tuple[tuple[str, str], ...] = ()
    shares: tuple[Share, ...] = ()
    folder: str = ""
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


FAMILIES = (
    Family(
        "kubernetes",
        module="k8s.io/kubernetes",
        tools=tuple(
            (name, "k8s.io/kubernetes/cmd/" + name)
            for name in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kubelet",
                "kube-proxy",
                "kubectl",
            )
        ),
        # Without these the node calls itself v0.0.0-master.
        ldflags=f"-X {_KUBE_VERSION}.gitVersion={{version}}"
        f" -X {_KUBE_VERSION}.gitMajor={{major}} -X {_KUBE_VERSION}.gitMinor={{minor}}",
        seconds=320,
        megabytes=4000,
    ),
    Family(
        "openapi",
        module="k8s.io/kubernetes",
        folder="kubernetes",
        shares=(Share("openapi", ("api/openapi-spec/*.json",)),),
    ),
    Family(
        "etcd",
        module="go.etcd.io/etcd/server/v3",
        tools=(("etcd", "go.etcd.io/etcd/server/v3"),),
        seconds=54,
        megabytes=600,
    ),
    Family(
        "registry",
        module="github.com/distribution/distribution/v3",
        tools=(("registry", "github.com/distribution/distribution/v3/cmd/registry"),),
        ldflags="-X github.com/distribution/distribution/v3/version.version={version}",
        seconds=69,
        megabytes=900,
    ),
    Family(
        "crane",
        module="github.com/google/go-containerregistry",
        tools=(("crane", "github.com/google/go-containerregistry/cmd/crane"),),
        ldflags="-X github.com/google/go-containerregistry/cmd/crane/cmd.Version={version}",
        seconds=20,
        megabytes=300,
    ),
    Family(
        "pause",
        module="",
        tools=(("pause", "."),),
        megabytes=100,
    ),
    Family(
        "goregex",
        module="",
        tools=(("goregex", "."),),
        megabytes=100,
    ),
    Family(
        "flux",
        module=_FLUX_CLI,
        tools=(("flux", _FLUX_CLI + "/cmd/flux"),),
        ldflags="-X main.VERSION={number}",
        # The CLI embeds the install manifests, which are made at release time and not in the
        # module. `flux install` would need them; build, diff, create and export do not.
        additions=(("cmd/flux/manifests/none.yaml", "# left out of this build\n"),),
        seconds=160,
        megabytes=2000,
    ),
    # One go.mod for all of Flux's controllers: they are released together and share most of their
    # dependencies, so each of these is compiled once. (The command-line program needs an older
    # release of one of them.)
    Family(
        "flux-controllers",
        module="github.com/fluxcd/source-controller",
        tools=tuple(
            (name, "github.com/fluxcd/" + name)
            for name in (
                "source-controller",
                "kustomize-controller",
                "image-reflector-controller",
                "image-automation-controller",
                "notification-controller",
            )
        ),
        seconds=300,
        megabytes=4000,
    ),
    Family(
        "coredns",
        module="github.com/coredns/coredns",
        # Ours, from its packages: the stock program also has the SDKs of three clouds.
        tools=(("coredns", "."),),
        seconds=40,
        megabytes=500,
    ),
    Family(
        "secrets-store-csi-driver",
        module=_CSI_DRIVER,
        tools=(
            ("secrets-store-csi-driver", f"{_CSI_DRIVER}/cmd/secrets-store-csi-driver"),
            # Ours: upstream's node-driver-registrar is not published as a module.
            ("csi-registrar", "tools/secrets-store-csi-driver/csi-registrar"),
        ),
        ldflags=f"-X {_CSI_DRIVER}/pkg/version.BuildVersion={{version}}",
        seconds=70,
        megabytes=900,
    ),
    Family(
        "csi-crds",
        module=_CSI_DRIVER,
        folder="secrets-store-csi-driver",
        shares=(Share("csi-crds", ("config/crd/bases/*.yaml",), crds_only=True),),
    ),
    Family(
        "azure-provider",
        module=_AZURE_PROVIDER,
        tools=(("azure-provider", f"{_AZURE_PROVIDER}/cmd"),),
        ldflags=f"-X {_AZURE_PROVIDER}/pkg/version.BuildVersion={{version}}",
        seconds=62,
        megabytes=700,
    ),
    Family(
        "kubeconform",
        module="github.com/yannh/kubeconform",
        tools=(("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform"),),
        ldflags="-X main.version={version}",
        seconds=15,
    ),
    Family(
        "actionlint",
        module="github.com/rhysd/actionlint",
        tools=(("actionlint", "github.com/rhysd/actionlint/cmd/actionlint"),),
        ldflags="-X github.com/rhysd/actionlint.version={number}",
    ),
    Family(
        "crds",
        module=_FLUX_OPERATOR,
        shares=(
            Share(
                "crds",
                (
                    _FLUX_CRDS + "source-controller.yaml",
                    _FLUX_CRDS + "kustomize-controller.yaml",
                    _FLUX_CRDS + "notification-controller.yaml",
                    _FLUX_CRDS + "image-reflector-controller.yaml",
                    _FLUX_CRDS + "image-automation-controller.yaml",
                    "config/crd/bases/*.yaml",
                ),
                crds_only=True,
            ),
            # The manifests of every release of Flux, from which the operator installs.
            Share("flux-releases", ("config/data/*",)),
        ),
    ),
)

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
