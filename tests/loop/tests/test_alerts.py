"""Each alert is seen where a person would see it: in a Discord channel, and on a commit."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.loop.cluster.relabel import Relabel
from tests.loop.people.doctor import examine
from tests.loop.people.releases import REPOSITORY, Releases, start
from tests.loop.scenarios.alerts import Alerts, pushes_refused, turned_on
from tests.loop.scenarios.bad_images import HANGS, failed, shorter_deadline
from tests.loop.supervisor import state
from tests.servers.discord.control import DiscordControl

pytestmark = [pytest.mark.loop, pytest.mark.usefixtures("loop"), pytest.mark.timeout(420)]

DEADLINE = 20  # seconds; a good pod is Ready in ten


@pytest.fixture
async def releases(loop: state.Loop) -> AsyncIterator[Releases]:
    """The loop, with the guard's work done and an image that runs."""
    assert loop.alive
    async with start() as started:
        yield started


@pytest.fixture
async def alerts(releases: Releases) -> AsyncIterator[Alerts]:
    """Alerts, turned on."""
    async with (
        DiscordControl(f"http://{state.DISCORD_CONTROL}") as discord,
        turned_on(releases.api, discord) as on,
    ):
        yield on


async def test_a_deploy_and_a_rollback_are_told_and_marked(
    releases: Releases, alerts: Alerts
) -> None:
    before = (await releases.said()).deployed
    bad = await releases.deploy()
    bump = await releases.bumped(bad.tag)

    assert bad.tag in await alerts.told("imageupdateautomation/discord-sky", bad.tag)
    await alerts.told("kustomization/discord-sky.", "Health check passed", bump)
    assert await alerts.marked(bump, "success")

    await releases.revert(bump)
    assert (await releases.settle()).deployed == before
    # The guard's commit followed at once, and what Flux applied last is what it speaks of.
    applied = releases.seen.now.applied
    await alerts.told("kustomization/discord-sky.", applied)
    assert await alerts.marked(applied, "success")


async def test_a_version_that_does_not_become_ready_is_told_and_marked(
    releases: Releases, alerts: Alerts
) -> None:
    old = (await releases.said()).deployed
    async with shorter_deadline(releases, DEADLINE):
        hanging = Relabel(f"{REPOSITORY}@{old.digest}", HANGS)
        image = await releases.run(await releases.merge(), hanging)
        bump = await releases.bumped(image.tag)
        await failed(releases)

        text = await alerts.told("kustomization/discord-sky.", "health check failed")
        assert "Deployment/discord-sky/discord-sky-bot" in text
        assert await alerts.marked(bump, "failure")
        await releases.deploy()


async def test_a_push_of_the_automation_that_git_refuses_is_told(
    releases: Releases, alerts: Alerts
) -> None:
    merge = await releases.merge()
    with pushes_refused():
        image = await releases.run(merge)

        text = await alerts.told("imageupdateautomation/discord-sky", "push")

    assert state.GIT_URL not in text or "@" not in text
    await releases.running(image.tag)


async def test_a_wrong_webhook_and_a_wrong_token_are_events_that_hide_them_and_the_doctor_reads(
    releases: Releases, alerts: Alerts, tmp_path: Path
) -> None:
    wrong = alerts.webhook[:-4] + "xxxx"
    await alerts.use("discord", address=wrong)
    await alerts.use("github", address=state.GITHUB_URL, token="github_pat_wrong")

    await releases.deploy()
    discord, github = await asyncio.gather(
        alerts.not_delivered("discord"), alerts.not_delivered("github")
    )

    assert "Invalid Webhook Token" in discord
    assert "Bad credentials" in github
    assert wrong.rpartition("/")[2] not in discord
    assert "github_pat_wrong" not in github

    code, said = await examine(tmp_path, "--passive")
    shown = {link["name"]: link for link in said["links"]}["alerts"]
    assert (code, said["broken"]) == (1, "alerts"), said
    assert "--discord-webhook" in shown["commands"][0]
    await alerts.use("discord", address=alerts.webhook)
    await alerts.use("github", address=state.GITHUB_URL, token=state.GITHUB_TOKEN_FILE.read_text())
    code, said = await examine(tmp_path, "--passive")
    shown = {link["name"]: link for link in said["links"]}["alerts"]
    assert (code, shown["status"]) == (0, "unknown"), said
