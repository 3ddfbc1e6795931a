"""Whatever Discord sends, the process goes on, and the next good question is answered.

Half of it are events, half are entries of histories: valid ones of the test server, with fields
removed, null, of another type, or unknown values added. SKY_FUZZ says how many, SKY_FUZZ_SEED
repeats a run.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from .conftest import FreshStage
from .odd_payloads import mutated
from .scenario import Scene
from .scenario import scene as open_scene
from .servers import Servers
from .servers import servers as run_servers

USUAL = 2000
NUMBER = int(os.environ.get("SKY_FUZZ", USUAL))
# The run that is part of the tests is the same every time; a longer one looks for what is new.
SEED = int(os.environ.get("SKY_FUZZ_SEED") or (7 if NUMBER <= USUAL else time.time_ns() % 10**9))
BATCH, PAGE = 100, 40
SECONDS = 2.0  # in which a good question is answered, where the machine has nothing else to do
BUSY = 4  # times as long as before it began: a busy machine does not become less so
# Channels for good questions. In each Discord takes five messages of a bot in five seconds, and a
# fast machine asks ten of them in a second.
GOOD = 16
# The session itself, which a test of its own breaks.
SESSION = {"READY", "RESUMED"}
# Without one of these no message can be read: https://discord.com/developers/docs/resources/message
NEEDED = {"id", "author", "content", "attachments", "embeds"}
POLL = {"question": "when?", "answers": ["now", "later"]}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers for this story alone: odd permissions and servers stay behind in them."""
    with run_servers(tmp_path_factory.mktemp("fuzz")) as both:
        yield both


