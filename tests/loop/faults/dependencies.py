"""Faults of what the cluster depends on: registry, Git, vault.

Each is down for twenty seconds, and meanwhile the bot crashes: what it needs to start again has to
be on the node. Once it is back, the next merge has to be deployed.
"""

import asyncio
from typing import Any

from tests.loop.cluster import kube
from tests.loop.faults.fault_case import FaultCase, FaultContext, Play, now
from tests.loop.people.observe import BOT, NotSeen
from tests.loop.people.releases import Releases
from tests.loop.scenarios import disruptions as blows
from tests.loop.supervisor import control, state

_AWAY = 20.0
_PATIENCE = 60.0
_RESTARTS = "kube_pod_container_status_restarts_total"


def _away(process: str, kind: Any = None, name: str = "") -> Play:
    async def play(context: FaultContext) -> float:
        await asyncio.to_thread(control.stop, process)
        try:
            await asyncio.sleep(_AWAY / 2)
            blows.kill_process(context.pod)
            if kind is not None:
                context.note(await _complaint(context, kind, name))
            await asyncio.sleep(_AWAY / 2)
        finally:
            await asyncio.to_thread(control.start, process)
        return now()

    return play


async def _complaint(context: FaultContext, kind: Any, name: str) -> str:
    """Wait until Flux reports on the object that it cannot reach its source."""
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await kube.until(
                context.api, kind, name, lambda item: kube.condition(item) == "False", "flux-system"
            )
    except TimeoutError:
        what = f"Flux says on {kind.__name__} {name} that it is not Ready"
        raise NotSeen(what, "source-controller", _PATIENCE) from None
    ready = next(each for each in found.status["conditions"] if each["type"] == "Ready")
    return f"Flux: {ready['reason']} on {kind.__name__} {name}"


def _then_deploys(play: Play) -> Play:
    async def both(context: FaultContext) -> float:
        image = context.pod.image  # now, for at the end of it the bot may not be Ready yet
        over = await play(context)
        releases = Releases.beside(context.seen, context.api, image)
        deployed = await releases.deploy()
        context.note(f"{deployed.tag} was deployed {now() - over:.0f} s after it was back")
        return over

    return both


ENTRIES = (
    FaultCase(
        "registry-away",
        _then_deploys(_away("registry", kube.ImageRepository, BOT)),
        "the registry is away, and the bot crashes meanwhile",
        recovers=25,
    ),
    FaultCase(
        "git-away",
        _then_deploys(_away("git", kube.GitRepository, state.FLUX_NAMESPACE)),
        "Git is away, and the bot crashes meanwhile",
        recovers=25,
    ),
    FaultCase(
        "vault-away",
        _away("vault"),
        "Key Vault and Entra are away, and the bot crashes meanwhile",
        _RESTARTS,
        recovers=25,
    ),
)
