"""Discord's gateway misbehaves as it does in real life; the bot answers all the same."""

import asyncio

import pytest

from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene

TROUBLE = [
    pytest.param("reconnect", {}, id="op 7"),
    pytest.param("invalid_session", {"resumable": True}, id="op 9, resumable"),
    pytest.param("invalid_session", {"resumable": False}, id="op 9, not resumable"),
    pytest.param("close", {"code": 4000}, id="closed with 4000"),
    pytest.param("close", {"code": 1006}, id="cut"),
]


@pytest.mark.parametrize(("kind", "more"), TROUBLE)
async def test_a_question_asked_during_the_trouble_is_answered_once(
    chat_scene: Scene, kind: str, more: dict[str, int | bool]
) -> None:
    before = await chat_scene.discord.counts()
    slow = await chat_scene.call("before the trouble [[first=0.3 delay=0.05 chunks=20]]")
    await chat_scene.openai.asked("before the trouble")

    await chat_scene.discord.fault("gateway", kind, **more)
    await came_back(chat_scene, before.identifies + before.resumes)
    after = await chat_scene.call("after it", where=chat_scene.elsewhere(1)[0])

    for question in (slow, after):
        await chat_scene.answer(question)
        assert len((await chat_scene.seen(question)).parts) == 1
        assert len(await chat_scene.records(question)) == 1
    assert chat_scene.bot.running


async def came_back(scene: Scene, times: int) -> None:
    """Wait until there were more sessions begun or resumed than so many."""
    async with asyncio.timeout(60), scene.discord.events() as events:
        while True:
            counts = await scene.discord.counts()
            if counts.live_sessions == 1 and counts.identifies + counts.resumes > times:
                return
            await events.event(lambda e: e.kind in {"identify", "resume"}, 60)


async def test_messages_during_a_resumable_break_are_answered_after_it(
    chat_scene: Scene,
) -> None:
    await chat_scene.discord.fault("gateway", "status", on="connect", count=1)
    await chat_scene.discord.fault("gateway", "close", code=4000)
    question = await chat_scene.call("said while nobody listened")

    await chat_scene.answer(question)

    assert len((await chat_scene.seen(question)).parts) == 1


async def test_an_event_sent_twice_is_answered_once(chat_scene: Scene) -> None:
    await chat_scene.discord.fault("dispatch", "duplicate", event="MESSAGE_CREATE")
    question = await chat_scene.call("said once, delivered twice")

    await chat_scene.answer(question)
    follow = await chat_scene.call("and on")
    await chat_scene.answer(follow)

    assert len(await chat_scene.records(question)) == 1
    assert len((await chat_scene.seen(question)).parts) == 1


async def test_a_gateway_that_refuses_at_the_first_start_is_tried_again(
    fresh: FreshStage,
) -> None:
    stage = fresh(start="")
    async with open_scene(stage) as scene:
        await scene.discord.fault("gateway", "status", on="connect", count=1)
        await scene.discord.fault("rest", "status", route="GET /users/@me", count=1)
        stage.bot.start()

        await scene.bot.ready()
        await scene.answer(await scene.call("at last"))


async def test_discord_out_of_reach_at_the_first_start_is_waited_for(fresh: FreshStage) -> None:
    stage = fresh(start="")
    async with open_scene(stage) as scene:
        await scene.discord.fault("listener", "refuse", seconds=2)
        stage.bot.start()
        await scene.bot.probe("/livez", 200)
        assert (await scene.bot.get("/readyz"))[0] == 503

        await scene.bot.ready()
        await scene.answer(await scene.call("there you are"))


async def test_a_gateway_that_acknowledges_no_heartbeat_is_left_for_another_connection(
    fresh: FreshStage,
) -> None:
    """It still delivers, so nothing but the missing acknowledgement says that it is ill."""
    stage = fresh(start="", SKY_HTTP__HEARTBEAT_SECONDS="4")
    async with open_scene(stage) as scene:
        await scene.discord.set(heartbeat_interval_ms=1000)
        try:
            stage.bot.start()
            await scene.bot.ready()
            await scene.discord.fault("gateway", "no_ack")

            await scene.bot.logged("no heartbeat acknowledged, reconnecting")
            await scene.bot.logged("gateway resumed")
            await scene.bot.ready()
            await scene.answer(await scene.call("can you hear me?"))
            await asyncio.sleep(5)

            assert await scene.bot.metric("gateway_events_total", event="deaf") == 1
            assert await scene.bot.metric("gateway_events_total", event="ready") == 1
        finally:
            await scene.discord.set(heartbeat_interval_ms=41_250)
