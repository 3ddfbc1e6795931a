"""The bot in its pod, deployed as a merge deploys it: what a user of a server would notice."""

import asyncio

import pytest

from tests.loop.cluster import pod_process
from tests.loop.people.editions import deployed
from tests.loop.people.observe import Observer, PodSeen
from tests.loop.scenarios import load
from tests.loop.supervisor import state
from tests.servers.discord.control import DiscordControl

pytestmark = [pytest.mark.loop, pytest.mark.usefixtures("loop"), pytest.mark.timeout(240)]

_BOT_USER = "65532"  # the number that the Dockerfile and the Deployment name


async def _deployed() -> PodSeen:
    async with Observer(str(state.KUBECONFIG)) as seen:
        return await deployed(seen)


@pytest.fixture(scope="module")
def pod(loop: state.Loop) -> PodSeen:
    """The bot's pod, Ready."""
    assert loop.alive
    return asyncio.run(_deployed())


async def test_two_hundred_messages_are_answered_once_each_and_word_for_word(pod: PodSeen) -> None:
    """10 a second over 25 channels; every eighth answer is split at Discord's 2,000 characters."""
    assert pod.ready

    outcome = await load.messages(200, per_second=10)

    assert outcome.wrong == ()
    assert (outcome.asked, outcome.answered, outcome.exact) == (200, 200, 200)


async def test_the_load_fits_the_memory_that_the_pod_asks_for(pod: PodSeen) -> None:
    """Requests are 256Mi; the process says how much it has resident."""
    found = await load.metrics(pod.address)

    assert 0 < found["process_resident_memory_bytes"] <= 256 * 2**20


async def test_a_persona_of_the_configuration_answers_by_name(pod: PodSeen) -> None:
    """Its file is mounted beside the settings; the stand-in says who it was told to be."""
    assert pod.ready
    async with DiscordControl(f"http://{state.DISCORD_CONTROL}") as discord:
        asked = await discord.say("general", "!sky(tutor) who are you?", mention_bot=False)
        answer = await discord.wait_answer(asked.id, lambda m: "Tutor" in m.content)

    assert "patient teacher" in answer.content


def test_the_bot_is_nobody_on_the_node_and_cannot_write_to_its_image(pod: PodSeen) -> None:
    """Non-root, no capability, no way to gain one, and a read-only root file system."""
    process = pod_process.of(pod).folder
    fields = dict(
        line.split(":\t", 1)
        for line in (process / "status").read_text().splitlines()
        if ":\t" in line
    )
    roots = [
        line.split()
        for line in (process / "mountinfo").read_text().splitlines()
        if line.split()[4] == "/"
    ]

    assert fields["Uid"].split() == [_BOT_USER] * 4
    assert int(fields["CapEff"], 16) == 0
    assert int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"
    assert all("ro" in mount[5].split(",") for mount in roots)


def test_no_credential_is_in_the_environment_of_the_process(pod: PodSeen) -> None:
    """They are files, mounted read-only, so that a new one needs no restart."""
    environment = (pod_process.of(pod).folder / "environ").read_bytes()

    for secret in (state.DISCORD_TOKEN_FILE, state.OPENAI_KEY_FILE):
        assert secret.read_bytes().strip() not in environment
