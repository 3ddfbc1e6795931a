"""Flux as production has it: pods that the Flux Operator installs from a FluxInstance.

The loop itself runs the controllers as processes, because that is quicker. A test stops these and
lets the operator install production's FluxInstance.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Any

import yaml
from lightkube import AsyncClient
from lightkube.generic_resource import create_namespaced_resource
from lightkube.resources.apps_v1 import Deployment

from tests.loop.cluster import kube, objects, tiny_image
from tests.loop.supervisor import control, state
from tests.tools import share, tool

FluxInstance = create_namespaced_resource(
    "fluxcd.controlplane.io", "v1", "FluxInstance", "fluxinstances"
)
CONTROLLERS = tuple(state.FLUX_HEALTH)
_REGISTRY = f"{state.REGISTRY}/fluxcd"
_PRODUCTION = Path("clusters/production/flux-instance.yaml")
_LOG = state.LOGS / "flux-operator.log"


def push_images(release: str) -> None:
    """Put the controllers into the registry under the names and tags that RELEASE asks for."""
    listed = share("flux-releases") / "flux-images" / release / "upstream-alpine.yaml"
    tags = {
        image["name"].rpartition("/")[2]: image["newTag"]
        for image in yaml.safe_load(listed.read_text())["images"]
    }
    for name in CONTROLLERS:
        image = f"{_REGISTRY}/{name}:{tags[name]}"
        with tempfile.TemporaryDirectory(dir=state.STATE / "tmp") as folder:
            archive = Path(folder, "image.tar")
            tiny_image.write(archive, image, tool(name))
            push: list[str | Path] = [tool("crane"), "push", "--insecure", archive, image]
            subprocess.run(push, check=True, capture_output=True)


def instance(checkout: Path, **distribution: str) -> dict[str, Any]:
    """Return production's FluxInstance with the loop's addresses, and DISTRIBUTION's on top."""
    settings = {**objects.CLUSTER_SETTINGS, "GIT_URL": state.GIT_URL}
    text = Template((checkout / _PRODUCTION).read_text()).substitute(settings)
    made: dict[str, Any] = yaml.safe_load(text)
    spec = made["spec"]
    spec["distribution"] |= {"registry": _REGISTRY} | distribution
    spec["sync"] |= {"path": "./clusters/local", "interval": "1s"}
    del spec["sync"]["pullSecret"]  # the loop's Git lets everybody push
    return made


def _forget_source() -> None:
    """Delete the GitRepository; the operator creates it again.

    Its artifact is at the process's address, and kustomize-controller's pod would ask there for
    minutes before it looks again.
    """
    delete = ("delete", "gitrepository/flux-system", f"--namespace={state.FLUX_NAMESPACE}")
    kubectl = (tool("kubectl"), f"--kubeconfig={state.KUBECONFIG}", *delete, "--timeout=30s")
    subprocess.run(kubectl, check=True, capture_output=True)


@contextmanager
def operator() -> Iterator[None]:
    """Within the block the operator runs, as a process, in place of the controllers' processes."""
    _forget_source()
    for name in CONTROLLERS:
        control.stop(name)
    command = (
        tool("flux-operator"),
        "--enable-leader-election=false",
        "--metrics-addr=0",
        "--health-addr=0",
        "--web-server-port=0",
        f"--storage-path={share('flux-releases')}",
    )
    environment = {
        "KUBECONFIG": str(state.KUBECONFIG),
        "RUNTIME_NAMESPACE": state.FLUX_NAMESPACE,
        "GODEBUG": "fips140=on",  # it does not start without
        "HOME": str(state.STATE / "home"),
        state.MARKER: state.load().id,  # so that `down` knows it for one of the loop's
    }
    with (
        _LOG.open("ab") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as process,
    ):
        try:
            yield
        finally:
            process.terminate()


async def apply(api: AsyncClient, wanted: dict[str, Any]) -> None:
    """Apply a FluxInstance, as the set-up does."""
    await objects.apply(api, wanted)


async def installed(api: AsyncClient, version: str = "") -> str:
    """Wait until Flux is installed, of VERSION if one is named; return the revision."""

    def ready(item: Any) -> bool:
        status = item.status or {}
        revision = str(status.get("lastAppliedRevision", ""))
        observed = status.get("conditions", [{}])[0].get("observedGeneration")
        return (
            kube.condition(item) == "True"
            and observed == item.metadata.generation
            and revision.startswith(version)
        )

    item = await kube.until(api, FluxInstance, "flux", ready, state.FLUX_NAMESPACE)
    return str(item.status["lastAppliedRevision"])


async def not_built(api: AsyncClient) -> str:
    """Wait until the operator says that it cannot build the FluxInstance; return its words."""
    item = await kube.until(
        api,
        FluxInstance,
        "flux",
        lambda item: kube.condition(item) == "False",
        state.FLUX_NAMESPACE,
    )
    return str(item.status["conditions"][0]["message"])


async def running(api: AsyncClient) -> dict[str, Any]:
    """Return Flux's Deployments that have all their replicas ready."""
    found: dict[str, Any] = {}
    async for deployment in api.list(Deployment, namespace=state.FLUX_NAMESPACE):
        one: Any = deployment
        if one.status.readyReplicas == one.spec.replicas:
            found[one.metadata.name] = one
    return found


def arguments(deployment: Any) -> list[str]:
    """Return the arguments of a Deployment's container."""
    return list(deployment.spec.template.spec.containers[0].args or [])
