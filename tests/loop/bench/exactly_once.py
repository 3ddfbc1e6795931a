"""The bench's sections on "exactly once"; what happens is in scenarios/exactly_once.py."""

import secrets

from lightkube import AsyncClient

from tests.loop.bench.table import Row, say, say_each
from tests.loop.people.observe import Observer
from tests.loop.people.releases import Releases
from tests.loop.scenarios import exactly_once as once
from tests.loop.scenarios import shards as shared_out
from tests.loop.scenarios.exactly_once import Blows, Course
from tests.loop.scenarios.outcome import Tally

_LATE = 2.0
ROLLOUTS, KILLS, DELETIONS, COMMANDED = 50, 5, 20, 10


def _counted(tally: Tally) -> list[Row]:
    say(str(tally))
    say_each(tally.wrong())
    return [
        Row("  questions asked meanwhile", "", "", [len(tally.fates)]),
        Row("  of them lost", "", "0", [len(tally.lost)]),
        Row("  of them doubled", "", "0", [len(tally.doubled)]),
        Row("  of them told of a failure instead", "", "", [sum(tally.told.values())]),
    ]


def _delayed(course: Course) -> list[Row]:
    late = sum(extra > _LATE for extra in course.extra)
    return [
        Row("  later than usual by, every answer", "s", "≤ 2", course.extra),
        Row(f"  answers that were later than that by {_LATE:.0f} s", "", "0", [late]),
        Row("  the slowest of the same load undisturbed, by", "s", "", [course.usual_worst]),
    ]


async def rollouts(releases: Releases, runs: int | None) -> list[Row]:
    """Rollouts in a row under five questions a second."""
    found = await once.rollouts(releases, runs or ROLLOUTS)
    row = Row("rollout under 5 questions a second, merge to agreement", "s", "", found.seconds)
    return [row, *_counted(found.course.after), *_delayed(found.course)]


def _struck(what: str, bar: str, found: Blows) -> list[Row]:
    return [Row(f"{what}: back after", "s", bar, found.back), *_counted(found.tally)]


async def kills(seen: Observer, api: AsyncClient, runs: int | None) -> list[Row]:
    """Processes killed, pods deleted by force, and a minute without the API server."""
    seed = secrets.randbits(32)
    say(f"seed {seed}")
    deletion = once.forced_deletion(api)
    rows = []
    for _ in range(runs or KILLS):  # each in a pod of its own: the kubelet backs off otherwise
        await deletion(seen.pod())
        found = await once.blow_by_blow(seen, once.kill_nine, 1, seed, "kill -9")
        rows.append(_struck("speaking process killed", "≤ 25", found))
        seed += 1
    deleted = await once.blow_by_blow(seen, deletion, runs or DELETIONS, seed, "forced deletion")
    away = await once.without_api_server()
    return [
        *_merged(rows),
        *_struck("pod deleted by force", "≤ 90", deleted),
        Row("a minute without the API server, of usual answers", "s", "", [away.usual]),
        *_counted(away.after),
        *_delayed(away),
    ]


async def interactions(releases: Releases, runs: int | None) -> list[Row]:
    """Slash commands through rollouts and forced deletions."""
    found = await once.commands(releases, runs or COMMANDED, runs or COMMANDED)
    unheard = [found.tally.told.get("not_acknowledged", 0)]
    return [
        Row("slash command acknowledged after", "s", "≤ 3", found.acknowledged),
        Row("  not acknowledged, and Discord says so", "", "", [*map(float, unheard)]),
        *_counted(found.tally),
    ]


async def shards(releases: Releases, runs: int | None) -> list[Row]:
    """Four shards on three pods, one killed."""
    back = Row("4 shards on 3 pods, one killed: a shard served again", "s", "≤ 90")
    moved = Row("  shards that it had served", "")
    twice = Row("  shards served twice at once", "", "0")
    counted: list[list[Row]] = []
    for _ in range(runs or 1):
        found = await shared_out.killed(releases)
        back.figures += found.back.values()
        moved.figures.append(found.moved)
        twice.figures.append(len(found.twice))
        say_each(found.twice)
        counted.append(_counted(found.tally))
    return [back, moved, twice, *_merged(counted)]


def _merged(runs: list[list[Row]]) -> list[Row]:
    """Put the figures of several runs into one set of rows."""
    first, *others = runs
    for other in others:
        for row, more in zip(first, other, strict=True):
            row.figures += more.figures
    return first
