"""`make bench`: measure the promises on the one-machine loop and print a table.

    make bench [SECTIONS="deploy pod"]

Sections: deploy (tag pushed to new pod Ready, loop's intervals), production (the same at the
intervals of clusters/production), revert (git revert of a merge pushed to the old image Ready),
revert-stays (git revert of the automation's commit, five minutes), histories (random ones of merges
and reverts; LOOP_SEED repeats them), crash (an image that crashes, under messages, and its fix),
pod (container start to Ready, memory and CPU), rotation (the OpenAI key and the Discord token
exchanged under messages, the file stale or the vault away), rotation-late (a token whose new
version comes ten minutes after its reset), rollouts (50 in a row under messages), kills (of the
process, of the pod, and a minute without the API server), interactions (slash commands through
rollouts and forced deletions), shards (four of them on three pods, one killed), cost (the bot
alone, in a cgroup, without the loop: python -m tests.bot.cost --help). Without a name, all of them.
These machines are shared and noisy: quote medians. Nothing here fails for being slow.
"""

import argparse
import asyncio
import subprocess
import sys
import time

from lightkube import AsyncClient

from tests.bot.cost import __main__ as cost
from tests.loop.bench import exactly_once as bench_once
from tests.loop.bench import rotation as bench_rotation
from tests.loop.bench.stages import Stages
from tests.loop.bench.table import HEADER, Row
from tests.loop.cluster import kube
from tests.loop.people.editions import Editions
from tests.loop.people.explain import comes_true
from tests.loop.people.merge import ROOT
from tests.loop.people.observe import Observer
from tests.loop.people.releases import start
from tests.loop.scenarios import random_histories as histories
from tests.loop.scenarios.bad_images import crash_under_messages
from tests.loop.scenarios.intervals import production_intervals
from tests.loop.scenarios.load import messages, pod_figures
from tests.loop.scenarios.rollback_persistence import revert_stays
from tests.loop.supervisor import state

# Methods of Bench, where a hyphen is an underscore.
SECTIONS = (
    *("deploy", "revert", "revert-stays", "histories", "crash", "pod", "production"),
    *("rotation", "rotation-late", "rollouts", "kills", "interactions", "shards"),
)
_COST = "cost"  # needs no loop
_WATCHED = 300.0  # seconds


