"""Only the bot's own image, by digest, may run in its namespace: refused in the cluster itself."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lightkube import ApiError
from lightkube.models.core_v1 import Container
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import Pod
from release.manifests import KUSTOMIZATION

from tests.loop.people.observe import BOT
from tests.loop.people.releases import REPOSITORY, Releases, start
from tests.loop.supervisor import state
from tests.tools import tool

pytestmark = [pytest.mark.loop, pytest.mark.usefixtures("loop")]

FOREIGN = "docker.io/library/busybox:1.37"
REFUSAL = f"only {REPOSITORY}@sha256:<digest>, with or without a tag, may run in this namespace"


@pytest.fixture
async def releases(loop: state.Loop) -> AsyncIterator[Releases]:
    """The loop, with the guard's work done and an image that runs."""
    assert loop.alive
    async with start() as started:
        yield started


async def test_a_foreign_image_in_git_fails_the_reconcile_in_words_and_the_old_pod_stays(
    releases: Releases,
) -> None:
    said = await releases.said()

    def foreign(tree: Path) -> None:
        file = tree / KUSTOMIZATION
        name = "newName: ${ACR_LOGIN_SERVER}/discordskybot"
        assert name in file.read_text()
        file.write_text(file.read_text().replace(name, "newName: docker.io/library/busybox"))

    commit = await asyncio.to_thread(releases.clone.merge, "Another image", foreign)
    await releases.seen.until(
        "Flux says that the image is refused",
        "kustomize-controller",
        lambda now: REFUSAL in now.failure,
    )

    assert releases.seen.now.running(said.deployed.tag) is not None
    await releases.revert(commit)
    assert await releases.agree() == said


async def test_the_deployment_takes_no_foreign_image_from_anybody(releases: Releases) -> None:
    """Not even from the administrator."""
    container = {"name": "bot", "image": FOREIGN}
    change = {"spec": {"template": {"spec": {"containers": [container]}}}}

    with pytest.raises(ApiError, match=f"refused: {FOREIGN}"):
        await releases.api.patch(Deployment, "discord-sky-bot", change, namespace=BOT)


async def test_a_pod_with_a_foreign_init_container_is_refused(releases: Releases) -> None:
    running = next(iter(releases.seen.now.pods.values()))
    pod = await releases.api.get(Pod, running.name, namespace=BOT)
    assert pod.spec is not None
    assert pod.metadata is not None
    model = pod.spec.containers[0]
    copy = Pod(metadata=type(pod.metadata)(name="foreign", namespace=BOT), spec=pod.spec)
    pod.spec.initContainers = [
        Container(name="first", image=FOREIGN, securityContext=model.securityContext)
    ]

    with pytest.raises(ApiError, match=f"refused: {FOREIGN}"):
        await releases.api.create(copy)


async def test_kubectl_debug_with_a_foreign_image_is_refused(releases: Releases) -> None:
    """It would add an ephemeral container to the running bot."""
    pod = next(iter(releases.seen.now.pods.values()))
    command = [
        str(tool("kubectl")), f"--kubeconfig={state.KUBECONFIG}", f"--namespace={BOT}",
        "debug", pod.name, f"--image={FOREIGN}", "--profile=restricted", "--target=bot",
    ]  # fmt: skip

    done = await asyncio.to_thread(
        subprocess.run, command, check=False, capture_output=True, text=True
    )

    assert done.returncode != 0
    assert f"refused: {FOREIGN}" in done.stderr
