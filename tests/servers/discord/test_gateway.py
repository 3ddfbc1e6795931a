import aiohttp
import pytest

from tests.servers.discord.control import DiscordControl
from tests.servers.discord.harness import DEFAULT, TOKEN, Wire, wired
from tests.servers.discord.server import DiscordServer


@pytest.fixture
async def wire(server: DiscordServer, http: aiohttp.ClientSession, people: DiscordControl):  # type: ignore[no-untyped-def]  # noqa: ANN201, ARG001  a generator of Wire
    async with wired(server, http) as wire:
        yield wire


async def _ready(wire: Wire) -> str:
    await wire.identify()
    ready = await wire.until("READY")
    await wire.until("GUILD_CREATE")
    return str(ready["d"]["session_id"])


async def test_ready_says_where_to_resume(wire: Wire, server: DiscordServer) -> None:
    await wire.identify()

    ready = await wire.get()

    assert (ready["t"], ready["s"]) == ("READY", 1)
    assert ready["d"]["resume_gateway_url"] == server.state.gateway_url
    assert ready["d"]["guilds"][0]["unavailable"] is True


@pytest.mark.parametrize(
    ("intents", "more", "code"),
    [
        (DEFAULT, {"token": "no"}, 4004),
        (1 << 60, {}, 4013),
        (-1, {}, 4013),
        ("all", {}, 4013),
        (DEFAULT | 1 << 1, {}, 4014),
        (DEFAULT, {"shard": [2, 2]}, 4010),
        (DEFAULT, {"shard": "x"}, 4010),
    ],
)
async def test_an_identify_that_is_wrong_closes(
    wire: Wire, intents: object, more: dict[str, object], code: int
) -> None:
    await wire.identify(intents, **more)

    assert await wire.close_code() == code


async def test_a_command_before_identify_closes_with_4003(wire: Wire) -> None:
    await wire.send(3, {})

    assert await wire.close_code() == 4003


async def test_identifying_twice_closes_with_4005(wire: Wire) -> None:
    await wire.identify()
    await wire.identify()

    assert await wire.close_code() == 4005


@pytest.mark.parametrize("text", ["{", "[]", '{"op": "1"}', '{"op": 1, "d": "' + "x" * 4096 + '"}'])
async def test_what_is_no_payload_closes_with_4002(wire: Wire, text: str) -> None:
    await wire.ws.send_str(text)

    assert await wire.close_code() == 4002


async def test_an_unknown_command_is_refused_and_counted(wire: Wire, server: DiscordServer) -> None:
    await _ready(wire)

    await wire.send(31, {})

    assert await wire.close_code() == 4001
    assert server.state.counts.unknown == {"gateway op 31": 1}
    server.state.counts.unknown.clear()


async def test_too_many_commands_close_with_4008(wire: Wire, people: DiscordControl) -> None:
    await people.set(gateway_commands_per_minute=5)
    for _ in range(6):
        await wire.beat()

    assert await wire.close_code() == 4008


async def test_heartbeats_are_acknowledged_and_can_be_asked_for(
    wire: Wire, people: DiscordControl
) -> None:
    await wire.beat()
    assert (await wire.get())["op"] == 11

    await people.ask_heartbeat()
    assert (await wire.get())["op"] == 1


async def test_no_ack_leaves_a_heartbeat_unanswered(wire: Wire, people: DiscordControl) -> None:
    await people.fault("gateway", "no_ack")
    await wire.beat()
    await wire.identify()

    assert (await wire.get())["t"] == "READY"


async def test_who_does_not_beat_is_closed_with_4009(
    server: DiscordServer, http: aiohttp.ClientSession, people: DiscordControl
) -> None:
    await people.set(heartbeat_interval_ms=50)
    async with wired(server, http) as wire:
        assert await wire.close_code() == 4009


async def test_an_identify_too_soon_is_an_invalid_session(
    server: DiscordServer, http: aiohttp.ClientSession, people: DiscordControl
) -> None:
    await people.set(identify_seconds=5)
    async with wired(server, http) as first, wired(server, http) as second:
        await _ready(first)
        await second.identify()

        assert await second.get() == {"t": None, "s": None, "op": 9, "d": False}
    assert (await people.counts()).identifies_refused == {"too soon": 1}


async def test_resume_replays_what_was_missed_and_says_so(
    server: DiscordServer, http: aiohttp.ClientSession, people: DiscordControl
) -> None:
    async with wired(server, http) as first:
        session = await _ready(first)
        await first.ws.close(code=4000)
    await people.say("general", "one")
    await people.say("general", "two")

    async with wired(server, http) as second:
        await second.resume(session, 2)
        got = [await second.get() for _ in range(3)]

    assert [each["t"] for each in got] == ["MESSAGE_CREATE", "MESSAGE_CREATE", "RESUMED"]
    assert [each["s"] for each in got] == [3, 4, 5]


