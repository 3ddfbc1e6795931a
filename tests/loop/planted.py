"""Ten faults in the chain from Git to an answer, planted where they happen, one at a time.

Each is an async context manager: inside the block the fault is there and the cluster shows it, as
it would to somebody who looks some minutes later; afterwards it is mended.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType
from typing import Any

from lightkube.models.core_v1 import Event as EventModel
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Event, Pod
from lightkube.types import PatchType

from tests.loop import azure, git_server, kube, nudge, rotation, state
from tests.loop.bad_images import PULL_FAILURES, waiting
from tests.loop.discord_server.control import DiscordControl
from tests.loop.discord_server.intents import MESSAGE_CONTENT
from tests.loop.mounts import BOT_ACCOUNT
from tests.loop.observe import BOT
from tests.loop.openai_server.control import OpenAIControl
from tests.loop.relabel import cripple
from tests.loop.releases import Releases
from tests.loop.stand_ins import new_key
from tests.loop.vault_server.control import Federation, Identity, VaultControl

Fault = Callable[[Releases], AbstractAsyncContextManager[None]]

STRANGER = "00000000-0000-0000-0000-0000000000ff"
_DISALLOWED = 4014  # Discord's close code for intents that the application may not have
_SETTINGS = "cluster-settings"
_PATIENCE = 60.0


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
        await _one_pod(releases)


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
        await _one_pod(releases)


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
    async with asyncio.timeout(_PATIENCE):
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


async def _one_pod(releases: Releases) -> None:
    """Wait until one pod is left, and it is Ready."""
    await releases.seen.until(
        "one pod is left, and Ready",
        "kubelet",
        lambda now: len(now.pods) == 1 and all(pod.ready for pod in now.pods.values()),
        _PATIENCE,
    )


async def _condition(releases: Releases, kind: Any, status: str) -> None:
    """Wait until KIND's discord-sky has STATUS as its Ready condition."""
    async with asyncio.timeout(_PATIENCE):
        await kube.until(
            releases.api,
            kind,
            BOT,
            lambda item: kube.condition(item) == status,
            state.FLUX_NAMESPACE,
        )


def wrong_client_id(releases: Releases) -> AbstractAsyncContextManager[None]:
    """Name an identity that the directory does not have."""
    return _setting(releases, "BOT_CLIENT_ID", STRANGER, "AADSTS700016")


def wrong_vault_name(releases: Releases) -> AbstractAsyncContextManager[None]:
    """Name a vault that is nobody's."""
    return _setting(releases, "KEYVAULT_NAME", "no-such-vault", "no-such-vault")


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


@asynccontextmanager
async def policy_that_matches_nothing(releases: Releases) -> AsyncIterator[None]:
    """Let the policy want tags of another form."""
    found = await releases.api.get(kube.ImagePolicy, BOT, namespace=state.FLUX_NAMESPACE)
    right = found.spec["filterTags"]["pattern"]

    async def want(pattern: str) -> None:
        change = {"spec": {"filterTags": {"pattern": pattern}}}
        await releases.api.patch(
            kube.ImagePolicy,
            BOT,
            change,
            namespace=state.FLUX_NAMESPACE,
            patch_type=PatchType.MERGE,
        )

    await want("^release-(?P<n>[0-9]+)$")
    try:
        await _condition(releases, kube.ImagePolicy, "False")
        yield
    finally:
        await want(right)
        await _condition(releases, kube.ImagePolicy, "True")


@asynccontextmanager
async def automation_without_push_right(releases: Releases) -> AsyncIterator[None]:
    """Let Git refuse every push, and then a new image arrive."""

    def accept_pushes(answer: str) -> None:
        git_server.git("--git-dir", state.GIT_REPOSITORY, "config", "http.receivepack", answer)

    merge = await releases.merge()
    await asyncio.to_thread(accept_pushes, "false")
    try:
        image = await releases.run(merge)
        await _condition(releases, kube.ImageUpdateAutomation, "False")
        yield
    finally:
        await asyncio.to_thread(accept_pushes, "true")
    await nudge.automate(releases.api)
    await releases.running(image.tag)
    await releases.agree()


