"""Discord's REST API fails in its own ways; an answer is neither lost nor doubled."""

import asyncio

import pytest

from .scenario import Scene

CREATE = "POST /channels/{channel_id}/messages"
EDIT = "PATCH /channels/{channel_id}/messages/{message_id}"
TROUBLE = [
    pytest.param({"kind": "status", "status": 503}, id="503"),
    pytest.param({"kind": "status", "status": 502, "html": True}, id="502, a page"),
    pytest.param({"kind": "drop"}, id="connection lost before"),
    pytest.param({"kind": "drop", "after": True}, id="connection lost after"),
    pytest.param({"kind": "status", "status": 500, "after": True}, id="500 after"),
    pytest.param({"kind": "rate_limit", "retry_after": 0.3}, id="429"),
]


@pytest.mark.parametrize("fault", TROUBLE)
async def test_an_answer_gets_through_once(
    chat_scene: Scene, fault: dict[str, str | bool | float]
) -> None:
    more = {name: value for name, value in fault.items() if name != "kind"}
    await chat_scene.discord.fault("rest", str(fault["kind"]), route=CREATE, count=1, **more)
    question = await chat_scene.call("through thick and thin")

    answer = await chat_scene.answer(question)

    said = [m for m in await chat_scene.discord.read(chat_scene.place) if m.reply_to == question]
    assert len(said) == len(answer.parts) == 1
    assert len(await chat_scene.records(question)) == 1


async def test_a_last_edit_that_fails_is_repeated(chat_scene: Scene) -> None:
    question = await chat_scene.call("edited [[chunks=20 delay=0.1]]")
    await chat_scene.until(question, lambda seen: bool(seen.parts))
    await chat_scene.discord.fault("rest", "status", route=EDIT, count=2)

    answer = await chat_scene.answer(question)

    assert answer.parts[0].revision >= 1


async def test_the_end_of_an_answer_outlasts_twenty_seconds_without_discords_api(
    chat_scene: Scene,
) -> None:
    """Its beginning is shown, and half an answer is none."""
    question = await chat_scene.call("held up [[chunks=20 delay=0.1]]")
    await chat_scene.until(question, lambda seen: bool(seen.parts))

    await chat_scene.discord.fault("rest", "status", route=EDIT, seconds=20)

    await chat_scene.answer(question)


async def test_a_channel_without_permission_to_write_harms_nobody(chat_scene: Scene) -> None:
    closed = await chat_scene.discord.add_channel("closed", deny=["send_messages"])
    undelivered = await chat_scene.bot.metric("answers_total", outcome="may_not_speak")
    question = await chat_scene.call("can you write here?", where=closed.name)

    await chat_scene.bot.logged("reply could not be delivered")
    assert await chat_scene.bot.metric("answers_total", outcome="may_not_speak") == undelivered + 1
    assert (await chat_scene.seen(question)).parts == ()
    await chat_scene.discord.remove_channel(closed.name)
    await chat_scene.answer(await chat_scene.call("but here you can"))


async def test_a_channel_deleted_in_mid_answer_harms_nobody(chat_scene: Scene) -> None:
    doomed = await chat_scene.discord.add_channel("doomed")
    question = await chat_scene.call("[[length=900 chunks=30 delay=0.1]]", where=doomed.name)
    await chat_scene.until(question, lambda seen: bool(seen.parts))

    await chat_scene.discord.remove_channel(doomed.name)

    async with asyncio.timeout(60):
        while await chat_scene.bot.metric("answers_in_flight"):  # noqa: ASYNC110 - asked over HTTP
            await asyncio.sleep(0.05)
    await chat_scene.answer(await chat_scene.call("life goes on"))


async def test_a_question_deleted_in_mid_answer_harms_nobody(chat_scene: Scene) -> None:
    question = await chat_scene.call("regretted [[length=900 chunks=20 delay=0.05]]")
    await chat_scene.openai.asked("regretted")

    await chat_scene.discord.delete(question)

    await chat_scene.answer(await chat_scene.call("and on we go"))
    assert chat_scene.bot.running
