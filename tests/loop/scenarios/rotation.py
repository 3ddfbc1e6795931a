"""Credentials exchanged under a bot at work: real driver, real provider, the vault's stand-in.

Each rotation does what a service and a person do: the service refuses the old value at once, and
the person sets a new version in the vault. Where a file has to be stale, the CSI driver is stopped
where it is, so that nobody writes it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

from lightkube import AsyncClient

from tests.loop.cluster import azure, pod_process
from tests.loop.cluster.stand_ins import new_key, new_token
from tests.loop.people.observe import NotSeen, Observer, PodSeen
from tests.loop.scenarios import disruptions as blows
from tests.loop.scenarios.load import Outcome, messages
from tests.loop.scenarios.outcome import Tally
from tests.loop.scenarios.steady import QUICK, Steady, steady, watching
from tests.loop.supervisor import control, state
from tests.servers.keyvault.control import Fault, FaultKind, VaultControl

TOKEN, KEY = "discord-token", "openai-api-key"
DRIVER = "secrets-store-csi-driver"
_PATIENCE = 60.0
_KUBELET_PAUSES = 300.0  # it asks a driver that did not answer again after minutes
_MOUNT = {TOKEN: "discord", KEY: "openai"}  # volumes of apps/discord-sky/deployment.yaml


@dataclass(frozen=True)
class KeyRotations:
    """Messages under rotations of the OpenAI key, and the pod before and after."""

    load: Outcome
    rotations: int
    restarts: int
    same_process: bool
    refused: int  # requests that the provider refused while the keys changed


@dataclass(frozen=True)
class TokenReset:
    """A reset of the Discord token, in seconds; `identifies` were spent on it."""

    waited: float  # the old token refused, to the new version set
    again: float  # the new version set, to the answer to a question asked after it
    between: Tally  # what was asked while the bot was out
    identifies: int
    stale: bool  # whether the file still had the old value when the bot answered
    same_process: bool


@dataclass(frozen=True)
class VaultAway:
    """Two minutes without the vault, at a rotation and at a pod's first start."""

    load: Tally
    recovered: float  # the vault's return, to an answer


def mounted(pod: PodSeen, name: str) -> str:
    """Read a credential's file as the pod sees it, from the node."""
    volumes = state.STATE / "kubelet" / "pods" / pod.uid / "volumes" / "kubernetes.io~csi"
    return (volumes / _MOUNT[name] / "mount" / name).read_text()


async def set_version(name: str, value: str) -> float:
    """Set a new version as a person does; return when it was there (Unix time)."""

    def set_it() -> None:
        with azure.operator() as vault:
            vault.set_secret(name, value, content_type="text/plain")

    await asyncio.to_thread(set_it)
    return time.time()


@contextmanager
def stale_files() -> Iterator[None]:
    """Within the block the driver writes nothing, so a mounted file stays as it is."""
    control.freeze(DRIVER)
    try:
        yield
    finally:
        control.thaw(DRIVER)


async def accept_only(load: Steady, name: str, value: str) -> float:
    """Let the service refuse every other value from now on; return when (Unix time).

    Discord also closes the session of the old token.
    """
    if name == KEY:
        await load.openai.accept(value)
        return time.time()
    # The file first: it is what the stand-in accepts should it be started again.
    fresh = state.DISCORD_TOKEN_FILE.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(value)
    fresh.replace(state.DISCORD_TOKEN_FILE)
    await load.discord.accept_token(value)
    return time.time()


async def rotate_key(load: Steady) -> None:
    """Exchange the OpenAI key: the old one is refused from now on, then the vault has the new."""
    key = new_key()
    await accept_only(load, KEY, key)
    await set_version(KEY, key)


async def keys_under_load(
    seen: Observer, count: int = 200, per_second: float = 10, rotations: int = 3
) -> KeyRotations:
    """Rotate the OpenAI key ROTATIONS times, evenly, while COUNT messages are asked."""
    pod, process = seen.pod(), pod_process.of(seen.pod())
    async with watching() as load, asyncio.TaskGroup() as group:
        before = (await load.openai.counts()).by_status
        asking = group.create_task(messages(count, per_second))
        for _ in range(rotations):
            await asyncio.sleep(count / per_second / (rotations + 1))
            await rotate_key(load)
        outcome = await asking
        after = (await load.openai.counts()).by_status
    now = seen.pod()
    return KeyRotations(
        load=outcome,
        rotations=rotations,
        restarts=now.restarts - pod.restarts,
        same_process=process.alive and now.uid == pod.uid,
        refused=after.get("401", 0) - before.get("401", 0),
    )


