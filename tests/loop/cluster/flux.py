"""Flux's source-controller and kustomize-controller as processes, and the stand-in for the rest."""

from tests.loop.cluster import pki
from tests.loop.supervisor import readiness, state
from tests.loop.supervisor.process import Spec, python
from tests.tools import tool

_ENVIRONMENT = {"RUNTIME_NAMESPACE": state.FLUX_NAMESPACE}
_COMMON = (
    "--watch-all-namespaces=true",
    "--enable-leader-election=false",  # it is alone, and would wait for a dead one's lease
    "--metrics-addr=:0",
    "--interval-jitter-percentage=0",  # tests count on the intervals
    "--min-retry-delay=250ms",
    "--max-retry-delay=10s",
    "--log-level=info",
)


def source_controller() -> Spec:
    """Fetch Git and serve it as artifacts, to kustomize-controller on this host only."""
    return Spec(
        "source-controller",
        (
            tool("source-controller"),
            *_COMMON,
            f"--health-addr={state.SOURCE_HEALTH}",
            f"--storage-path={state.STATE / 'source'}",
            f"--storage-addr={state.SOURCE_STORAGE}",
            f"--storage-adv-addr={state.SOURCE_STORAGE}",
        ),
        readiness.http(state.SOURCE_HEALTH, "/readyz"),
        needs=("crds", "objects"),
        environment={**_ENVIRONMENT, "KUBECONFIG": str(pki.kubeconfig("source-controller"))},
    )


def kustomize_controller() -> Spec:
    """Apply what source-controller fetched."""
    return Spec(
        "kustomize-controller",
        (
            tool("kustomize-controller"),
            *_COMMON,
            f"--health-addr={state.KUSTOMIZE_HEALTH}",
            "--requeue-dependency=1s",
            # As in clusters/production: a rollback does not wait out the failing version.
            "--feature-gates=CancelHealthCheckOnNewRevision=true",
        ),
        readiness.http(state.KUSTOMIZE_HEALTH, "/readyz"),
        needs=("crds", "objects"),
        environment={**_ENVIRONMENT, "KUBECONFIG": str(pki.kubeconfig("kustomize-controller"))},
    )


def image_controllers() -> Spec:
    """Take the place of image-reflector-controller and image-automation-controller."""
    return Spec(
        "image-controllers",
        python("tests.loop.image_controllers", "--kubeconfig", pki.kubeconfig("image-controllers")),
        readiness.started,
        needs=("crds", "objects", "registry", "git"),
    )
