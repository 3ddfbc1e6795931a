"""What Discord sends and nobody can read costs nothing but itself."""

import asyncio
import time
from typing import Any

import pytest

from .answers import buttons
from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene

SLOW = "[[first=1 delay=0.05 chunks=20]]"
POLL = {
    "question": {"text": "when?"},
    "answers": [{"answer_id": 1, "poll_media": {"text": "now"}}],
    "expiry": None,  # nullable by Discord's documentation
    "allow_multiselect": False,
    "layout_type": 1,
}
UNREADABLE = "-# I left out a message that I could not read."
CREATE = "POST /channels/{channel_id}/messages"
EDIT = "PATCH /channels/{channel_id}/messages/{message_id}"


async def told(scene: Scene, message_id: str) -> dict[str, Any]:
    """Give the event by which the gateway told of a message."""
    events = await scene.discord.sent()
    said = (d for name, d in events if name == "MESSAGE_CREATE" and isinstance(d, dict))
    return next(data for data in said if data["id"] == message_id)


def without(data: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != name}


async def test_an_event_that_cannot_be_parsed_is_skipped_and_counted(fresh: FreshStage) -> None:
    stage = fresh()
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        slow = await scene.call(f"still being answered meanwhile {SLOW}")
        await scene.openai.asked("still being answered")
        plain = await told(scene, await scene.say("nothing in particular"))
        ids = {name: plain[name] for name in ("channel_id", "guild_id")}
        broken: list[tuple[str, Any]] = [
            ("MESSAGE_CREATE", plain | {"poll": POLL}),
            ("MESSAGE_CREATE", without(plain, "content")),
            ("MESSAGE_CREATE", plain | {"author": None}),
            ("MESSAGE_UPDATE", {"id": plain["id"], **ids, "poll": POLL}),
            ("MESSAGE_UPDATE", ids),
            ("MESSAGE_DELETE_BULK", {}),
            ("CHANNEL_UPDATE", {"id": None}),
            ("GUILD_ROLE_UPDATE", {"guild_id": plain["guild_id"]}),
            ("GUILD_CREATE", {"id": plain["guild_id"], "channels": [None]}),
            ("INTERACTION_CREATE", {"id": "1", "type": 2, "data": None}),
            ("THREAD_LIST_SYNC", []),
            ("MESSAGE_CREATE", "text"),
        ]

        await scene.discord.inject(*broken)
        asked = time.monotonic()
        await scene.answer(await scene.call("are you still there?"), remarks=True)

        assert time.monotonic() - asked < 5
        await scene.answer(slow)
        assert await scene.bot.metric("unreadable_total", kind="event") == len(broken)
        line = await scene.bot.logged("unreadable event skipped", event="MESSAGE_CREATE")
        assert line["id"] == int(plain["id"])
        assert line["error"] == "TypeError"
        assert await scene.bot.metric("gateway_events_total", event="disconnected") == 0


async def test_an_unreadable_message_among_the_newest_is_left_out_and_said_to_be(
    scene: Scene,
) -> None:
    await scene.say("the tide is low", by="Bram")
    await scene.discord.fault("dispatch", "lose", event="MESSAGE_CREATE")
    odd = await scene.say("a poll that never ends", by="Chiyo")
    after = await scene.say("the wind is good", by="Bram")
    await scene.discord.set_odd({odd: (await told(scene, after)) | {"id": odd, "poll": POLL}})
    await scene.discord.fault("gateway", "invalid_session")  # what was heard counts no more
    await scene.bot.until_metric("gateway_events_total", 2, 20, event="ready")

    question = await scene.call("shall we sail?")
    seen = await scene.until(question, lambda seen: UNREADABLE in seen.text)

    said = " ".join(turn.text for turn in await scene.turns(question))
    assert "the tide is low" in said
    assert "the wind is good" in said
    assert "never ends" not in said
    reply = await scene.say("and that?", reply_to=odd, mention=True)
    answered = await scene.until(reply, lambda seen: UNREADABLE in seen.text)
    assert len(answered.parts) == 1
    assert seen.text.count(UNREADABLE) == 1


async def test_the_backfill_goes_on_past_what_it_cannot_read(fresh: FreshStage) -> None:
    stage = fresh()
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        await scene.answer(await scene.call("hello"))
        await scene.discord.fault("gateway", "status", on="connect", count=2)
        await scene.discord.fault("gateway", "invalid_session")
        await asyncio.sleep(0.3)
        odd = [await scene.call(f"unreadable {number}") for number in range(3)]
        shapes: list[Any] = [
            {"id": odd[0], "poll": POLL},
            {"content": "without an id"},
            without(await _as_rest(scene, odd[2]), "content"),
        ]
        await scene.discord.set_odd(dict(zip(odd, shapes, strict=True)))
        missed = await scene.call("asked while nobody listened")

        await scene.until(missed, lambda seen: UNREADABLE in seen.text)
        await scene.bot.logged("backfill finished")
        assert await scene.bot.metric("unreadable_total", kind="message") >= 3
        assert all([await scene.silence(each) for each in odd])
        stage.bot.terminate()
        assert await stage.bot.ended() == 0


