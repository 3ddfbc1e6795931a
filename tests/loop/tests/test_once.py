"""Exactly once: what rollouts, crashes and faults cost. The part of the counts that fits in here.

`make bench SECTIONS="rollouts kills"` and `make faults` have the whole.
"""

from collections.abc import AsyncIterator

import pytest
from lightkube import AsyncClient

from tests.loop.faults.__main__ import GROUPS, chosen
from tests.loop.faults.runner import healthy, play
from tests.loop.people.editions import deployed
from tests.loop.people.observe import Observer
from tests.loop.people.releases import start
from tests.loop.scenarios import exactly_once as once
from tests.loop.supervisor import state

pytestmark = [pytest.mark.loop, pytest.mark.usefixtures("loop"), pytest.mark.timeout(400)]

ROLLOUTS, KILLS = 5, 3
# The quickest of each class that asks something of the bot.
ONE_OF_EACH_CLASS = (
    "containerd-restarted",
    "etcd-restarted",
    "vault-away",
    "discord-op-9",
    "openai-503",
    "memory-pressure",
)


@pytest.fixture
async def seen(loop: state.Loop, api: AsyncClient) -> AsyncIterator[Observer]:
    """The cluster, with one healthy pod of the bot before and after."""
    assert loop.alive
    async with Observer(str(state.KUBECONFIG)) as watched:
        await deployed(watched)
        await healthy(watched, api)
        yield watched
        await healthy(watched, api)


async def test_rollouts_in_a_row_lose_nothing_and_double_nothing(
    loop: state.Loop,
) -> None:
    """Five, under five questions a second whose answers take two seconds each."""
    assert loop.alive
    async with start() as releases:
        found = await once.rollouts(releases, ROLLOUTS, quiet=8)

    assert found.course.after.wrong() == []
    assert found.course.after.told == {}


async def test_a_process_that_is_killed_is_back_and_forgets_nobody(seen: Observer) -> None:
    """The first crash of a pod: the kubelet starts its container again at once."""
    found = await once.blow_by_blow(seen, once.kill_nine, 1, seed=1, what="kill -9")

    assert found.tally.wrong() == []
    assert found.back[0] <= 25


async def test_pods_that_are_deleted_by_force_are_back_and_forget_nobody(
    seen: Observer, api: AsyncClient
) -> None:
    blow = once.forced_deletion(api)

    found = await once.blow_by_blow(seen, blow, KILLS - 1, seed=2, what="forced deletion")

    assert found.tally.wrong() == []
    assert max(found.back) <= 90


@pytest.mark.parametrize("name", ONE_OF_EACH_CLASS)
async def test_a_fault_is_survived_and_said(seen: Observer, api: AsyncClient, name: str) -> None:
    """The row of the matrix says what has to be seen of it."""
    [entry] = chosen([name])

    result = await play(entry, seen, api)

    assert list(result.wrong) == [], str(result)


def test_there_is_one_of_each_class() -> None:
    classes = {name for name, entries in GROUPS.items() for entry in entries if _part(entry.name)}

    assert classes == set(GROUPS)


def _part(name: str) -> bool:
    return name in ONE_OF_EACH_CLASS
