"""Faults of what Azure decides: identity, trust, role, vault, secret. See planted_faults.py.

Each rolls the bot, whose new pod then waits for its files; afterwards only the old pod is left.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from lightkube.models.core_v1 import Event as EventModel
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Event, Pod
from lightkube.types import PatchType

from tests.loop.cluster import azure, kube
from tests.loop.cluster.mounts import BOT_ACCOUNT
from tests.loop.people.observe import BOT
from tests.loop.people.releases import Releases
from tests.loop.scenarios import rotation
from tests.loop.supervisor import state
from tests.servers.keyvault.control import Federation, Identity, VaultControl

PATIENCE = 60.0
_STRANGER = "00000000-0000-0000-0000-0000000000ff"
_SETTINGS = "cluster-settings"


@asynccontextmanager
async def _setting(releases: Releases, name: str, value: str, said: str) -> AsyncIterator[None]:
    """Write a wrong value into cluster-settings; Flux rolls the bot, whose new pod waits."""
    found = await releases.api.get(ConfigMap, _SETTINGS, namespace=state.FLUX_NAMESPACE)
    right = (found.data or {})[name]

    async def write(data: str) -> None:
        where = state.FLUX_NAMESPACE
        change = {"data": {name: data}}
        await releases.api.patch(
            ConfigMap, _SETTINGS, change, namespace=where, patch_type=PatchType.MERGE
        )

    await write(value)
    await _reconcile(releases)
    try:
        await _waits(releases, said)
        yield
    finally:
        await write(right)
        await _reconcile(releases)
        await one_pod(releases)


async def _reconcile(releases: Releases) -> None:
    """Ask for the bot's Kustomization without waiting: its health check may take a while."""
    change = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": uuid.uuid4().hex}}}
    await releases.api.patch(
        kube.Kustomization,
        BOT,
        change,
        namespace=state.FLUX_NAMESPACE,
        patch_type=PatchType.MERGE,
    )


@asynccontextmanager
async def _identity(releases: Releases, said: str, **changes: Any) -> AsyncIterator[None]:
    """Change the bot's identity in the directory, then roll the bot: the new pod waits."""
    async with VaultControl(f"http://{state.VAULT_CONTROL}") as vault:
        (right,) = [one for one in await vault.identities() if one.name == "bot"]
        await vault.put(Identity(**{**right.model_dump(), **changes}))
        try:
            async with _rolled(releases):
                await _waits(releases, said)
                yield
        finally:
            await vault.put(right)


@asynccontextmanager
async def _rolled(releases: Releases) -> AsyncIterator[None]:
    """Begin a rollout of the same image; afterwards go back, so that only the old pod is left."""
    await _mark(releases, uuid.uuid4().hex)
    try:
        yield
    finally:
        await _mark(releases, None)
        await one_pod(releases)


async def _mark(releases: Releases, value: str | None) -> None:
    template = {"metadata": {"annotations": {"discord-sky-loop/rolled": value}}}
    await releases.api.patch(
        Deployment,
        BOT_ACCOUNT,
        {"spec": {"template": template}},
        namespace=BOT,
        patch_type=PatchType.MERGE,
    )


async def _waits(releases: Releases, said: str) -> None:
    """Wait until a pod that is there waits for its files, with SAID in the reason."""
    pods = {p.metadata.uid async for p in releases.api.list(Pod, namespace=BOT) if p.metadata}
    async with asyncio.timeout(PATIENCE):
        async for _, event in releases.api.watch(Event, namespace=BOT):
            if event.involvedObject.uid not in pods:
                pods = {
                    p.metadata.uid
                    async for p in releases.api.list(Pod, namespace=BOT)
                    if p.metadata
                }
            if _tells(event, said) and event.involvedObject.uid in pods:
                return


def _tells(event: EventModel, said: str) -> bool:
    return event.reason == "FailedMount" and said in (event.message or "")


async def one_pod(releases: Releases) -> None:
    """Wait until one pod is left, and it is Ready."""
    await releases.seen.until(
        "one pod is left, and Ready",
        "kubelet",
        lambda now: len(now.pods) == 1 and all(pod.ready for pod in now.pods.values()),
        PATIENCE,
    )


def wrong_client_id(releases: Releases) -> AbstractAsyncContextManager[None]:
    """Name an identity that the directory does not have."""
    return _setting(releases, "BOT_CLIENT_ID", _STRANGER, "AADSTS700016")


def wrong_vault_name(releases: Releases) -> AbstractAsyncContextManager[None]:
    """Name a vault that is nobody's."""
    return _setting(releases, "KEYVAULT_NAME", "some-other-vault", "some-other-vault")


def missing_role(releases: Releases) -> AbstractAsyncContextManager[None]:
    """Take the bot's role on the vault away."""
    return _identity(releases, "ForbiddenByRbac", roles=())


def wrong_federated_subject(releases: Releases) -> AbstractAsyncContextManager[None]:
    """Let the bot's identity trust another ServiceAccount."""
    other = Federation(
        issuer="https://kubernetes.default.svc", subject="system:serviceaccount:discord-sky:default"
    )
    return _identity(releases, "AADSTS700213", federations=(other,))


@asynccontextmanager
async def disabled_secret(releases: Releases) -> AsyncIterator[None]:
    """Disable the newest version of the Discord token."""

    def enable(version: str | None, *, enabled: bool) -> str | None:
        with azure.operator() as vault:
            newest = version or vault.get_secret(rotation.TOKEN).properties.version
            vault.update_secret_properties(rotation.TOKEN, newest, enabled=enabled)
            return newest

    version = await asyncio.to_thread(lambda: enable(None, enabled=False))
    try:
        async with _rolled(releases):
            await _waits(releases, "SecretDisabled")
            yield
    finally:
        await asyncio.to_thread(lambda: enable(version, enabled=True))
