"""What Discord, its filters and its edge refuse: told, gone round, or waited out."""

import asyncio
import time
from typing import Any

import pytest

from tests.servers.openai.records import ScriptedAnswer

from .answers import buttons
from .scenario import Scene

CREATE = "POST /channels/{channel_id}/messages"
EDIT = "PATCH /channels/{channel_id}/messages/{message_id}"
ORIGINAL = "PATCH /webhooks/{webhook_id}/{token}/messages/{message_id}"
SLOWLY = "[[chunks=20 delay=0.1]]"
BLOCKED = "This server's AutoMod, or a filter of Discord's, blocked what I was about to say."


async def test_one_edit_that_automod_refuses_is_like_one_that_was_lost(chat_scene: Scene) -> None:
    question = await chat_scene.call(f"a tale of the sea {SLOWLY}")
    await chat_scene.until(question, lambda seen: bool(seen.parts))

    await chat_scene.discord.fault(
        "rest", "error", route=EDIT, status=400, code=200000, message="Blocked", count=1
    )

    answer = await chat_scene.answer(question)
    assert list(buttons(answer.parts[-1])) == ["Again"]


async def test_words_that_automod_blocks_are_owned_up_to_and_the_stop_button_goes(
    chat_scene: Scene,
) -> None:
    text = "The sea was calm, and then there came " + "waves, " * 40 + "and the kraken woke."
    await chat_scene.openai.script(ScriptedAnswer(match="kraken tale", text=text))
    await chat_scene.discord.block_words("kraken")
    try:
        question = await chat_scene.call(f"the kraken tale {SLOWLY}")
        ended = await chat_scene.until(question, lambda seen: BLOCKED in seen.text)
    finally:
        await chat_scene.discord.block_words()
        await chat_scene.openai.script()

    assert ended.text.startswith("The sea was calm")
    assert "kraken" not in ended.text
    assert list(buttons(ended.parts[-1])) == ["Again"]


async def test_an_answer_that_is_blocked_from_its_first_word_on_is_owned_up_to(
    chat_scene: Scene,
) -> None:
    await chat_scene.openai.script(ScriptedAnswer(match="which beast", text="Kraken."))
    await chat_scene.discord.block_words("kraken")
    try:
        question = await chat_scene.call("which beast?")
        ended = await chat_scene.until(question, lambda seen: bool(seen.parts))
    finally:
        await chat_scene.discord.block_words()
        await chat_scene.openai.script()

    assert [part.content for part in ended.parts] == [BLOCKED]


PAGES = [
    pytest.param({"kind": "status", "status": 403, "html": True}, id="403, a page"),
    pytest.param({"kind": "status", "status": 400, "html": True}, id="400, a page"),
    pytest.param({"kind": "status", "status": 404, "html": True}, id="404, a page"),
    pytest.param({"kind": "status", "status": 502, "html": True}, id="502, a page"),
    pytest.param({"kind": "error", "status": 403, "code": 40333, "edge": True}, id="40333"),
    pytest.param(
        {"kind": "status", "status": 429, "html": True, "retry_after": 1}, id="429, a page"
    ),
]


@pytest.mark.parametrize("fault", PAGES)
@pytest.mark.parametrize("route", [CREATE, EDIT])
async def test_a_page_of_cloudflares_is_an_outage_that_is_outlasted(
    chat_scene: Scene, fault: dict[str, Any], route: str
) -> None:
    more = {name: value for name, value in fault.items() if name != "kind"}
    question = await chat_scene.call(f"behind the cloud {SLOWLY}")
    if route == EDIT:
        await chat_scene.until(question, lambda seen: bool(seen.parts))
    await chat_scene.discord.fault("rest", str(fault["kind"]), route=route, count=2, **more)

    answer = await chat_scene.answer(question)

    assert len(answer.parts) == 1


