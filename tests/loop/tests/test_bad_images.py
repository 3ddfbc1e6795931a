"""An image that crashes, hangs or cannot be pulled: the old pod answers, the fix does not wait.

On the loop, with the real kubelet and Flux. In clusters/production a rollout has failed after
120 s; where a test waits for that, a person merges a shorter deadline first.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
from lightkube.resources.core_v1 import Pod

from tests.loop.cluster.relabel import Relabel, cripple
from tests.loop.people.observe import BOT
from tests.loop.people.releases import REPOSITORY, Releases, start
from tests.loop.scenarios import bad_images
from tests.loop.scenarios.bad_images import HANGS, PULL_FAILURES, failed, shorter_deadline, waiting
from tests.loop.supervisor import state

pytestmark = [pytest.mark.loop, pytest.mark.usefixtures("loop"), pytest.mark.timeout(420)]

DEADLINE = 20  # seconds; a good pod is Ready in ten


@pytest.fixture
async def releases(loop: state.Loop) -> AsyncIterator[Releases]:
    """The loop, with the guard's work done and an image that runs."""
    assert loop.alive
    async with start() as started:
        yield started


async def test_a_crashing_image_leaves_nobody_without_an_answer_and_the_fix_does_not_wait(
    releases: Releases,
) -> None:
    """Two messages a second all the while; the crash is a real merge, built and rolled out."""
    crash = await bad_images.crash_under_messages(releases)

    assert crash.load.answered == crash.load.asked > 20
    assert crash.waited < bad_images.WOULD_WAIT / 2


async def test_an_image_that_hangs_fails_visibly_and_the_old_pod_comes_back_when_deleted(
    releases: Releases,
) -> None:
    """Old pod deleted in the middle of the stuck rollout; then condition, Event, and the fix."""
    old = (await releases.said()).deployed
    image = f"{REPOSITORY}@{old.digest}"
    async with shorter_deadline(releases, DEADLINE):
        hanging = await releases.run(await releases.merge(), Relabel(image, HANGS))
        await releases.seen.until(
            f"a container hangs in {hanging.tag}",
            "kubelet",
            lambda now: any(f":{hanging.tag}@" in p.image and p.started for p in now.pods.values()),
        )
        pod = releases.seen.now.running(old.tag)
        assert pod is not None

        await releases.api.delete(Pod, pod.name, namespace=BOT)
        await releases.seen.until(
            f"another Ready pod runs {old.tag}",
            "kubelet",
            lambda now: (other := now.running(old.tag)) is not None and other.name != pod.name,
        )
        message, event = await failed(releases)

        assert "Deployment/discord-sky/discord-sky-bot" in message
        assert "Deployment/discord-sky/discord-sky-bot" in event
        assert releases.seen.now.running(hanging.tag) is None
        assert releases.seen.now.running(old.tag) is not None
        await releases.deploy()


async def test_an_image_that_cannot_be_pulled_fails_visibly_and_the_reverted_bump_deploys(
    releases: Releases,
) -> None:
    """Its tag is in the registry, its configuration is not."""
    old = (await releases.said()).deployed
    merge = await releases.merge()
    await releases.run(merge, tag=False)
    async with shorter_deadline(releases, DEADLINE):
        image = await releases.run(merge)
        # Now, because the registry takes no tag for an image that is not whole; Flux needs longer.
        await asyncio.to_thread(cripple, image.digest)

        await waiting(releases, image.tag, PULL_FAILURES)
        message, event = await failed(releases)

        assert "Deployment/discord-sky/discord-sky-bot" in message
        assert "Deployment/discord-sky/discord-sky-bot" in event
        assert releases.seen.now.running(old.tag) is not None
        await releases.revert(await releases.bumped(image.tag))
        assert (await releases.settle()).deployed == old
