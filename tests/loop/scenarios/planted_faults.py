"""Ten faults in the chain from Git to an answer, planted where they happen, one at a time.

Each is an async context manager: inside the block the fault is there and the cluster shows it, as
it would to somebody who looks some minutes later; afterwards it is repaired.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType
from typing import Any

from lightkube.resources.core_v1 import Pod
from lightkube.types import PatchType

from tests.loop.cluster import git_server, kube, nudge
from tests.loop.cluster.relabel import cripple
from tests.loop.cluster.stand_ins import new_key
from tests.loop.people.observe import BOT
from tests.loop.people.releases import Releases
from tests.loop.scenarios import rotation
from tests.loop.scenarios.bad_images import PULL_FAILURES, waiting
from tests.loop.scenarios.planted_azure_faults import (
    PATIENCE,
    disabled_secret,
    missing_role,
    one_pod,
    wrong_client_id,
    wrong_federated_subject,
    wrong_vault_name,
)
from tests.loop.supervisor import state
from tests.servers.discord.control import DiscordControl
from tests.servers.discord.intents import MESSAGE_CONTENT
from tests.servers.openai.control import OpenAIControl

Fault = Callable[[Releases], AbstractAsyncContextManager[None]]

_DISALLOWED = 4014  # Discord's close code for intents that the application may not have


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
                    PATIENCE,
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
        await one_pod(releases)


async def _not_ready(releases: Releases) -> None:
    await releases.seen.until(
        "the bot's pod is not Ready",
        "kubelet",
        lambda now: bool(now.pods) and not any(pod.ready for pod in now.pods.values()),
        PATIENCE,
    )


async def _anew(releases: Releases) -> None:
    """Delete the pod: another takes its place, and is Ready sooner than this one tries again."""
    (pod,) = [pod for pod in releases.seen.now.pods.values() if not pod.leaving]
    await releases.api.delete(Pod, pod.name, namespace=BOT)
    await releases.seen.until(
        "another pod is Ready",
        "kubelet",
        lambda now: pod.name not in now.pods and any(one.ready for one in now.pods.values()),
        PATIENCE,
    )


async def _condition(releases: Releases, kind: Any, status: str) -> None:
    """Wait until KIND's discord-sky has STATUS as its Ready condition."""
    async with asyncio.timeout(PATIENCE):
        await kube.until(
            releases.api,
            kind,
            BOT,
            lambda item: kube.condition(item) == status,
            state.FLUX_NAMESPACE,
        )


# Each with the link that it breaks, and a part of the command that repairs it.
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