@pytest.mark.timeout(300 + NUMBER // 8)
async def test_what_cannot_be_read_costs_nothing_but_itself(
    fresh: FreshStage, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\nSKY_FUZZ={NUMBER} SKY_FUZZ_SEED={SEED}")
    rng = Random(SEED)
    stage = fresh(SKY_CONVERSATION__HISTORY=str(PAGE))
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        good = [(await scene.discord.add_channel(f"good-{n}")).name for n in range(GOOD)]
        pace = await _usual(scene, good)
        needed = 0
        corpus = await _everything(scene)
        shapes = [_as_rest(data) for name, data in corpus if name == "MESSAGE_CREATE"]
        # How long each good question took, and which it was. Histories come first: odd permissions
        # close the channels.
        slow = [
            (await _read_odd_history(scene, rng, shapes), f"history {number}")
            for number in range(NUMBER // 2 // PAGE)
        ]
        calls = [each for each in corpus if _calls(scene, *each)]
        others = [each for each in corpus if each not in calls]
        for number in range(NUMBER // 2 // BATCH):
            # One call in a hundred: a flood of calls is another test's.
            chosen = [rng.choice(calls), *(rng.choice(others) for _ in range(BATCH - 1))]
            events = [_event(rng, *each) for each in chosen]
            needed += sum(_lacks(name, data) for name, data in events)
            await scene.discord.inject(*events)
            slow.append((await _ask(scene, good[number % GOOD]), f"batch {number}"))
        await _miss_odd_messages(scene, rng, shapes)

        assert scene.bot.running, f"seed {SEED}"
        assert max(slow)[0] < SECONDS + BUSY * pace, f"seed {SEED}: {max(slow)}"
        counted, skipped = await _settled(scene)
        assert counted == len(skipped), f"seed {SEED}"
        assert len([each for each in skipped if each.get("kind") != "message"]) >= needed > 0
        assert await scene.bot.metric("task_failures_total") == 0, f"seed {SEED}"
        assert await scene.bot.metric("gateway_events_total", event="login_failed") == 0


SKIPPED = {"unreadable event skipped", "event handler failed", "unreadable response"}


async def _settled(scene: Scene) -> tuple[float, list[dict[str, Any]]]:
    """Give what was counted and logged, once both are; a backfill may still be reading."""
    for _ in range(100):
        counted = await scene.bot.metric("unreadable_total")
        skipped = [each for each in scene.bot.lines() if each["message"] in SKIPPED]
        if counted == len(skipped):
            break
        await asyncio.sleep(0.1)
    return counted, skipped


async def _answered(scene: Scene, question: str) -> float:
    """Wait for the answer to a good question; says how long it took."""
    began = time.monotonic()
    await scene.answer(question, seconds=30, remarks=True)
    return time.monotonic() - began


async def _usual(scene: Scene, good: list[str]) -> float:
    """Say how long an answer takes on this machine now."""
    return max([await _ask(scene, where) for where in good])


async def _ask(scene: Scene, where: str) -> float:
    return await _answered(scene, await scene.call("a good question", where=where))


async def _everything(scene: Scene) -> list[tuple[str, Any]]:
    """Have everything happen that people do, and give what the gateway told of it.

    Nothing of the good questions' channels is in it: each takes five messages in five seconds.
    """
    discord, place = scene.discord, (await scene.discord.add_channel("odd")).name
    said = await scene.say("a stone", where=place)
    await scene.say("and another", where=place, reply_to=said, by="Bram")
    await scene.say("", where=place, forward=said)
    await scene.say("a file", where=place, files=[("notes.txt", "text/plain", b"some notes")])
    for more in ({"poll": POLL}, {"stickers": [{"name": "wave", "format_type": 1}]}):
        await discord.say(place, "look", mention_bot=False, **more)
    await scene.call("tell me", where=place)
    await discord.edit(said, "a pebble")
    await discord.react(said, "👍")
    await discord.react(said, "👍", remove=True)
    thread = await discord.add_channel("talk", parent=place, on=said)
    await discord.change_channel(thread.id, archived=True)
    await discord.change_channel(place, topic="stones")
    await discord.add_role("collectors", ["Bram"])
    await discord.add_guild("elsewhere", channels=2, members=2, roles=2, emojis=2, lived_in=True)
    spare = await discord.add_channel("spare")
    await discord.remove_channel(spare.id)
    await discord.delete(await scene.say("gone", where=place))
    await scene.bot.logged("commands synced", 20)
    await discord.invoke("help", place, "Bram")
    channels = (await discord.world()).channels
    good = {each.id for each in channels if each.name and each.name.startswith("good-")}
    told = await discord.sent()
    return [
        (name, data)
        for name, data in told
        if name not in SESSION and data.get("channel_id") not in good
    ]


def _event(rng: Random, name: str, data: Any) -> tuple[str, Any]:
    """Make an event odd; a message is a new one, or it would only be one that was heard."""
    odd = mutated(rng, data)
    if name == "MESSAGE_CREATE" and isinstance(odd, dict) and "id" in odd and rng.random() < 0.9:
        odd["id"] = str(int(data["id"]) + rng.randrange(1, 1 << 22))
    return name, odd


def _calls(scene: Scene, name: str, data: Any) -> bool:
    mentioned = [each["id"] for each in data["mentions"]] if name == "MESSAGE_CREATE" else []
    return scene.world.bot.id in mentioned


def _lacks(name: str, data: Any) -> bool:
    return name == "MESSAGE_CREATE" and not data.keys() >= NEEDED


async def _read_odd_history(scene: Scene, rng: Random, shapes: list[Any]) -> float:
    """Ask in a channel whose newest messages are odd; says how long the answer took."""
    channel = await scene.discord.add_channel(f"history-{rng.randrange(10**9)}")
    await _say_odd(scene, rng, channel.name, shapes)
    return await _answered(scene, await scene.call("what was said here?", where=channel.name))


def _as_rest(data: Any) -> Any:
    """Leave out what only events tell of a message."""
    return {key: data[key] for key in data if key not in {"member", "guild_id", "channel_type"}}


async def _say_odd(scene: Scene, rng: Random, channel: str, shapes: list[Any]) -> None:
    """Let things be said that only the REST API tells of, and as nobody expects it."""
    await scene.discord.fault("dispatch", "lose", event="MESSAGE_CREATE", count=PAGE)
    odd: dict[str, Any] = {}
    for _ in range(PAGE):
        said = await scene.discord.say(channel, "odd", mention_bot=False)
        odd[said.id] = mutated(rng, rng.choice(shapes) | {"id": said.id})
    await scene.discord.set_odd(odd)


async def _miss_odd_messages(scene: Scene, rng: Random, shapes: list[Any]) -> None:
    """Be away while odd messages and a good question are written."""
    await scene.discord.fault("gateway", "status", on="connect", count=1)
    await scene.discord.fault("gateway", "invalid_session")
    channel = (await scene.discord.add_channel("missed")).name
    await _say_odd(scene, rng, channel, shapes)
    await _answered(scene, await scene.call("did you miss me?", where=channel))
