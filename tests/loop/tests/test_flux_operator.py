"""Flux as production has it: its FluxInstance, applied by the real Flux Operator.

And on that cluster the scenarios that GitHub plays on kind, as they are.
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.person import Person
from e2e.scenarios import Play
from lightkube.resources.core_v1 import ServiceAccount

from tests.loop.cluster import flux_operator, kube
from tests.loop.cluster.images import Builder
from tests.loop.fixtures import command
from tests.loop.people.releases import start
from tests.loop.supervisor import state
from tests.servers.discord.control import DiscordControl
from tests.tools import tool

pytestmark = [pytest.mark.loop, pytest.mark.timeout(900)]

OLDER, NEWER = "v2.9.4", "v2.9.5"  # the same programs, under the names of two releases


async def _install(instance: dict[str, Any]) -> None:
    async with kube.async_client() as api, asyncio.timeout(240):
        await flux_operator.apply(api, instance)
        await flux_operator.installed(api, OLDER)


@pytest.fixture(scope="module")
def own_loop(loop_was_up: bool) -> Iterator[state.Loop]:  # noqa: FBT001 - a fixture's value
    """A loop for these tests alone, whose Flux was installed by the operator as OLDER."""
    if loop_was_up:
        pytest.skip("a loop was up before the tests: `make loop-down` first to run this one")
    command("down")
    started = command("up")
    assert started.returncode == 0, started.stdout + started.stderr
    loop = state.load()
    for release in (OLDER, NEWER):
        flux_operator.push_images(release)
    with flux_operator.operator():
        version = OLDER.removeprefix("v")
        asyncio.run(_install(flux_operator.instance(loop.checkout, version=version)))
        yield loop
    command("down")


async def test_what_productions_fluxinstance_says_is_what_runs(own_loop: state.Loop) -> None:
    async with kube.async_client(own_loop.kubeconfig) as api:
        found = await flux_operator.running(api)
        reflector: Any = await api.get(
            ServiceAccount, "image-reflector-controller", namespace=state.FLUX_NAMESPACE
        )

    assert set(found) == set(flux_operator.CONTROLLERS)
    gate = "--feature-gates=CancelHealthCheckOnNewRevision=true"
    assert gate in flux_operator.arguments(found["kustomize-controller"])
    assert "azure.workload.identity/client-id" in (reflector.metadata.annotations or {})


async def test_an_upgrade_of_flux_under_a_merge_loses_no_deploy(own_loop: state.Loop) -> None:
    async with start() as releases:
        merge = await releases.merge()
        await releases.run(merge, tag=False)
        image = await releases.run(merge)
        await flux_operator.apply(releases.api, flux_operator.instance(own_loop.checkout))

        await flux_operator.installed(releases.api, NEWER)
        await releases.running(image.tag)
        await releases.agree()


async def test_a_mistake_in_the_fluxinstance_leaves_flux_alone_and_is_told(
    own_loop: state.Loop,
) -> None:
    mistaken = flux_operator.instance(own_loop.checkout)
    mistaken["spec"]["kustomize"]["patches"].append({"patch": "- op: no such operation"})
    async with start() as releases:
        before = await flux_operator.running(releases.api)

        await flux_operator.apply(releases.api, mistaken)
        said = await flux_operator.not_built(releases.api)
        after = await flux_operator.running(releases.api)
        await releases.deploy()

    assert "patch" in said
    generations = {name: one.metadata.generation for name, one in before.items()}
    assert {name: one.metadata.generation for name, one in after.items()} == generations


@pytest.mark.skipif("LOOP_E2E" not in os.environ, reason="takes nine minutes: LOOP_E2E=1 runs it")
async def test_the_scenarios_that_github_plays_on_kind_come_true_here(
    own_loop: state.Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only buildah builds in Docker's place."""
    monkeypatch.setenv("KUBECONFIG", str(own_loop.kubeconfig))
    monkeypatch.setenv("PATH", f"{tool('kubectl').parent}{os.pathsep}{os.environ['PATH']}")
    builder = Builder(lambda _: None)
    builder.prepare()
    person = Person(tmp_path / "clone", f"{state.REGISTRY}/discordskybot", builder.build)

    async with DiscordControl(f"http://{state.DISCORD_CONTROL}") as discord:
        await Play(discord, person).all()