class Bench:
    """The sections; each returns its rows."""

    def __init__(self, seen: Observer, api: AsyncClient, runs: int | None) -> None:
        self._seen = seen
        self._api = api
        self._runs = runs
        self._editions = Editions(seen)

    async def prepare(self) -> None:
        """Make what the first build needs, and see that the bot runs."""
        await self._editions.prepare()
        if not any(pod.ready for pod in self._seen.now.pods.values()):
            image = await self._editions.run(await self._editions.merge())
            await self._editions.ready(image.tag)
        await self._editions.settled()

    async def _deploy(self, runs: int, row: Row) -> list[Row]:
        stages = Stages(self._seen, self._api)
        for _ in range(runs):
            commit = await self._editions.merge()
            await self._editions.build(commit)
            last_push = stages.last_push()
            began = time.monotonic()
            tag = await self._editions.tag(commit)
            ready = await stages.follow(tag, last_push)
            row.figures.append(ready - began)
            print(f"  {tag}: {ready - began:.2f} s", flush=True)
            await self._editions.settled()
        return [row, *stages.rows]

    async def deploy(self) -> list[Row]:
        """Tag pushed to new pod Ready, at the loop's intervals."""
        row = Row("tag pushed to new pod Ready, loop's intervals", "s", "median ≤ 10")
        return await self._deploy(self._runs or 10, row)

    async def production(self) -> list[Row]:
        """The same, at the intervals that clusters/production has."""
        row = Row("tag pushed to new pod Ready, production's intervals", "s", "each ≤ 60")
        async with production_intervals(self._editions.clone, self._seen):
            return await self._deploy(self._runs or 5, row)

    async def revert(self) -> list[Row]:
        """`git revert` of a merge pushed to the earlier image Ready; nothing may be built."""
        row = Row("git revert of a merge pushed to old image Ready", "s", "median ≤ 10")
        for _ in range(self._runs or 10):
            commit = await self._editions.merge()
            await self._editions.build(commit)
            await self._editions.ready(await self._editions.tag(commit))
            await self._editions.settled()
            began = time.monotonic()
            reverted = await asyncio.to_thread(self._editions.clone.revert, commit)
            image = await self._editions.run(reverted)
            if image.built:
                raise SystemExit("bench: the revert of a merge was built; it must be found")
            row.figures.append(await self._editions.ready(image.tag) - began)
            print(f"  {image.tag}: {row.figures[-1]:.2f} s", flush=True)
            await self._editions.settled()
        return [row]

    async def revert_stays(self) -> list[Row]:
        """`git revert` of the automation's commit, through restarts and five minutes."""
        async with start() as releases:
            stayed = await revert_stays(releases, _WATCHED)
        return [
            Row("git revert of a bump pushed to old image Ready", "s", "", [stayed.reverted]),
            Row("  reverted tag seen nowhere, for", "s", "≥ 300", [stayed.quiet]),
            Row("  then the next merge: tag pushed to Ready", "s", "", [stayed.newer]),
        ]

    async def histories(self) -> list[Row]:
        """Random histories, each of which ends in what people asked for, or the bench fails."""
        row = Row("random histories that ended in what people asked for", "s", "20 runs")
        seed = histories.new_seed()
        for number in range(seed, seed + (self._runs or 20)):
            async with start() as releases:
                began = time.monotonic()
                history = await histories.live(releases, number)
                row.figures.append(time.monotonic() - began)
            steps = f"{len(history.told)} steps, {history.told[-1]}"
            print(f"  LOOP_SEED={number}: {steps}, {row.figures[-1]:.0f} s", flush=True)
        return [row]

    async def crash(self) -> list[Row]:
        """An image that crashes, under two messages a second, and the merge that fixes it."""
        fixed = Row("crashing image: the fix's tag pushed to Ready", "s", "≤ 15")
        asked = Row("  messages meanwhile", "")
        silent = Row("  of them without an answer", "", "0")
        for _ in range(self._runs or 3):
            async with start() as releases:
                crash = await crash_under_messages(releases)
            fixed.figures.append(crash.fixed)
            asked.figures.append(crash.load.asked)
            silent.figures.append(crash.load.asked - crash.load.answered)
            print(f"  {crash.fixed:.2f} s; {crash.load}", flush=True)
        return [fixed, asked, silent]

    async def pod(self) -> list[Row]:
        """Memory and CPU of the bot in its pod: idle, and under 200 messages at 10 a second."""
        idle = await pod_figures(self._seen)
        count = await messages(200, per_second=10)
        busy = await pod_figures(self._seen)
        cpu = 1000 * (busy.cpu_seconds - idle.cpu_seconds) / count.answered
        return [
            Row("resident memory, idle", "MiB", "≤ 256", [idle.resident_mib]),
            Row(
                "resident memory, after 200 messages at 10 a second",
                "MiB",
                "≤ 256",
                [busy.resident_mib],
            ),
            Row("CPU time for an answered message", "ms", "", [cpu]),
            Row("first message sent to last answer complete", "s", "", [count.seconds]),
            Row("answered of 200, each once, word for word", "", "200", [count.exact]),
        ]

    async def rotation(self) -> list[Row]:
        """Credentials rotated under messages, with the file stale and with the vault away."""
        return await bench_rotation.rows(self._seen, self._api, self._runs)

    async def rotation_late(self) -> list[Row]:
        """A Discord token whose new version comes ten minutes after its reset."""
        return await bench_rotation.late_rows(self._seen)

    async def rollouts(self) -> list[Row]:
        """Rollouts in a row under messages: what is lost, doubled or late."""
        async with start() as releases:
            return await bench_once.rollouts(releases, self._runs)

    async def kills(self) -> list[Row]:
        """The process killed, the pod deleted, the API server away, under messages."""
        return await bench_once.kills(self._seen, self._api, self._runs)

    async def interactions(self) -> list[Row]:
        """Slash commands through rollouts and forced deletions."""
        async with start() as releases:
            return await bench_once.interactions(releases, self._runs)

    async def shards(self) -> list[Row]:
        """Four shards on three pods, one killed."""
        async with start() as releases:
            return await bench_once.shards(releases, self._runs)


async def _measure(sections: list[str], runs: int | None) -> None:
    rows: list[Row] = []
    try:
        async with Observer(str(state.KUBECONFIG)) as seen, kube.async_client() as api:
            bench = Bench(seen, api, runs)
            await bench.prepare()
            for name in sections:
                print(f"{name}:", flush=True)
                rows += await getattr(bench, name.replace("-", "_"))()
    finally:  # What was measured before something failed is shown as well.
        print("\n" + HEADER, *rows, sep="\n")


def main() -> int:
    """Measure what was asked for, on a loop that is brought up for all but the cost."""
    parser = argparse.ArgumentParser(
        prog="make bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    known = [*SECTIONS, _COST, []]
    parser.add_argument("sections", nargs="*", choices=known, metavar="SECTION")
    parser.add_argument("--runs", type=int, help="how often each is measured")
    arguments = parser.parse_args()
    sections = arguments.sections or [*SECTIONS, _COST]
    costed = _COST not in sections or asyncio.run(cost.measure(arguments.runs or 3))
    rest = [name for name in sections if name != _COST]
    return 0 if (not rest or _on_the_loop(rest, arguments.runs)) and costed else 1


def _on_the_loop(sections: list[str], runs: int | None) -> bool:
    up = subprocess.run([sys.executable, "-m", "tests.loop", "up"], cwd=ROOT, check=False)
    return up.returncode == 0 and comes_true("The bench", _measure(sections, runs))


if __name__ == "__main__":
    sys.exit(main())
