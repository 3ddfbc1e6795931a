"""`git revert` stays reverted, on the loop: real Flux, real Git, the guard as its workflow runs it.

Most images here are relabelled instead of built (relabel.py): only tags and digests matter.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
from release.history import Deployed
from release.manifests import IMAGE_REPOSITORY, KUSTOMIZATION

from tests.loop.cluster import git_server, nudge
from tests.loop.cluster.relabel import NoBuild
from tests.loop.people.merge import release
from tests.loop.people.releases import Releases, Said, start
from tests.loop.scenarios import random_histories as histories
from tests.loop.scenarios.rollback_persistence import revert_stays, stays_out
from tests.loop.supervisor import control, state

pytestmark = [pytest.mark.loop, pytest.mark.usefixtures("loop"), pytest.mark.timeout(420)]

WATCHED = 20.0  # seconds; `make bench` watches for five minutes


@pytest.fixture
async def releases(loop: state.Loop) -> AsyncIterator[Releases]:
    """The loop, with the guard's work done and an image that runs."""
    assert loop.alive
    async with start() as started:
        yield started


async def test_a_reverted_bump_stays_reverted_and_the_next_merge_deploys(
    releases: Releases,
) -> None:
    """Three forced runs, a restart of each controller, an image of before that arrives after."""
    stayed = await revert_stays(releases, WATCHED)

    assert stayed.quiet >= WATCHED
    assert stayed.reverted < 60
    assert stayed.newer < 60


@pytest.mark.parametrize("wakes", ["a forced run", "a restart"])
async def test_without_the_guard_the_tag_is_written_again_and_the_guard_mends_it(
    releases: Releases, wakes: str
) -> None:
    """Flux itself does it; and where the automation wins the race, it loses it."""
    before = (await releases.said()).deployed
    bad = await releases.deploy()
    bump = await releases.bumped(bad.tag)
    await releases.revert(bump)
    reverted = await releases.said()
    assert reverted.deployed == before

    if wakes == "a restart":
        await asyncio.to_thread(control.restart, "image-automation-controller")
    else:
        await nudge.automate(releases.api)
    said = Said.by(await releases.bumped(bad.tag, after=bump))
    assert said == Said(bad, reverted.excluded)

    assert await releases.guard.run()
    assert (await releases.settle()).deployed == before
    await nudge.automate(releases.api)
    await stays_out(releases, bad.tag, 3)


async def test_the_rollback_command_is_one_commit_that_leaves_the_guard_nothing_to_do(
    releases: Releases,
) -> None:
    before = (await releases.said()).deployed
    bad = await releases.deploy()

    told = await asyncio.to_thread(release, releases.clone.folder, "rollback", "--last", "--yes")
    commit = await asyncio.to_thread(releases.clone.head)
    said = await releases.agree()
    await nudge.automate(releases.api)

    assert said.deployed == before
    assert "The next merge to main deploys main's code" in told
    changed = git_server.git(
        "--git-dir", state.GIT_REPOSITORY, "show", "--name-only", "--format=", commit
    )
    assert set(changed.split()) == {KUSTOMIZATION, IMAGE_REPOSITORY}
    assert await releases.guard.run() == ""
    assert await asyncio.to_thread(releases.clone.head) == commit
    assert releases.seen.now.running(bad.tag) is None


async def test_the_revert_of_a_merge_runs_the_previous_digest_and_builds_nothing(
    releases: Releases,
) -> None:
    before = await releases.deploy()
    merge = await releases.merge()
    bad = await releases.run(merge)
    await releases.running(bad.tag)
    assert bad.digest != before.digest

    reverted = await releases.run(await releases.revert(merge), NoBuild())
    said = await releases.agree()

    assert not reverted.built
    assert said.deployed == Deployed(reverted.tag, before.digest)
    assert reverted.tag not in {before.tag, bad.tag}


@pytest.mark.parametrize("number", range(3))
async def test_a_random_history_ends_in_what_people_asked_for(
    releases: Releases, number: int
) -> None:
    """`LOOP_SEED` repeats a run; what happened is in the message of a failure.

    Six steps instead of the ten of `make bench`, to be quicker.
    """
    seed = histories.new_seed() + number

    history = await histories.live(releases, seed, steps=6)

    print(f"LOOP_SEED={seed}", *history.told, sep="\n  ")
