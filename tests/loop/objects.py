"""What the set-up of a real cluster brings into it before Flux begins, here as plain objects."""

import asyncio
from typing import Any

import yaml
from lightkube import AsyncClient
from lightkube.codecs import from_dict
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.core_v1 import Node

from tests.loop import git_server, kube, state
from tests.tools import share

# libyaml's, where it is there, reads the CRDs' megabyte in a tenth of the time.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SECRET = "discord-sky-secrets"  # noqa: S105 - the object's name
_READ = ["get", "list", "watch"]
_WRITE = [*_READ, "create", "update", "patch", "delete"]

CLUSTER_SETTINGS = {
    "ACR_LOGIN_SERVER": state.REGISTRY,
    "KEYVAULT_NAME": "loop-vault",
    "AZURE_TENANT_ID": "00000000-0000-0000-0000-000000000001",
    "BOT_CLIENT_ID": "00000000-0000-0000-0000-000000000002",
    "IMAGE_REFLECTOR_CLIENT_ID": "00000000-0000-0000-0000-000000000003",
}


async def apply(api: AsyncClient, document: dict[str, Any]) -> None:
    """Create or change one object, by server-side apply."""
    await api.apply(from_dict(document), force=True)


async def install_crds(api: AsyncClient) -> None:
    """Create every CRD of the pinned Flux and wait until each is Established."""

    async def install(text: str) -> None:
        document = yaml.load(text, Loader=_LOADER)  # noqa: S506 - both loaders are safe ones
        await apply(api, document)
        await kube.until(
            api,
            CustomResourceDefinition,
            document["metadata"]["name"],
            lambda item: kube.condition(item, "Established") == "True",
        )

    files = sorted(share("crds").glob("*.yaml"))
    await asyncio.gather(*(install(file.read_text()) for file in files))


async def create(api: AsyncClient) -> None:
    """Create namespaces, the controllers' rights, cluster-settings and the bot's Secret."""
    await apply(api, _namespace(state.FLUX_NAMESPACE))
    own = git_server.show("apps/discord-sky/namespace.yaml")
    await apply(api, yaml.safe_load(own) if own else _namespace(state.BOT_NAMESPACE))
    await asyncio.gather(*(apply(api, item) for item in (*_rights(), _settings(), _secret())))


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
            # A new revision wakes it at once; the interval only mends what was changed by hand.
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


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _settings() -> dict[str, Any]:
    meta = {"name": "cluster-settings", "namespace": state.FLUX_NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": CLUSTER_SETTINGS}


def _secret() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": _SECRET, "namespace": state.BOT_NAMESPACE},
        "type": "Opaque",
        "stringData": {
            "discord-token": state.DISCORD_TOKEN_FILE.read_text(),
            "openai-api-key": state.OPENAI_KEY_FILE.read_text(),
        },
    }


def _rights() -> list[dict[str, Any]]:
    """Return the rights of Flux's controllers; kustomize-controller's are upstream's, all."""
    toolkit = "toolkit.fluxcd.io"
    events = {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}
    source = [
        {"apiGroups": [f"source.{toolkit}"], "resources": ["*"], "verbs": _WRITE},
        {
            "apiGroups": [""],
            "resources": ["namespaces", "secrets", "configmaps", "serviceaccounts"],
            "verbs": _READ,
        },
        events,
    ]
    image = [
        {
            "apiGroups": [f"image.{toolkit}"],
            "resources": ["*"],
            "verbs": [*_READ, "update", "patch"],
        },
        {"apiGroups": [f"source.{toolkit}"], "resources": ["gitrepositories"], "verbs": _READ},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        events,
    ]
    return [
        _role("flux:source-controller", source),
        _role("flux:image-controllers", image),
        _binding("flux:source-controller", "flux:source-controller"),
        _binding("flux:image-controllers", "flux:image-controllers"),
        _binding("flux:kustomize-controller", "cluster-admin"),
    ]


def _role(name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def _binding(user: str, role: str) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": user},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