@pytest.mark.parametrize("route", [CREATE, EDIT])
async def test_a_limit_that_does_not_say_how_long_it_is_is_outlasted(
    chat_scene: Scene, route: str
) -> None:
    """discord.py looks for `retry_after` in the body, and fails with a KeyError."""
    question = await chat_scene.call(f"a limit {SLOWLY}")
    if route == EDIT:
        await chat_scene.until(question, lambda seen: bool(seen.parts))
    await chat_scene.discord.fault(
        "rest", "error", route=route, status=429, code=20028, message="Write limit", count=1
    )

    answer = await chat_scene.answer(question, 20)

    assert len(answer.parts) == 1
    assert await chat_scene.bot.metric("task_failures_total") == 0


@pytest.mark.parametrize("code", ["MESSAGE_REFERENCE_UNKNOWN_MESSAGE", "REPLIES_UNKNOWN_MESSAGE"])
async def test_where_the_reference_is_refused_the_answer_is_sent_without(
    chat_scene: Scene, code: str
) -> None:
    errors = {"message_reference": {"_errors": [{"code": code, "message": "Unknown message"}]}}
    await chat_scene.discord.fault(
        "rest",
        "error",
        route=CREATE,
        status=400,
        code=50035,
        message="Invalid Form Body",
        errors=errors,
    )

    question = await chat_scene.call(f"who is there? {code}")

    record = await chat_scene.openai.first(lambda r: code in str(r.asked))
    async with asyncio.timeout(60):
        while True:
            said = [m for m in await chat_scene.discord.read(chat_scene.place) if m.from_sky]
            if said and record.text.strip() in said[-1].content:
                break
            await asyncio.sleep(0.1)
    assert said[-1].reply_to is None
    assert len(said) == 1
    assert len(await chat_scene.records(question)) == 1


async def test_a_rate_limit_of_cloudflares_is_honoured_and_does_not_grow(
    chat_scene: Scene,
) -> None:
    """Its length is in the body; each request before its end makes it longer."""
    before = (await chat_scene.discord.counts()).faults.get("rest rate_limit", 0)
    await chat_scene.discord.fault(
        "rest", "rate_limit", edge=True, grows=True, seconds=600, retry_after=3
    )
    began = time.monotonic()
    question = await chat_scene.call("patience")

    await chat_scene.answer(question, remarks=True)

    refused = (await chat_scene.discord.counts()).faults.get("rest rate_limit", 0) - before
    # The first request of a kind that is under way when it begins, and one a pause after that.
    assert refused <= 4
    assert time.monotonic() - began < 15


async def test_again_is_answered_although_its_buttons_cannot_be_taken_away(scene: Scene) -> None:
    question = await scene.call("roll the dice once more")
    before = await scene.answer(question)
    await scene.discord.fault(
        "rest", "error", route=ORIGINAL, status=404, code=10015, message="Unknown Webhook"
    )

    told = await scene.press(before.parts[0], "Again")

    after = await scene.until(question, lambda seen: seen.text != before.text)
    assert told == ""
    assert [part.id for part in after.parts] == [part.id for part in before.parts]


@pytest.mark.parametrize("where", ["server", "dm"])
async def test_an_interaction_without_its_channel_is_answered_where_it_was_used(
    scene: Scene, where: str
) -> None:
    await scene.bot.logged("commands synced")
    place = scene.place if where == "server" else "dm"

    used = await scene.discord.invoke(
        "sky", place, "Ada", {"topic": "are you here?"}, omit=["channel"]
    )

    response = await scene.responded(used.id)
    assert response.channel_id == used.channel_id
    assert "are you here?" in response.content
    await scene.openai.first(lambda r: "are you here?" in str(r.asked) and r.ending == "completed")


async def test_a_menu_without_its_channel_reads_the_message_that_it_was_opened_on(
    scene: Scene,
) -> None:
    await scene.bot.logged("commands synced")
    menu = next(
        each["name"] for each in (await scene.discord.world()).commands if each["type"] == 3
    )
    message = await scene.say("the tide is high", by="Bram")

    used = await scene.discord.invoke(menu, scene.place, "Ada", target=message, omit=["channel"])

    await scene.responded(used.id)
    record = await scene.openai.first(lambda r: "the tide is high" in str(r.asked))
    assert record.asked is not None
