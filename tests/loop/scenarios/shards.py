"""A bot in so many servers that it needs shards: four shards, three pods, one of them killed.

The configuration gets the number by a merge, the Deployment its replicas. Who serves a shard is
seen by Discord: every answer comes from the address of one pod.
"""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.loop.cluster import pod_process
from tests.loop.people.releases import Releases
from tests.loop.scenarios import disruptions as blows
from tests.loop.scenarios.exactly_once import PER_SECOND
from tests.loop.scenarios.outcome import Fate, Tally
from tests.loop.scenarios.steady import STREAMS, Steady, watching

SHARDS, PODS = 4, 3
_CHANNELS = 6  # of each server
_OWNER = "Ada"  # of every server, so she may ask in all of them
_CONCURRENCY = 16  # identifies at once, as Discord grants to a bot of that size
_APP = Path("apps/discord-sky")
_ONE = "  replicas: 1\n"
_BEFORE, _AFTER = 20.0, 15.0  # seconds of load
_PATIENCE = 240.0


@dataclass(frozen=True)
class Shards:
    """The result: seconds until each shard was served again, and which pod served it when."""

    tally: Tally
    back: Mapping[int, float]
    moved: int  # shards that the killed pod had served
    twice: Sequence[str]  # sentences on shards that two pods served at once


def shard_of(guild_id: str) -> int:
    """Discord's rule."""
    return (int(guild_id) >> 22) % SHARDS


async def _places(load: Steady) -> dict[str, int]:
    """Give channels with their shards; servers are added until there is one for each shard."""
    for number in itertools.count(1):
        world = await load.discord.world()
        places = {c.id: shard_of(c.guild_id) for c in world.channels if c.guild_id}
        if set(places.values()) == set(range(SHARDS)):
            return places
        name = f"Shard Harbour {load.mark} {number}"
        await load.discord.add_guild(name, channels=_CHANNELS)
    raise AssertionError


def _shared_out(tree: Path) -> None:
    """Do what apps/discord-sky/README.md says under "shards"."""
    with (tree / _APP / "kustomization.yaml").open("a") as kustomization:
        kustomization.write("components:\n  - shards\n")
    with (tree / _APP / "config.toml").open("a") as config:
        config.write(f"\n[discord]\nshards = {SHARDS}\n")
    deployment = tree / _APP / "deployment.yaml"
    assert _ONE in deployment.read_text()
    deployment.write_text(deployment.read_text().replace(_ONE, f"  replicas: {PODS}\n"))


@asynccontextmanager
async def _many(releases: Releases, load: Steady) -> AsyncIterator[None]:
    """Within the block there are several shards and pods; a person merges it, and reverts it."""
    await load.discord.set(max_concurrency=_CONCURRENCY)
    title = f"{SHARDS} shards on {PODS} pods"
    merge = await asyncio.to_thread(releases.clone.merge, title, _shared_out)
    try:
        await releases.fetched(merge)
        await releases.seen.until(
            f"{PODS} Ready pods",
            "kubelet",
            lambda now: now.applied == now.revision and len(now.pods) == len(now.ready) == PODS,
            _PATIENCE,
        )
        yield
    finally:
        await releases.revert(merge)
        await releases.agree(_PATIENCE)
        await load.discord.set(max_concurrency=1)


async def killed(releases: Releases) -> Shards:
    """Share the bot out, kill the pod that serves most, watch the others take over."""
    async with watching() as load, asyncio.TaskGroup() as group:
        places = await _places(load)
        async with _many(releases, load):
            everywhere = load.go_on(PER_SECOND, STREAMS, _in_turn(places), [_OWNER])
            asking = group.create_task(everywhere)
            await asyncio.sleep(_BEFORE)
            served = _served(load.tally(), places)
            victim = max(served.values(), key=list(served.values()).count)
            pod = next(each for each in releases.seen.now.ready if each.address == victim)
            process = pod_process.of(pod)
            struck = await blows.delete_pod(releases.api, pod)
            over = await blows.gone(process)
            back = {}
            for shard in range(SHARDS):
                here = {place for place, of in places.items() if of == shard}
                whole = await load.answered(struck, _PATIENCE, whole_since=over, within=here)
                back[shard] = whole - struck
            await asyncio.sleep(_AFTER)
            load.stop()
            asking.cancel()
            tally = await load.settled(quiet=60)
    moved = sum(address == victim for address in served.values())
    return Shards(tally, back, moved, list(_twice(tally, places)))


def _in_turn(places: Mapping[str, int]) -> list[str]:
    """Put the channels into an order in which every shard has its turn."""
    by_shard = [[p for p, of in places.items() if of == shard] for shard in range(SHARDS)]
    return [each for turn in itertools.zip_longest(*by_shard) for each in turn if each]


def _served(tally: Tally, places: Mapping[str, int]) -> dict[int, str]:
    """Give for each shard the address that answered in it last."""
    answered = sorted((f for f in tally.fates if f.first and f.peer), key=lambda f: f.first or 0)
    return {places[fate.channel]: fate.peer for fate in answered}


def _twice(tally: Tally, places: Mapping[str, int]) -> list[str]:
    """Say where a pod answered in a shard after another had begun to."""
    by_shard: dict[int, list[Fate]] = defaultdict(list)
    for fate in sorted((f for f in tally.fates if f.first), key=lambda f: f.first or 0):
        by_shard[places[fate.channel]].append(fate)
    found = []
    for shard, fates in sorted(by_shard.items()):
        runs = [peer for peer, _ in itertools.groupby(fate.peer for fate in fates)]
        if len(runs) != len(set(runs)):
            found.append(f"shard {shard} was served by {', then '.join(runs)}")
    return found
