"""Flux's five controllers as processes, with the arguments that production's FluxInstance gives."""

from tests.loop.cluster import pki
from tests.loop.supervisor import readiness, state
from tests.loop.supervisor.process import Spec
from tests.tools import tool

_COMMON = (
    "--watch-all-namespaces=true",
    "--enable-leader-election=false",  # it is alone, and would wait for a dead one's lease
    "--metrics-addr=:0",
    "--log-level=info",
    "--min-retry-delay=250ms",
    "--max-retry-delay=10s",
)
_EVENTS = f"--events-addr=http://{state.NOTIFICATION_EVENTS}/"
_JITTER = "--interval-jitter-percentage=0"  # tests count on the intervals


def controllers() -> list[Spec]:
    """Return all of Flux."""
    return [
        _controller(
            "source-controller",
            _EVENTS,
            _JITTER,
            f"--storage-path={state.STATE / 'source'}",
            f"--storage-addr={state.SOURCE_STORAGE}",
            f"--storage-adv-addr={state.SOURCE_STORAGE}",
        ),
        _controller(
            "kustomize-controller",
            _EVENTS,
            _JITTER,
            "--requeue-dependency=1s",
            # As in clusters/production: a rollback does not wait out the failing version.
            "--feature-gates=CancelHealthCheckOnNewRevision=true",
        ),
        _controller(
            "image-reflector-controller",
            _EVENTS,
            "--requeue-dependency=1s",
            f"--storage-path={state.STATE / 'image-reflector'}",
            needs=("registry",),
        ),
        _controller("image-automation-controller", _EVENTS, needs=("git",)),
        _controller(
            "notification-controller",
            f"--events-addr={state.NOTIFICATION_EVENTS}",
            f"--receiverAddr={state.NOTIFICATION_RECEIVER}",
        ),
    ]


def _controller(name: str, *arguments: str, needs: tuple[str, ...] = ()) -> Spec:
    """Describe the controller NAME, with rights and a health port of its own."""
    health = state.FLUX_HEALTH[name]
    return Spec(
        name,
        (tool(name), *_COMMON, f"--health-addr={health}", *arguments),
        readiness.http(health, "/readyz"),
        needs=("crds", "objects", *needs),
        environment={
            "RUNTIME_NAMESPACE": state.FLUX_NAMESPACE,
            "KUBECONFIG": str(pki.kubeconfig(name)),
        },
    )
