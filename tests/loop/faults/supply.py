"""Faults of what the cluster is fed from: registry, Git, vault.

Each is away for twenty seconds, and in the middle of it the bot crashes: what it needs to start
again has to be on the node. Once it is back, the next merge has to be deployed.
"""

import asyncio
from typing import Any

from tests.loop.cluster import kube
from tests.loop.faults.entry import Entry, Ground, Play, now
from tests.loop.people.observe import BOT, NotSeen
from tests.loop.people.releases import Releases
from tests.loop.scenarios import disruptions as blows
from tests.loop.supervisor import control, state

_AWAY = 20.0
_PATIENCE = 60.0
_RESTARTS = "kube_pod_container_status_restarts_total"


def _away(process: str, kind: Any = None, name: str = "") -> Play:
    async def play(ground: Ground) -> float:
        await asyncio.to_thread(control.stop, process)
        try:
            await asyncio.sleep(_AWAY / 2)
            blows.kill_process(ground.pod)
            if kind is not None:
                ground.note(await _complaint(ground, kind, name))
            await asyncio.sleep(_AWAY / 2)
        finally:
            await asyncio.to_thread(control.start, process)
        return now()

    return play


async def _complaint(ground: Ground, kind: Any, name: str) -> str:
    """Wait until Flux says on the object that it cannot reach it."""
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await kube.until(
                ground.api, kind, name, lambda item: kube.condition(item) == "False", "flux-system"
            )
    except TimeoutError:
        what = f"Flux says on {kind.__name__} {name} that it is not Ready"
        raise NotSeen(what, "source-controller", _PATIENCE) from None
    ready = next(each for each in found.status["conditions"] if each["type"] == "Ready")
    return f"Flux: {ready['reason']} on {kind.__name__} {name}"


def _then_deploys(play: Play) -> Play:
    async def both(ground: Ground) -> float:
        image = ground.pod.image  # now, for at the end of it the bot may not be Ready yet
        over = await play(ground)
        releases = Releases.beside(ground.seen, ground.api, image)
        deployed = await releases.deploy()
        ground.note(f"{deployed.tag} was deployed {now() - over:.0f} s after it was back")
        return over

    return both


ENTRIES = (
    Entry(
        "registry-away",
        _then_deploys(_away("registry", kube.ImageRepository, BOT)),
        "the registry is away, and the bot crashes meanwhile",
        recovers=25,
    ),
    Entry(
        "git-away",
        _then_deploys(_away("git", kube.GitRepository, state.FLUX_NAMESPACE)),
        "Git is away, and the bot crashes meanwhile",
        recovers=25,
    ),
    Entry(
        "vault-away",
        _away("vault"),
        "Key Vault and Entra are away, and the bot crashes meanwhile",
        _RESTARTS,
        recovers=25,
    ),
)
