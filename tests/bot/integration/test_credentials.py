"""A new key or token is in use without a restart, and a bad one is no crash."""

from tests.servers.openai.keys import digest

from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene
from .servers import new_token


async def test_a_key_file_that_changes_is_used_from_the_next_request_on(
    chat_scene: Scene,
) -> None:
    before = await chat_scene.call("with the old key")
    await chat_scene.answer(before)
    pid = chat_scene.bot.pid

    await chat_scene.openai.accept(chat_scene.stage.api_key.value, "sk-loop-second-key")
    chat_scene.stage.api_key.swap("sk-loop-second-key")
    await chat_scene.bot.logged("credential read", sha256=digest("sk-loop-second-key"))
    after = await chat_scene.call("with the new key")
    await chat_scene.answer(after)

    assert (await chat_scene.record(after)).key == digest("sk-loop-second-key")
    assert (await chat_scene.record(before)).key != digest("sk-loop-second-key")
    assert chat_scene.bot.running
    assert chat_scene.bot.pid == pid


async def test_a_question_asked_with_a_revoked_key_is_answered_with_the_new_one(
    chat_scene: Scene,
) -> None:
    old = chat_scene.stage.api_key.value
    await chat_scene.openai.accept("sk-loop-third-key")
    question = await chat_scene.call("in between two keys")
    await chat_scene.refused(old)
    chat_scene.stage.api_key.swap("sk-loop-third-key")

    answer = await chat_scene.answer(question)

    assert len(answer.parts) == 1
    assert (await chat_scene.record(question)).key == digest("sk-loop-third-key")


async def test_a_refused_token_is_waited_out_without_a_crash(fresh: FreshStage) -> None:
    stage = fresh(token="not-the-token")
    async with open_scene(stage) as scene:
        before = await scene.discord.counts()
        await scene.bot.probe("/livez", 200)
        await scene.bot.logged("credential refused")
        assert (await scene.bot.get("/readyz"))[0] == 503

        stage.token.swap(stage.servers.token)
        await scene.bot.ready()
        question = await scene.call("finally")
        await scene.answer(question)

        assert scene.bot.running
        assert (await scene.discord.counts()).identifies - before.identifies <= 2


async def test_a_token_that_is_reset_while_the_bot_runs_is_exchanged(
    chat_scene: Scene,
) -> None:
    before = await chat_scene.discord.counts()
    pid = chat_scene.bot.pid
    token = new_token()

    await chat_scene.discord.accept_token(token)  # the old one's session is closed with 4004
    await chat_scene.bot.probe("/readyz", 503)
    chat_scene.stage.token.swap(token)
    await chat_scene.bot.ready()
    await chat_scene.answer(await chat_scene.call("with a new token"))

    after = await chat_scene.discord.counts()
    assert chat_scene.bot.pid == pid
    assert after.identifies - before.identifies <= 2


async def test_missing_credentials_are_waited_for(fresh: FreshStage) -> None:
    stage = fresh(token="-", key="-")
    async with open_scene(stage) as scene:
        await scene.bot.probe("/livez", 200)
        assert (await scene.bot.get("/readyz"))[0] == 503
        stage.token.swap(stage.servers.token)
        stage.api_key.swap(stage.servers.key)

        await scene.bot.ready()
        await scene.answer(await scene.call("both at last"))