@asynccontextmanager
async def image_not_pullable(releases: Releases) -> AsyncIterator[None]:
    """Deploy an image whose tag is in the registry and whose configuration is not."""
    merge = await releases.merge()
    await releases.run(merge, tag=False)
    image = await releases.run(merge)
    await asyncio.to_thread(cripple, image.digest)
    await waiting(releases, image.tag, PULL_FAILURES)
    yield
    await releases.revert(await releases.bumped(image.tag))
    await releases.settle()


@asynccontextmanager
async def intents_off(releases: Releases) -> AsyncIterator[None]:
    """Switch the Message Content Intent off, and let the session end."""
    async with DiscordControl(f"http://{state.DISCORD_CONTROL}") as discord:
        await discord.set(privileged_intents=0)
        try:
            async with discord.events() as events:
                await discord.fault("gateway", "invalid_session")
                await events.event(
                    lambda one: one.kind == "disconnect" and one.data["code"] == _DISALLOWED,
                    _PATIENCE,
                )
            await _not_ready(releases)
            yield
        finally:
            await discord.set(privileged_intents=MESSAGE_CONTENT)
        await _anew(releases)


@asynccontextmanager
async def refused_openai_key(releases: Releases) -> AsyncIterator[None]:
    """Revoke the key; somebody asks the bot. Afterwards the vault has a new key that is good."""
    key = new_key()
    async with (
        OpenAIControl(f"http://{state.OPENAI_CONTROL}") as openai,
        DiscordControl(f"http://{state.DISCORD_CONTROL}") as discord,
    ):
        await openai.accept(key)
        world = await discord.world()
        place = next(channel.id for channel in world.channels if channel.guild_id)
        asked = await discord.say(place, "Is anybody there?", author="Ada")
        await _not_ready(releases)
        yield
        await rotation.set_version(rotation.KEY, key)
        await discord.wait_answer(asked.id)
        await _one_pod(releases)


async def _not_ready(releases: Releases) -> None:
    await releases.seen.until(
        "the bot's pod is not Ready",
        "kubelet",
        lambda now: bool(now.pods) and not any(pod.ready for pod in now.pods.values()),
        _PATIENCE,
    )


async def _anew(releases: Releases) -> None:
    """Delete the pod: another takes its place, and is Ready sooner than this one tries again."""
    (pod,) = [pod for pod in releases.seen.now.pods.values() if not pod.leaving]
    await releases.api.delete(Pod, pod.name, namespace=BOT)
    await releases.seen.until(
        "another pod is Ready",
        "kubelet",
        lambda now: pod.name not in now.pods and any(one.ready for one in now.pods.values()),
        _PATIENCE,
    )


# Each with the link that it breaks, and a part of the command that mends it.
FAULTS: Mapping[str, tuple[Fault, str, str]] = MappingProxyType(
    {
        "wrong client id": (wrong_client_id, "identity", "az identity list"),
        "wrong federated subject": (
            wrong_federated_subject,
            "federation",
            "--subject system:serviceaccount:discord-sky:discord-sky-bot",
        ),
        "wrong vault name": (wrong_vault_name, "vault", "az keyvault list"),
        "missing role": (missing_role, "role", '--role "Key Vault Secrets User"'),
        "disabled secret": (disabled_secret, "secrets", "secrets set discord-token --vault"),
        "policy that matches nothing": (
            policy_that_matches_nothing,
            "policy",
            "az acr repository show-tags",
        ),
        "automation without push right": (
            automation_without_push_right,
            "automation",
            "gh repo deploy-key list",
        ),
        "image not pullable": (image_not_pullable, "pull", "make rollback"),
        "intents off": (intents_off, "gateway", "rollout restart deployment discord-sky-bot"),
        "refused OpenAI key": (refused_openai_key, "key", "secrets rotate openai-api-key --vault"),
    }
)