@pytest.mark.parametrize(("code", "kept"), [(1000, 0), (1001, 0), (4000, 1)])
async def test_a_goodbye_of_the_client_ends_its_session(
    wire: Wire, people: DiscordControl, code: int, kept: int
) -> None:
    await _ready(wire)
    assert [each.live for each in await people.sessions()] == [True]

    await wire.ws.close(code=code)

    await people.wait_live(0)
    assert len(await people.sessions()) == kept
    assert (await people.counts()).closes == {f"client {code}": 1}


async def test_a_session_that_is_not_there_cannot_be_resumed(wire: Wire) -> None:
    await wire.resume("nobody", 1)

    assert (await wire.get())["op"] == 9
    await wire.identify()
    assert (await wire.get())["t"] == "READY"


async def test_a_session_is_forgotten_after_a_while(
    server: DiscordServer, http: aiohttp.ClientSession, people: DiscordControl
) -> None:
    await people.set(resume_seconds=0)
    async with wired(server, http) as first:
        session = await _ready(first)
        await first.ws.close(code=4000)

    async with wired(server, http) as second:
        await second.resume(session, 2)

        assert (await second.get())["op"] == 9


async def test_a_sequence_from_the_future_closes_with_4007(
    server: DiscordServer, http: aiohttp.ClientSession, people: DiscordControl
) -> None:
    async with wired(server, http) as first:
        session = await _ready(first)
        await first.ws.close(code=4000)

    async with wired(server, http) as second:
        await second.resume(session, 99)

        assert await second.close_code() == 4007
    assert (await people.counts()).resumes_refused == {"4007": 1}


async def test_resuming_takes_the_session_from_an_older_connection(
    server: DiscordServer, http: aiohttp.ClientSession
) -> None:
    async with wired(server, http) as first, wired(server, http) as second:
        session = await _ready(first)
        await second.resume(session, 2)

        assert await first.close_code() == 4000
        assert (await second.get())["t"] == "RESUMED"
        assert len(server.state.sessions.live) == 1


async def test_two_sessions_of_one_token_hear_the_same(
    server: DiscordServer, http: aiohttp.ClientSession, people: DiscordControl
) -> None:
    async with wired(server, http) as first, wired(server, http) as second:
        await _ready(first)
        await _ready(second)
        said = await people.say("general", "hello")

        heard = [(await each.until("MESSAGE_CREATE"))["d"]["id"] for each in (first, second)]
    assert heard == [said.id, said.id]


async def test_each_shard_gets_its_guilds_and_shard_0_the_dms(
    server: DiscordServer, http: aiohttp.ClientSession, people: DiscordControl
) -> None:
    await people.set(max_concurrency=2)
    (guild,) = server.state.world.guilds
    mine = (guild >> 22) % 2
    async with wired(server, http) as zero, wired(server, http) as one:
        shards = (zero, one)
        await zero.identify(shard=[0, 2])
        await one.identify(shard=[1, 2])
        readies = [await each.until("READY") for each in shards]
        assert [len(each["d"]["guilds"]) for each in readies] == [1 - mine, mine]

        in_guild = await people.say("general", "x")
        assert (await shards[mine].until("MESSAGE_CREATE"))["d"]["id"] == in_guild.id
        in_dm = await people.say("dm", "x")
        assert (await zero.until("MESSAGE_CREATE"))["d"]["id"] == in_dm.id
    assert TOKEN


async def test_content_is_held_back_without_the_intent(
    server: DiscordServer, http: aiohttp.ClientSession, people: DiscordControl
) -> None:
    async with wired(server, http) as wire:
        await wire.identify(DEFAULT & ~(1 << 15))
        await wire.until("GUILD_CREATE")
        await people.say("general", "secret", mention_bot=False)
        await people.say("general", "called", mention_bot=True)
        await people.say("dm", "private", mention_bot=False)

        said = [(await wire.until("MESSAGE_CREATE"))["d"]["content"] for _ in range(3)]
    assert said == ["", f"<@{server.state.world.bot.id}> called", "private"]


async def test_an_api_version_that_is_not_10_is_refused(
    server: DiscordServer, http: aiohttp.ClientSession
) -> None:
    async with http.ws_connect(f"{server.state.gateway_url}?v=9") as ws:
        assert (await ws.receive()).data == 4012
    async with http.ws_connect(f"{server.state.gateway_url}?v=10&compress=lz4") as ws:
        assert (await ws.receive()).data == 4002