async def token_reset(seen: Observer, wait: float, asked: int = 5) -> TokenReset:
    """Reset the token, ask ASKED questions meanwhile, set the new version WAIT seconds later."""
    pod, process = seen.pod(), pod_process.of(seen.pod())
    async with watching() as load:
        world = await load.discord.world()
        places = [channel.id for channel in world.channels if channel.guild_id]
        await load.ask(places[-1], "Ada")
        await load.settled()
        before, old = (await load.discord.counts()).identifies, mounted(pod, TOKEN)
        with stale_files():
            token = new_token()
            reset = await accept_only(load, TOKEN, token)
            for number in range(asked):
                await asyncio.sleep(max(0.2, wait / asked))
                await load.ask(places[number % len(places)], "Bram", QUICK)
            began = await set_version(TOKEN, token)
            # One that the model answers at once: its two seconds would not be the bot's.
            await load.ask(places[asked % len(places)], "Chiyo", QUICK)
            again = await load.answered(began, _PATIENCE)
            stale = mounted(pod, TOKEN) == old
            tally = await load.settled()
        identifies = (await load.discord.counts()).identifies - before
    await _caught_up(pod, TOKEN, token)
    return TokenReset(
        waited=began - reset,
        again=again - began,
        between=tally.since(reset, began),
        identifies=identifies,
        stale=stale,
        same_process=process.alive,
    )


async def _caught_up(pod: PodSeen, name: str, value: str) -> None:
    """Wait until the driver, which goes on, has written the new value."""
    ends = time.monotonic() + _KUBELET_PAUSES
    while mounted(pod, name).strip() != value:
        if time.monotonic() > ends:
            raise NotSeen(f"the driver writes the new {name}", DRIVER, _KUBELET_PAUSES)
        await asyncio.sleep(0.5)


@asynccontextmanager
async def vault_away(seconds: float) -> AsyncIterator[float]:
    """Begin SECONDS without the vault and Entra; yields their end (Unix time)."""
    async with VaultControl(f"http://{state.VAULT_CONTROL}") as vault:
        await vault.begin(Fault(kind=FaultKind.UNREACHABLE, seconds=seconds))
        await vault.begin(Fault(kind=FaultKind.UNREACHABLE, where="token", seconds=seconds))
        try:
            yield time.time() + seconds
        finally:
            await vault.clear()


async def away_at_rotation(name: str, seconds: float, per_second: float = 1.0) -> VaultAway:
    """Let the vault go away right after a new version was set, before anybody has read it."""
    value = new_token() if name == TOKEN else new_key()
    async with steady(per_second, QUICK) as load, AsyncExitStack() as stack:
        await asyncio.sleep(2)
        with stale_files():
            await set_version(name, value)
            away = await stack.enter_async_context(vault_away(seconds))
        refused = await accept_only(load, name, value)
        await asyncio.sleep(max(0.0, away - time.time()))
        recovered = await load.answered(refused + 1, _PATIENCE)
        load.stop()
        tally = await load.settled()
    return VaultAway(tally, recovered - away)


async def away_at_first_start(seen: Observer, api: AsyncClient, seconds: float) -> VaultAway:
    """Let a pod start that finds no vault: its volumes cannot be mounted until it is back."""
    async with watching() as load, vault_away(seconds) as away:
        await blows.delete_pod(api, seen.pod())
        await asyncio.sleep(max(0.0, away - time.time()))
        place = next(c.id for c in (await load.discord.world()).channels if c.guild_id)
        asked = await load.ask(place, "Ada")
        recovered = await load.answered(load.fate(asked).asked - 1, 2 * _PATIENCE)
        tally = await load.settled()
    return VaultAway(tally, recovered - away)
