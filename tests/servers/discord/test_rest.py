import asyncio
from typing import Any

import aiohttp
import discord
import pytest

from tests.servers.discord.control import DiscordControl
from tests.servers.discord.harness import Bot, Rest
from tests.servers.discord.server import DiscordServer


@pytest.fixture
def channel(server: DiscordServer) -> str:
    """The id of #general."""
    return str(next(iter(server.state.world.channels)))


async def test_the_sixth_message_in_five_seconds_is_refused(
    rest: Rest, channel: str, people: DiscordControl
) -> None:
    for left in (4, 3, 2, 1, 0):
        _, _, headers = await rest.full("POST", f"/channels/{channel}/messages", {"content": "x"})
        assert headers["X-RateLimit-Remaining"] == str(left)
        assert headers["Content-Type"] == "application/json"

    status, body, headers = await rest.full(
        "POST", f"/channels/{channel}/messages", {"content": "x"}
    )

    assert status == 429
    assert 4 < body["retry_after"] <= 5
    assert body["global"] is False
    assert headers["X-RateLimit-Limit"] == "5"
    assert headers["X-RateLimit-Scope"] == "user"
    assert headers["Retry-After"] == "5"
    assert headers["X-RateLimit-Bucket"]
    assert float(headers["X-RateLimit-Reset-After"]) == body["retry_after"]
    counts = await people.counts()
    assert counts.rate_limited == {"user POST /channels/{channel_id}/messages": 1}
    assert counts.messages_by_bot == 5


async def test_edits_have_a_bucket_of_their_own(rest: Rest, channel: str) -> None:
    path = f"/channels/{channel}/messages"
    created = [(await rest("POST", path, {"content": "x"}))[1]["id"] for _ in range(5)]

    edits = [await rest("PATCH", f"{path}/{created[0]}", {"content": str(n)}) for n in range(6)]

    assert [status for status, _ in edits] == [200] * 5 + [429]


async def test_fifty_requests_a_second_are_the_most_in_all(
    rest: Rest, people: DiscordControl
) -> None:
    answers = await asyncio.gather(*(rest.full("GET", "/users/@me") for _ in range(60)))

    refused = [(body, headers) for status, body, headers in answers if status == 429]
    assert len(refused) == 10
    assert all(body["global"] and headers["X-RateLimit-Global"] for body, headers in refused)
    assert (await people.counts()).rate_limited == {"global GET /users/@me": 10}


async def test_discord_py_stays_within_the_limits(people: DiscordControl) -> None:
    async with Bot().running() as bot:
        general = discord.utils.get(bot.guilds[0].text_channels, name="general")
        stars = discord.utils.get(bot.guilds[0].text_channels, name="stars")
        assert general is not None
        assert stars is not None
        sent = [await place.send(str(n)) for place in (general, stars) for n in range(4)]
        start = asyncio.get_running_loop().time()
        await asyncio.gather(*(each.delete() for each in sent[:4]))
        for each in ("🌤️", "⛵", "🎈"):
            await sent[4].add_reaction(each)
        took = asyncio.get_running_loop().time() - start

    assert took > 0.5  # three reactions, 0.25 s apart
    counts = await people.counts()
    assert counts.rate_limited == {}
    assert counts.deletes_by_bot == 4
    assert (await people.message(str(sent[4].id))).reactions == {
        "🌤️": ("Sky",),
        "⛵": ("Sky",),
        "🎈": ("Sky",),
    }


async def test_discord_py_obeys_a_429_that_it_is_given(people: DiscordControl) -> None:
    async with Bot().running():
        create = "POST /channels/{channel_id}/messages"
        await people.fault("rest", "rate_limit", route=create, retry_after=0.3)
        await people.fault("rest", "rate_limit", route=create, retry_after=0.2, scope="global")
        asked = await people.say("general", "x")
        answer = await people.wait_answer(asked.id)

    assert answer.created - asked.created > 0.45
    counts = await people.counts()
    assert counts.faults == {"rest rate_limit": 2}
    assert counts.rate_limited == {}  # only 429s that the bot caused itself


async def test_an_enforced_nonce_returns_the_message_that_has_it(
    rest: Rest, channel: str, people: DiscordControl
) -> None:
    body = {"content": "one", "nonce": "n-1", "enforce_nonce": True}
    _, first = await rest("POST", f"/channels/{channel}/messages", body)

    _, second = await rest("POST", f"/channels/{channel}/messages", body | {"content": "two"})
    _, third = await rest("POST", f"/channels/{channel}/messages", body | {"nonce": "n-2"})

    assert (second["id"], second["content"]) == (first["id"], "one")
    assert third["id"] != first["id"]
    counts = await people.counts()
    assert (counts.messages_by_bot, counts.nonce_repeats) == (2, 1)


async def test_a_nonce_is_forgotten_after_some_minutes_and_ignored_unless_enforced(
    rest: Rest, channel: str, people: DiscordControl
) -> None:
    body = {"content": "x", "nonce": 7}
    ids = {(await rest("POST", f"/channels/{channel}/messages", body))[1]["id"] for _ in range(2)}
    await people.set(nonce_seconds=0)
    again = body | {"enforce_nonce": True}

    ids.add((await rest("POST", f"/channels/{channel}/messages", again))[1]["id"])

    assert len(ids) == 3


