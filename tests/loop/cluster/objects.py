"""What the set-up of a real cluster brings into it before Flux begins, here as plain objects."""

import asyncio
from typing import Any

import yaml
from lightkube import AsyncClient
from lightkube.codecs import from_dict
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.core_v1 import Node

from tests.loop.cluster import dns, git_server, kube, rights, secrets_store
from tests.loop.supervisor import state
from tests.tools import share

# libyaml's, where it is there, reads the CRDs' megabyte in a tenth of the time.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

CLUSTER_SETTINGS = {
    "ACR_LOGIN_SERVER": state.REGISTRY,
    "KEYVAULT_NAME": state.VAULT_NAME,
    "AZURE_TENANT_ID": state.TENANT,
    "BOT_CLIENT_ID": state.BOT_CLIENT,
    "IMAGE_REFLECTOR_CLIENT_ID": "00000000-0000-0000-0000-000000000003",
}


async def apply(api: AsyncClient, document: dict[str, Any]) -> None:
    """Create or change one object, by server-side apply."""
    await api.apply(from_dict(document), force=True)


async def install_crds(api: AsyncClient) -> None:
    """Create every CRD of the pinned Flux and CSI driver; wait until each is Established."""

    async def install(text: str) -> None:
        document = yaml.load(text, Loader=_LOADER)  # noqa: S506 - both loaders are safe ones
        await apply(api, document)
        await kube.until(
            api,
            CustomResourceDefinition,
            document["metadata"]["name"],
            lambda item: kube.condition(item, "Established") == "True",
        )

    files = sorted([*share("crds").glob("*.yaml"), *share("csi-crds").glob("*.yaml")])
    await asyncio.gather(*(install(file.read_text()) for file in files))


async def create(api: AsyncClient) -> None:
    """Create namespaces, the controllers' rights, cluster-settings and the CSI driver's object."""
    await apply(api, _namespace(state.FLUX_NAMESPACE))
    own = git_server.show("apps/discord-sky/namespace.yaml")
    await apply(api, yaml.safe_load(own) if own else _namespace(state.BOT_NAMESPACE))
    items = [*rights.flux(), *rights.dns(), *dns.objects(), *secrets_store.objects(), _settings()]
    await asyncio.gather(*(apply(api, item) for item in items))


async def create_sync(api: AsyncClient) -> str:
    """Create the GitRepository and the root Kustomization; return the revision once fetched."""
    meta = {"name": "flux-system", "namespace": state.FLUX_NAMESPACE}
    repository = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": meta,
        "spec": {"interval": "1s", "url": state.GIT_URL, "ref": {"branch": "main"}},
    }
    root = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": meta,
        "spec": {
            # A new revision wakes it at once; the interval only corrects what was changed by hand.
            "interval": "30s",
            "retryInterval": "2s",
            "path": "./clusters/local",
            "prune": True,
            "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
        },
    }
    await apply(api, repository)
    await apply(api, root)
    fetched = await kube.until(
        api,
        kube.GitRepository,
        meta["name"],
        lambda item: kube.condition(item) == "True" and "artifact" in item.status,
        meta["namespace"],
    )
    return str(fetched.status["artifact"]["revision"])


async def node_ready(api: AsyncClient) -> None:
    """Wait until the node is there and Ready."""
    await kube.until(api, Node, state.NODE, lambda item: kube.condition(item) == "True")


async def csi_registered(api: AsyncClient) -> None:
    """Wait until the kubelet knows the CSI driver; earlier, it would refuse the bot's pod."""
    await kube.until(
        api,
        kube.CSINode,
        state.NODE,
        lambda item: any(
            one["name"] == secrets_store.DRIVER for one in item["spec"]["drivers"] or ()
        ),
    )


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _settings() -> dict[str, Any]:
    meta = {"name": "cluster-settings", "namespace": state.FLUX_NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": CLUSTER_SETTINGS}