async def _as_rest(scene: Scene, message_id: str) -> dict[str, Any]:
    message = await scene.discord.message(message_id)
    return {"id": message.id, "channel_id": message.channel_id, "type": 0}


@pytest.mark.parametrize(
    "frame", [b"\x00not compressed\x00\x00\xff\xff", "not json", "[1, 2]", '{"op": 10}'], ids=repr
)
async def test_a_frame_that_cannot_be_read_makes_a_new_connection(
    scene: Scene, frame: str | bytes
) -> None:
    frames = await scene.bot.metric("unreadable_total", kind="frame")
    slow = await scene.call(f"asked before the frame {SLOW}")
    await scene.openai.asked("asked before the frame")

    await scene.discord.inject_frame(frame)
    await scene.bot.until_metric("unreadable_total", frames + 1, kind="frame")
    after = await scene.call("asked after it")

    for question in (slow, after):
        await scene.answer(question)
        assert len((await scene.seen(question)).parts) == 1
    assert scene.bot.running


@pytest.mark.parametrize(
    "answer",
    [
        {"body": "{}"},
        {"body": '{"id": 7'},
        {"body": "[]"},
        {"body": "<html>welcome</html>", "html": True},
    ],
    ids=lambda answer: answer["body"],
)
@pytest.mark.parametrize("route", [CREATE, EDIT])
async def test_an_answer_goes_on_where_discord_took_it_and_its_response_cannot_be_read(
    scene: Scene, route: str, answer: dict[str, Any]
) -> None:
    await scene.discord.fault("rest", "unreadable", route=route, **answer)

    question = await scene.call("tell me a little more [[length=300 chunks=30 delay=0.1]]")
    seen = await scene.answer(question)
    ended = await scene.until(question, lambda seen: list(buttons(seen.parts[-1])) == ["Again"])

    assert len(seen.parts) == len(ended.parts) == 1
    assert len(await scene.records(question)) == 1
    assert await scene.bot.metric("unreadable_total", kind="response") >= 1


async def test_a_global_limit_on_typing_while_the_first_words_come_mutes_nobody(
    scene: Scene,
) -> None:
    route = "POST /channels/{channel_id}/typing"
    await scene.discord.fault("rest", "rate_limit", route=route, scope="global", retry_after=2)

    question = await scene.call(f"slow to begin {SLOW}")
    await scene.answer(question)

    await scene.answer(await scene.call("and another"))


STORMS = [
    pytest.param([("close", {"on": "connect", "code": 4000})], id="accept and close"),
    pytest.param(
        [("invalid_session", {"on": "identify"}), ("invalid_session", {"on": "resume"})],
        id="op 9 to every identify",
    ),
    pytest.param(
        [
            ("invalid_session", {"on": "resume", "resumable": True}),
            ("close", {"on": "now", "code": 4000}),
        ],
        id="op 9 with d true to every resume",
    ),
    pytest.param(
        [("reconnect", {"on": "identify"}), ("reconnect", {"on": "resume"})], id="op 7 always"
    ),
]


@pytest.mark.parametrize("storm", STORMS)
async def test_a_gateway_that_ends_every_connection_is_no_loop(
    fresh: FreshStage, storm: list[tuple[str, dict[str, Any]]]
) -> None:
    stage = fresh()
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        before = (await scene.discord.counts()).connections
        for kind, more in storm:
            lasting = {} if more["on"] == "now" else {"seconds": 12}
            await scene.discord.fault("gateway", kind, **more, **lasting)
        await scene.discord.revoke(4000)
        await asyncio.sleep(10)

        made = (await scene.discord.counts()).connections - before
        assert 2 <= made <= 12
        await scene.discord.end_faults()
        await scene.answer(await scene.call("is it over?"))


@pytest.mark.parametrize(
    ("route", "body"), [("GET /users/@me", "[1]"), ("GET *applications/@me", '{"id": ')]
)
async def test_a_login_whose_response_cannot_be_read_is_tried_again(
    fresh: FreshStage, route: str, body: str
) -> None:
    stage = fresh(start="")
    async with open_scene(stage) as scene:
        await scene.discord.fault("rest", "unreadable", route=route, body=body)
        stage.bot.start()

        await stage.bot.ready()
        await scene.answer(await scene.call("good morning"))

        assert stage.bot.running
        await scene.discord.end_faults()
