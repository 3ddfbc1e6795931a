"""The probes and metrics tell the truth."""

from .scenario import Scene


async def test_a_bot_at_work_is_alive_and_ready(scene: Scene) -> None:
    assert (await scene.bot.get("/livez"))[0] == 200
    assert (await scene.bot.get("/readyz"))[0] == 200
    assert (await scene.bot.get("/nothing"))[0] == 404


async def test_an_answer_is_counted(scene: Scene) -> None:
    before = await scene.bot.metric("answers_total", outcome="complete")
    mentions = await scene.bot.metric("messages_total", decision="mention")

    await scene.answer(await scene.call("count this"))
    await scene.bot.logged("request handled")

    assert await scene.bot.metric("messages_total", decision="mention") == mentions + 1
    assert await scene.bot.metric("answers_total", outcome="complete") == before + 1
    assert await scene.bot.metric("answers_in_flight") == 0
    assert await scene.bot.metric("gateway_open") == 1
    assert await scene.bot.metric("build_info", revision="unknown") == 1


async def test_readiness_follows_discord_and_liveness_does_not(chat_scene: Scene) -> None:
    bot = chat_scene.bot
    await chat_scene.discord.fault("listener", "refuse", seconds=1)

    reason = await bot.probe("/readyz", 503)
    alive = (await bot.get("/livez"))[0]
    gateway_open = await bot.metric("gateway_open")
    await bot.ready()

    assert "gateway" in reason
    assert (alive, gateway_open) == (200, 0)
    assert await bot.metric("gateway_open") == 1
    await chat_scene.answer(await chat_scene.call("back again"))
