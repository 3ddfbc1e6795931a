"""Plays one fault under a steady load, and evaluates the result."""

import asyncio
import contextlib
import time
from collections.abc import Mapping

from lightkube import AsyncClient

from tests.loop.faults.evidence import Series, lines, loud
from tests.loop.faults.fault_case import FaultCase, FaultContext
from tests.loop.faults.result import Result, matches
from tests.loop.people.merge import GitFailed, ReleaseFailed
from tests.loop.people.observe import NotSeen, Observer
from tests.loop.scenarios import disruptions as blows
from tests.loop.scenarios.load import metrics
from tests.loop.scenarios.outcome import Tally
from tests.loop.scenarios.steady import STREAMS, steady
from tests.loop.supervisor import control, state
from tests.servers.keyvault.control import VaultControl

_TAIL = 3.0  # seconds of load after the bot was back
_QUIET = 60.0  # so long without any news and what has no answer is lost
_LONGEST = 300.0  # for the bot to be back, and for the last answers
_UNREACHABLE = "discord_sky_lease_unreachable_seconds,shard=0"
_SPEAKING = "discord_sky_speaking,shard=0"
_TOGETHER = 150.0  # for the pod to be Ready, and then to speak


async def play(entry: FaultCase, seen: Observer, api: AsyncClient) -> Result:
    """Play a case on a healthy loop and leave it healthy. Failures are in the result."""
    problems: list[str] = []
    began = time.time()
    before = await Series.read(seen)
    back, tally, noted = float("inf"), Tally(()), []
    async with (
        VaultControl(f"http://{state.VAULT_CONTROL}") as vault,
        steady(entry.per_second, STREAMS) as load,
    ):
        context = FaultContext(seen, api, load, vault)
        try:
            await asyncio.sleep(entry.lead)
            struck = time.time()
            over = await entry.play(context)
            since = max(over, context.gone)
            back = await load.answered(struck, _LONGEST, whole_since=since) - over
            await asyncio.sleep(_TAIL)
        except (NotSeen, GitFailed, ReleaseFailed, TimeoutError, control.Refused) as error:
            problems.append(f"{type(error).__name__}: {error}")
        finally:
            await _end_faults(context)
        load.stop()
        tally = await load.settled(quiet=_QUIET, seconds=_LONGEST)
        noted = context.said
    moved = (await Series.read(seen)).moved_since(before)
    try:
        await healthy(seen, api)
    except (NotSeen, TimeoutError, control.Refused) as error:
        problems.append(f"the loop is not healthy after it: {error}")
    logged = list(lines(began))
    result = Result(entry, tally, back, moved, loud(logged), noted)
    messages = [str(line["message"]) for line in logged]
    return Result(**{**vars(result), "wrong": [*problems, *wrong(result, messages)]})


async def _end_faults(context: FaultContext) -> None:
    """End whatever is still in force in the stand-ins."""
    await context.load.discord.end_faults()
    await context.load.openai.clear()
    await context.vault.clear()


def wrong(result: Result, messages: list[str]) -> list[str]:
    """Return a sentence for each thing that went wrong."""
    entry, tally = result.entry, result.tally
    told = set(tally.told)
    problems = tally.wrong()[:5]
    if len(tally.lost) + len(tally.doubled) > len(problems):
        problems.append(f"… {len(tally.lost)} lost, {len(tally.doubled)} doubled in all")
    if result.back > entry.recovers:
        problems.append(f"back after {result.back:.1f} s; the bar is {entry.recovers:.0f} s")
    if entry.metric and not matches(entry.metric, list(result.moved)):
        problems.append(f"no series {entry.metric!r} moved; there moved {sorted(result.moved)}")
    if entry.log and not matches(entry.log, messages):
        problems.append(f"no line {entry.log!r} in the log")
    if entry.never and matches(entry.never, messages):
        problems.append(f"{entry.never!r} is in the log")
    if wrongly := told - set(entry.told):
        problems.append(f"people were told {', '.join(sorted(wrongly))}, which was not so")
    if entry.tells and not told & set(entry.told):
        problems.append(f"nobody was told {' or '.join(entry.told)}")
    return problems


async def healthy(seen: Observer, api: AsyncClient) -> None:
    """Ensure that all processes run and that one pod leads that never crashed."""
    for name, process in state.load().processes.items():
        if process.state == "stopped":
            await asyncio.to_thread(control.start, name)
        await asyncio.to_thread(control.wait, name)
    with contextlib.suppress(NotSeen):
        await _one_pod(seen)
    # The kubelet restarts a container that crashed before only after a pause: a new pod has none.
    if any(pod.restarts for pod in seen.now.pods.values()):
        for pod in list(seen.now.pods.values()):
            await blows.retire_pod(api, pod)
        await asyncio.sleep(1)
    await _one_pod(seen)
    await _one_leads(seen)


async def _one_leads(seen: Observer) -> None:
    """Wait until the bot has its Lease and renews it.

    A Ready pod may be waiting for a Lease that is not free yet, and two outages of the API server
    in a row would be a longer one.
    """
    try:
        async with asyncio.timeout(_TOGETHER):
            while not (seen.now.ready and leads(await metrics(seen.pod().address))):  # noqa: ASYNC110 - over HTTP
                await asyncio.sleep(1)
    except TimeoutError:
        raise NotSeen("the bot has its Lease and renews it", "kubelet", _TOGETHER) from None


def leads(series: Mapping[str, float]) -> bool:
    """Whether the pod with these series is the leader and can reach its Lease."""
    return series.get(_SPEAKING) == 1 and not series.get(_UNREACHABLE)


async def _one_pod(seen: Observer) -> None:
    await seen.until(
        "one pod of the bot, Ready",
        "kubelet",
        lambda now: len(now.pods) == len(now.ready) == 1,
        _TOGETHER,
    )