async def test_a_request_whose_answer_is_lost_was_carried_out(
    rest: Rest, channel: str, people: DiscordControl
) -> None:
    body = {"content": "x", "nonce": "n", "enforce_nonce": True}
    path = f"/channels/{channel}/messages"
    await people.fault("rest", "drop", route="POST *", after=True)
    with pytest.raises(aiohttp.ClientError):
        await rest("POST", path, body)

    status, _ = await rest("POST", path, body)

    assert status == 200
    assert len(await people.read("general")) == 1


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"content": "⛵" * 2000}, 0, ""),
        ({"content": "⛵" * 2001}, 50035, "content"),
        ({"content": " \n"}, 50006, ""),
        ({}, 50006, ""),
        ({"content": 5}, 50035, "content"),
        ({"content": "x", "nonce": "n" * 26}, 50035, "nonce"),
        ({"content": "x", "embeds": [{"description": "x" * 6001}]}, 50035, "embeds"),
        ({"content": "x", "message_reference": {"message_id": "1"}}, 50035, "message_reference"),
        ({"embeds": [{"title": "t"}]}, 0, ""),
    ],
)
async def test_a_message_is_checked_as_discord_checks_it(
    rest: Rest, channel: str, body: dict[str, Any], code: int, field: str
) -> None:
    """A character is a code point: a boat emoji is one, although it is two units in UTF-16."""
    status, answer = await rest("POST", f"/channels/{channel}/messages", body)

    assert (status == 200) is (code == 0)
    assert answer.get("code", 0) == code
    assert list(answer.get("errors", {})) == ([field] if field else [])


async def test_a_reply_to_nothing_is_sent_plainly_where_that_is_asked(
    rest: Rest, channel: str
) -> None:
    reference = {"message_id": "1", "fail_if_not_exists": False}

    _, message = await rest(
        "POST", f"/channels/{channel}/messages", {"content": "x", "message_reference": reference}
    )

    assert "message_reference" not in message


async def test_history_before_after_and_around(
    rest: Rest, channel: str, people: DiscordControl
) -> None:
    ids = [(await people.say("general", str(n))).id for n in range(9)]

    async def page(query: str) -> list[int]:
        _, messages = await rest("GET", f"/channels/{channel}/messages?{query}")
        return [ids.index(each["id"]) for each in messages]

    assert await page("limit=3") == [8, 7, 6]
    assert await page(f"limit=2&before={ids[4]}") == [3, 2]
    assert await page(f"limit=2&after={ids[4]}") == [6, 5]
    assert await page(f"limit=3&around={ids[4]}") == [5, 4, 3]
    status, _ = await rest("GET", f"/channels/{channel}/messages?limit=101")
    assert status == 400


async def test_refusals_have_discords_numbers(
    rest: Rest, channel: str, people: DiscordControl
) -> None:
    mute = await people.add_channel("mute", deny=["send_messages"])
    hidden = await people.add_channel("hidden", deny=["view_channel"])
    said = await people.say("general", "mine")
    await people.open_dms("Hana", to_bot=False)
    hana = (await people.say("@Hana", "hi", author="Hana")).channel_id
    message = {"content": "x"}

    async def code(method: str, path: str, body: Any = None) -> tuple[int, int]:
        status, answer = await rest(method, path, body)
        return status, answer["code"]

    assert await code("POST", f"/channels/{mute.id}/messages", message) == (403, 50013)
    assert await code("POST", f"/channels/{hidden.id}/messages", message) == (403, 50001)
    assert await code("POST", f"/channels/{hana}/messages", message) == (403, 50007)
    assert await code("POST", "/channels/123/messages", message) == (404, 10003)
    assert await code("GET", f"/channels/{channel}/messages/123") == (404, 10008)
    assert await code("PATCH", f"/channels/{channel}/messages/{said.id}", message) == (403, 50005)
    assert await code("DELETE", f"/channels/{channel}/messages/{said.id}") == (403, 50013)
    assert await code("GET", "/guilds/1") == (404, 10004)
    assert await code("GET", "/users/1") == (404, 10013)
    rest.headers = {}
    assert await code("GET", "/users/@me") == (401, 0)


async def test_what_the_server_does_not_know_it_refuses_and_counts(
    rest: Rest, channel: str, server: DiscordServer
) -> None:
    assert (await rest("GET", "/guilds/1/bans"))[0] == 404
    assert (await rest("DELETE", "/users/@me"))[0] == 405
    status, _ = await rest("POST", f"/channels/{channel}/messages", {"content": "x", "poll": {}})
    assert status == 400

    assert server.state.counts.unknown == {
        "GET /guilds/1/bans": 1,
        "DELETE /users/@me": 1,
        "field poll of a new message": 1,
    }


async def test_the_identifies_that_are_left_are_told(rest: Rest) -> None:
    status, body = await rest("GET", "/gateway/bot")

    assert status == 200
    assert body["session_start_limit"]["remaining"] == 1000
    assert body["session_start_limit"]["max_concurrency"] == 1


async def test_a_body_of_an_odd_shape_is_refused_and_counted(
    rest: Rest, channel: str, server: DiscordServer
) -> None:
    status, body = await rest("POST", f"/channels/{channel}/messages", {"embeds": ["text"]})

    assert (status, body["code"]) == (400, 50109)
    assert len(server.state.counts.unknown) == 1


async def test_all_that_was_said_can_be_forgotten(
    rest: Rest, channel: str, people: DiscordControl
) -> None:
    said = await people.say("general", "before the bot came")

    await people.forget()

    assert await rest("GET", f"/channels/{channel}/messages") == (200, [])
    _, found = await rest("GET", f"/channels/{channel}")
    assert found["last_message_id"] is None
    status, _ = await rest("GET", f"/channels/{channel}/messages/{said.id}")
    assert status == 404
