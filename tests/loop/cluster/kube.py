"""Access to the loop's API server by lightkube, and Flux's kinds for it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
from lightkube import AsyncClient, Client, KubeConfig
from lightkube.generic_resource import create_global_resource, create_namespaced_resource

from tests.loop.supervisor import state

FIELD_MANAGER = "discord-sky-loop"
_TIMEOUT = httpx2.Timeout(10)

GitRepository = create_namespaced_resource(
    "source.toolkit.fluxcd.io", "v1", "GitRepository", "gitrepositories"
)
Kustomization = create_namespaced_resource(
    "kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations"
)
ImageRepository = create_namespaced_resource(
    "image.toolkit.fluxcd.io", "v1", "ImageRepository", "imagerepositories"
)
ImagePolicy = create_namespaced_resource(
    "image.toolkit.fluxcd.io", "v1", "ImagePolicy", "imagepolicies"
)
ImageUpdateAutomation = create_namespaced_resource(
    "image.toolkit.fluxcd.io", "v1", "ImageUpdateAutomation", "imageupdateautomations"
)
# Not lightkube's own: it cannot read a node that has no driver yet (`drivers: null`).
CSINode = create_global_resource("storage.k8s.io", "v1", "CSINode", "csinodes")
SecretProviderClass = create_namespaced_resource(
    "secrets-store.csi.x-k8s.io", "v1", "SecretProviderClass", "secretproviderclasses"
)


def _options(kubeconfig: Path) -> dict[str, Any]:
    return {
        "config": KubeConfig.from_file(kubeconfig),
        "field_manager": FIELD_MANAGER,
        "timeout": _TIMEOUT,
        "trust_env": False,  # a proxy setting of the terminal's is not for the bridge
    }


def client(kubeconfig: Path = state.KUBECONFIG) -> Client:
    """Return a client that blocks, as the loop's administrator."""
    return Client(**_options(kubeconfig))


@asynccontextmanager
async def async_client(kubeconfig: Path = state.KUBECONFIG) -> AsyncIterator[AsyncClient]:
    """Open a client that does not block, as the loop's administrator."""
    opened = AsyncClient(**_options(kubeconfig))
    try:
        yield opened
    finally:
        await opened.close()


def condition(item: Any, kind: str = "Ready") -> str:
    """Return the status of the condition KIND of ITEM: "True", "False", "Unknown", or "" ."""
    status = item.status or {}
    conditions = status.get("conditions") if isinstance(status, dict) else status.conditions
    for found in conditions or ():
        if isinstance(found, dict):  # of a custom resource
            found = SimpleNamespace(**found)  # noqa: PLW2901 - the same, by attributes
        if found.type == kind:
            return str(found.status)
    return ""


async def until(
    api: AsyncClient,
    kind: Any,
    name: str,
    true: Callable[[Any], bool],
    namespace: str | None = None,
) -> Any:
    """Watch one object until TRUE says yes of it, whether it exists yet or not; return it."""
    async for _, item in api.watch(kind, namespace=namespace, fields={"metadata.name": name}):
        if true(item):
            return item
    raise RuntimeError(f"the watch on {kind.__name__} {name} ended")
