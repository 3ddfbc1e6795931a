"""The way of a secret from the vault into a pod: CSI driver, Azure's provider, registration.

kubelet → driver → provider → token endpoint and vault. All but the last two are the real programs;
on a cluster they are pods of a DaemonSet, here processes of the node.
"""

from typing import Any

from tests.loop.cluster import pki, rights
from tests.loop.supervisor import readiness, state
from tests.loop.supervisor.process import Spec
from tests.tools import tool

DRIVER = "secrets-store.csi.k8s.io"
AUDIENCE = "api://AzureADTokenExchange"
# How often the driver asks for newer versions, where Azure's add-on has two minutes. The kubelet's
# syncFrequency (node.py) is what calls it.
POLL = "5s"

_DRIVER_SOCKET = state.RUN / "csi" / "csi.sock"
_PROVIDERS = state.RUN / "csi-providers"
_PROVIDER_SOCKET = _PROVIDERS / "azure.sock"  # the driver finds a provider by this name
_REGISTRY = state.STATE / "kubelet" / "plugins_registry"
_REGISTRATION_SOCKET = _REGISTRY / f"{DRIVER}-reg.sock"


def write_configuration() -> None:
    """Make the folders of the sockets."""
    for folder in (_DRIVER_SOCKET.parent, _PROVIDERS, _REGISTRY):
        folder.mkdir(parents=True, exist_ok=True)


def azure_environment() -> dict[str, str]:
    """Return what leads a client to the stand-ins behind Azure's names, and makes it trust them."""
    return {
        "HTTPS_PROXY": f"http://{state.VAULT_PROXY}",
        "NO_PROXY": f"localhost,127.0.0.1,{state.HOST},{state.KUBERNETES_SERVICE}",
        "SSL_CERT_FILE": str(pki.CA),
    }


def azure_provider() -> Spec:
    """Read a vault on behalf of a pod, with the pod's own ServiceAccount token."""
    return Spec(
        "azure-provider",
        (
            tool("azure-provider"),
            f"--endpoint=unix://{_PROVIDER_SOCKET}",
            f"--healthz-port={state.PROVIDER_HEALTH_PORT}",
            f"--prometheus-port={state.PROVIDER_METRICS_PORT}",
        ),
        readiness.unix(_PROVIDER_SOCKET),
        environment=azure_environment(),
    )


def csi_driver() -> Spec:
    """Mount what a provider read into pods, and keep it as new as the poll interval."""
    return Spec(
        "secrets-store-csi-driver",
        (
            tool("secrets-store-csi-driver"),
            f"--endpoint=unix://{_DRIVER_SOCKET}",
            f"--nodeid={state.NODE}",
            f"--provider-volume={_PROVIDERS}",
            "--additional-provider-volume-paths=",
            f"--metrics-addr={state.CSI_METRICS}",
            "--enable-secret-rotation",
            f"--rotation-poll-interval={POLL}",
        ),
        readiness.unix(_DRIVER_SOCKET),
        needs=("crds", "objects"),
        environment={"KUBECONFIG": str(pki.kubeconfig("secrets-store-csi-driver"))},
    )


def csi_registrar() -> Spec:
    """Tell the kubelet where the driver listens."""
    return Spec(
        "csi-registrar",
        (
            tool("csi-registrar"),
            f"--name={DRIVER}",
            f"--endpoint={_DRIVER_SOCKET}",
            f"--socket={_REGISTRATION_SOCKET}",
        ),
        readiness.unix(_REGISTRATION_SOCKET),
        needs=("secrets-store-csi-driver",),
    )


def objects() -> list[dict[str, Any]]:
    """Return what the driver's set-up brings into the cluster, but for its CRDs."""
    driver = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": DRIVER},
        "spec": {
            "podInfoOnMount": True,
            "attachRequired": False,
            "volumeLifecycleModes": ["Ephemeral"],
            "requiresRepublish": True,
            # As on AKS: the pod's identity, for Entra only.
            "tokenRequests": [{"audience": AUDIENCE}],
        },
    }
    return [driver, *rights.csi_driver(), rights.public_issuer()]
