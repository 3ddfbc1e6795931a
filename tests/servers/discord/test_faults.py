import asyncio
import time

import aiohttp
import pytest

from tests.servers.discord.control import ControlError, DiscordControl
from tests.servers.discord.harness import Bot, Rest, wired
from tests.servers.discord.server import DiscordServer


async def test_errors_are_given_as_often_as_asked(rest: Rest, people: DiscordControl) -> None:
    await people.fault("rest", "status", status=503, route="GET /users/@me", count=2)

    statuses = [(await rest("GET", "/users/@me"))[0] for _ in range(3)]
    other = await rest("GET", "/gateway")

    assert statuses == [503, 503, 200]
    assert other[0] == 200
    assert (await people.counts()).faults == {"rest status": 2}


async def test_a_fault_for_some_seconds_ends_by_itself(rest: Rest, people: DiscordControl) -> None:
    await people.fault("rest", "error", status=403, code=50013, message="no", seconds=0.1)

    assert await rest("GET", "/users/@me") == (403, {"message": "no", "code": 50013})
    await asyncio.sleep(0.1)
    assert (await rest("GET", "/users/@me"))[0] == 200


async def test_a_proxy_s_page_is_html(server: DiscordServer, people: DiscordControl) -> None:
    await people.fault("rest", "status", status=502, message="Bad Gateway", html=True)
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{server.base_url}/api/v10/gateway") as response,
    ):
        assert response.status == 502
        assert response.content_type == "text/html"


async def test_a_black_hole_swallows_until_it_is_ended(rest: Rest, people: DiscordControl) -> None:
    await people.fault("rest", "black_hole")
    # Not a GET: aiohttp's client retries those by itself.
    asking = asyncio.create_task(rest("POST", "/users/@me/channels", {"recipient_id": "1"}))
    done, _ = await asyncio.wait({asking}, timeout=0.2)
    assert not done

    await people.end_faults()

    with pytest.raises(aiohttp.ClientError):
        await asking


async def test_a_silent_gateway_neither_speaks_nor_closes_and_can_be_resumed(
    server: DiscordServer, http: aiohttp.ClientSession, people: DiscordControl
) -> None:
    async with wired(server, http) as wire:
        await wire.identify()
        session = (await wire.until("READY"))["d"]["session_id"]
        await wire.until("GUILD_CREATE")
        await people.fault("gateway", "black_hole", seconds=30)
        await wire.beat()
        said = await people.say("general", "into the void")
        with pytest.raises(TimeoutError):
            await wire.ws.receive(timeout=0.2)
        assert [(each.live, each.silent) for each in await people.sessions()] == [(True, True)]
        await people.end_faults()
        assert (await wire.ws.receive(timeout=2)).type in (
            aiohttp.WSMsgType.CLOSED,
            aiohttp.WSMsgType.ERROR,
        )

    async with wired(server, http) as wire:
        await wire.resume(session, 2)
        assert (await wire.until("MESSAGE_CREATE"))["d"]["id"] == said.id


async def test_connections_are_refused_for_a_while(
    server: DiscordServer, rest: Rest, people: DiscordControl
) -> None:
    async with Bot().running():
        await people.fault("listener", "refuse", seconds=0.3)
        with pytest.raises(aiohttp.ClientConnectorError):
            await rest("GET", "/users/@me")
        with pytest.raises(ControlError, match="already"):
            await people.fault("listener", "refuse")
        asked = await people.say("general", "anyone?")
        await people.wait_answer(asked.id)

    assert (await people.counts()).resumes == 1
    assert server.state.world.knows(int(asked.id))


async def test_dispatches_can_be_doubled_lost_and_out_of_order(people: DiscordControl) -> None:
    bot = Bot()
    bot.edits = False
    async with bot.running():
        create = {"event": "MESSAGE_CREATE", "by": "user"}
        await people.fault("dispatch", "reorder", **create)
        for text in ("a", "b"):
            await people.say("maps", text, mention_bot=False)
        await people.fault("dispatch", "lose", **create)
        await people.say("maps", "c", mention_bot=False)
        await people.fault("dispatch", "duplicate", **create)
        last = await people.say("maps", "d", mention_bot=False)
        await people.wait_answer(last.id)
        await people.wait_answer((await people.say("maps", "e")).id)

    assert [each[-1] for each in bot.heard] == ["b", "a", "d", "d", "e"]
    assert (await people.counts()).nonce_repeats == 1  # the bot posted d twice, Discord only once


async def test_a_connection_can_be_disturbed_at_identify(
    server: DiscordServer, http: aiohttp.ClientSession, people: DiscordControl
) -> None:
    await people.fault("gateway", "close", code=4000, on="identify", count=2)
    for expected in (4000, 4000):
        async with wired(server, http) as wire:
            await wire.identify()
            assert await wire.close_code() == expected
    async with wired(server, http) as wire:
        await wire.identify()
        assert (await wire.get())["t"] == "READY"


async def test_a_handshake_can_be_refused(
    server: DiscordServer, http: aiohttp.ClientSession, people: DiscordControl
) -> None:
    await people.fault("gateway", "status", on="connect", status=503)

    with pytest.raises(aiohttp.WSServerHandshakeError):
        await http.ws_connect(server.state.gateway_url)


async def test_slow_means_slow(rest: Rest, people: DiscordControl) -> None:
    await people.fault("rest", "slow", delay=0.2)
    start = time.monotonic()

    await rest("GET", "/users/@me")

    assert time.monotonic() - start >= 0.2


@pytest.mark.parametrize(
    ("where", "kind", "more"),
    [("rest", "fire", {}), ("sea", "status", {}), ("rest", "status", {"colour": 1})],
)
async def test_a_fault_that_does_not_exist_is_refused(
    people: DiscordControl, where: str, kind: str, more: dict[str, int]
) -> None:
    with pytest.raises(ControlError, match=r"expected|unknown"):
        await people.fault(where, kind, **more)


async def test_the_cdn_can_fail_by_itself(
    people: DiscordControl, rest: Rest, http: aiohttp.ClientSession
) -> None:
    said = await people.say("general", "x", files=[("a.txt", "text/plain", b"a")])
    await people.fault("cdn", "status", status=404)

    async with http.get(said.attachments[0]["url"]) as response:
        assert response.status == 404
    assert (await rest("GET", "/users/@me"))[0] == 200


async def test_always_is_now_and_at_every_connect(
    server: DiscordServer, http: aiohttp.ClientSession, people: DiscordControl
) -> None:
    async with wired(server, http) as wire:
        await people.fault("gateway", "close", code=1006, on="always", seconds=30)
        assert await wire.close_code() == 1006
    with pytest.raises((aiohttp.ClientError, TypeError)):
        async with wired(server, http):
            pass
    await people.end_faults()
    async with wired(server, http) as wire:
        await wire.identify()
