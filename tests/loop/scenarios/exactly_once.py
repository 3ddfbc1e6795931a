"""Exactly once: rollouts, crashes and a missing API server under a steady load.

What must hold is counted over all questions at the end: none lost, none doubled. How long the bot
was away is seen by the next whole answer to a question that was asked after the blow.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lightkube import AsyncClient

from tests.loop.bench.table import say
from tests.loop.cluster import pod_process
from tests.loop.people.observe import Observer, PodSeen
from tests.loop.people.releases import Releases
from tests.loop.scenarios import disruptions as blows
from tests.loop.scenarios.outcome import Tally
from tests.loop.scenarios.steady import Steady, steady

PER_SECOND = 5.0
_COMMANDS_PER_SECOND = 2.0
QUIET = 40.0  # seconds of the same load before anything happens
_PATIENCE = 150.0
_LONGEST_ANSWER = 5.0  # an answer takes two seconds: by then those of before are through


@dataclass(frozen=True)
class Course:
    """A load before and after something began to happen."""

    before: Tally
    after: Tally

    @property
    def usual(self) -> float:
        """The median delay while nothing happened."""
        return statistics.median(self.before.delays)

    @property
    def extra(self) -> list[float]:
        """How much later than usual each answer was whole, once something happened."""
        return [delay - self.usual for delay in self.after.delays]

    @property
    def usual_worst(self) -> float:
        """The same of the slowest answer while nothing happened."""
        return max(self.before.delays) - self.usual


@dataclass(frozen=True)
class Rollouts:
    """Many rollouts; seconds of each from the merge to the moment when everything agrees."""

    course: Course
    seconds: list[float]


@dataclass(frozen=True)
class Blows:
    """Many blows of one kind; for each the seconds to the next whole answer."""

    tally: Tally
    back: list[float]


async def _course(load: Steady, began: float) -> Course:
    load.stop()
    tally = await load.settled(quiet=60)
    return Course(tally.since(0, began - _LONGEST_ANSWER), tally.since(began - _LONGEST_ANSWER))


async def rollouts(releases: Releases, count: int, quiet: float = QUIET) -> Rollouts:
    """Merge COUNT times in a row, each a new tag and digest through Git and Flux.

    For QUIET seconds before that nothing happens, so that the usual delay is known.
    """
    seconds = []
    async with steady(PER_SECOND) as load:
        await asyncio.sleep(quiet)
        first = began = time.time()
        for number in range(1, count + 1):
            deployed = await releases.deploy()
            now = time.time()
            seconds.append(now - began)
            so_far = load.tally().since(0, now - _LONGEST_ANSWER)
            say(f"rollout {number} of {count}, {deployed.tag}: {now - began:.1f} s; {so_far}")
            began = now
        return Rollouts(await _course(load, first), seconds)


@dataclass(frozen=True)
class Commands:
    """Slash commands through rollouts and crashes; seconds to the acknowledgement of each."""

    tally: Tally
    acknowledged: list[float]


async def commands(releases: Releases, rollouts: int, deletions: int) -> Commands:
    """Ask by the slash command while the bot is rolled out, and while its pod is deleted."""
    async with steady(_COMMANDS_PER_SECOND, by_command=True) as load:
        began = await load.answered(0, _PATIENCE)  # whatever was done to the bot before is over
        for number in range(1, rollouts + 1):
            deployed = await releases.deploy()
            say(f"rollout {number} of {rollouts}, {deployed.tag}; {load.tally()}")
        for number in range(1, deletions + 1):
            process = pod_process.of(releases.seen.pod())
            struck = await blows.delete_pod(releases.api, releases.seen.pod())
            over = await blows.gone(process)
            back = await load.answered(struck, _PATIENCE, whole_since=over) - struck
            say(f"forced deletion {number} of {deletions}: back after {back:.1f} s; {load.tally()}")
            await asyncio.sleep(_LONGEST_ANSWER)
        load.stop()
        tally = await load.settled(quiet=60)
        return Commands(tally.since(began), load.acknowledged())


Blow = Callable[[PodSeen], Awaitable[float]]


async def blow_by_blow(seen: Observer, blow: Blow, count: int, seed: int, what: str) -> Blows:
    """Strike the speaking pod COUNT times, each at a random moment after it was back."""
    chance = random.Random(seed)
    back = []
    async with steady(PER_SECOND) as load:
        await asyncio.sleep(_LONGEST_ANSWER)
        for number in range(1, count + 1):
            await asyncio.sleep(chance.uniform(2, 12))
            await seen.until("a Ready pod", "kubelet", lambda now: bool(now.ready), _PATIENCE)
            process = pod_process.of(seen.pod())
            struck = await blow(seen.pod())
            over = await blows.gone(process)
            answered = await load.answered(struck, _PATIENCE, whole_since=over)
            back.append(answered - struck)
            so_far = load.tally().since(0, time.time() - _LONGEST_ANSWER)
            say(f"{what} {number} of {count}: back after {back[-1]:.1f} s; {so_far}")
        load.stop()
        return Blows(await load.settled(quiet=60), back)


async def kill_nine(pod: PodSeen) -> float:
    """Kill -9 the speaking process in its container."""
    return blows.kill_process(pod)


def forced_deletion(api: AsyncClient) -> Blow:
    """Delete the pod by force."""

    async def delete(pod: PodSeen) -> float:
        return await blows.delete_pod(api, pod)

    return delete


async def without_api_server(seconds: float = 60.0) -> Course:
    """Let the API server be away; the bot must not mind."""
    async with steady(PER_SECOND) as load:
        await asyncio.sleep(QUIET)
        began = time.time()
        away = await blows.without_api_server(seconds)
        say(f"the API server was away for {away:.1f} s")
        await asyncio.sleep(_LONGEST_ANSWER)
        return await _course(load, began)
