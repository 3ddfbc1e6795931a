"""Workarounds for discord.py, against its own parsers."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any

import discord
import pytest
from discord.gateway import ReconnectWebSocket

from bot.discord import compat, converters

if TYPE_CHECKING:
    from collections.abc import Mapping

GUILD, HALL, ADA = "5", "11", "1"
POLL = {
    "question": {"text": "when?"},
    "answers": [{"answer_id": 1, "poll_media": {"text": "now"}}],
    "expiry": None,  # nullable by Discord's documentation
    "allow_multiselect": False,
    "layout_type": 1,
}


def message(**more: Any) -> dict[str, Any]:
    return {
        "id": "77",
        "channel_id": HALL,
        "author": {"id": ADA, "username": "Ada", "discriminator": "0", "avatar": None},
        "content": "hello",
        "timestamp": "2026-11-30T10:00:00+00:00",
        "edited_timestamp": None,
        "type": 0,
        "tts": False,
        "pinned": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        **more,
    }


class Client(discord.Client):
    """A client that is connected to nothing, and what it skipped."""

    def __init__(self) -> None:
        super().__init__(intents=discord.Intents.none(), max_messages=None)
        self.skipped: list[tuple[str, dict[str, object], str]] = []
        self.heard: list[int] = []
        compat.tolerate(self, self.skip)

    def skip(self, kind: str, ids: Mapping[str, object], error: BaseException) -> None:
        """Note what was skipped."""
        self.skipped.append((kind, dict(ids), type(error).__name__))

    def dispatch(self, event: str, /, *args: Any, **_: Any) -> None:
        """Note what is handed on."""
        if event == "message":
            self.heard.append(args[0].id)
        if event == "unreadable":
            self.skip(*args)

    def receive(self, event: str, data: Any) -> None:
        """Let discord.py parse an event."""
        self._connection.parsers[event](data)


@pytest.fixture
async def client() -> Client:
    return Client()


BROKEN: list[Any] = [
    message(poll=POLL),
    {key: value for key, value in message().items() if key != "content"},
    message(author=None),
    message(mentions={}, attachments=7),
    message(embeds="none", components=[{"type": 1}]),
    message(id=None),
    message(message_reference={"message_id": "x"}),
    [],
    "text",
    None,
]


@pytest.mark.parametrize("data", BROKEN, ids=lambda data: str(data)[:40])
async def test_an_event_that_cannot_be_parsed_is_skipped_with_its_ids(
    client: Client, data: Any
) -> None:
    client.receive("MESSAGE_CREATE", data)
    client.receive("MESSAGE_CREATE", message(id="78"))

    ((kind, ids, error),) = client.skipped
    assert (kind, ids["event"]) == ("event", "MESSAGE_CREATE")
    assert error.endswith("Error")
    if isinstance(data, dict) and data.get("id"):
        assert ids["id"] == int(data["id"])
    assert client.heard == [78]


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("MESSAGE_REACTION_ADD", {"user_id": ADA, "channel_id": HALL, "message_id": "77"}),
        ("MESSAGE_UPDATE", {"id": "77", "channel_id": HALL}),
        ("MESSAGE_DELETE_BULK", {"channel_id": HALL}),
        ("GUILD_CREATE", {"id": GUILD, "channels": [None]}),
        ("GUILD_ROLE_UPDATE", {"guild_id": GUILD}),
        ("THREAD_CREATE", {"guild_id": GUILD, "id": "12"}),
        ("INTERACTION_CREATE", {"id": "90", "type": 2, "channel_id": HALL}),
        ("CHANNEL_DELETE", {}),
    ],
)
async def test_no_event_at_all_gets_out_of_its_parser(
    client: Client, event: str, data: Any
) -> None:
    client.receive(event, data)
    client.receive("MESSAGE_CREATE", message())

    assert client.heard == [77]


async def test_a_question_is_heard_although_what_it_replies_to_cannot_be_parsed(
    client: Client,
) -> None:
    reference = {"message_id": "70", "channel_id": HALL}
    quoted = message(id="70", poll=POLL)

    client.receive(
        "MESSAGE_CREATE", message(message_reference=reference, referenced_message=quoted)
    )

    assert client.heard == [77]
    assert len(client.skipped) == 1


EVERYONE = {"id": GUILD, "name": "@everyone", "permissions": "66560", "position": 0}
DENIED = [{"id": GUILD, "type": 0, "allow": "0", "deny": "1024"}]


def channel(number: str, **more: Any) -> dict[str, Any]:
    shape = {"id": number, "type": 0, "name": "hall", "position": 0, "permission_overwrites": []}
    return {**shape, **more}


def guild(*channels: Any, **more: Any) -> dict[str, Any]:
    shape = {"id": GUILD, "name": "harbour", "owner_id": "2", "roles": [EVERYONE], "members": []}
    return {**shape, "channels": list(channels), "member_count": 2, "unavailable": False, **more}


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("GUILD_CREATE", guild(channel("12"), None, roles=None)),
        ("GUILD_CREATE", guild(channel("12"), roles=[EVERYONE | {"permissions": None}])),
        ("GUILD_CREATE", guild(channel("12"), name=None)),
        ("GUILD_UPDATE", {"id": GUILD, "name": "harbour", "roles": [EVERYONE, {}]}),
        ("CHANNEL_UPDATE", channel(HALL, guild_id=GUILD, permission_overwrites=[{"id": "x"}])),
        ("CHANNEL_UPDATE", {"id": HALL, "guild_id": GUILD, "type": 0, "name": "x", "position": 0}),
        ("GUILD_ROLE_UPDATE", {"guild_id": GUILD, "role": {"id": GUILD, "permissions": "8"}}),
    ],
)
async def test_an_update_that_cannot_be_parsed_changes_nothing_of_what_is_known(
    client: Client, event: str, data: Any
) -> None:
    """Half of an update would leave a channel without the overwrites that close it."""
    client.receive("GUILD_CREATE", guild(channel(HALL, permission_overwrites=DENIED)))
    assert client.skipped == []

    client.receive(event, data)

    assert [kind for kind, _, _ in client.skipped] == ["event"]
    known = client.get_guild(int(GUILD))
    hall = known.get_channel(int(HALL)) if known else None
    assert hall is not None
    assert [each[1].pair()[1].value for each in hall.overwrites.items()] == [1024]
    assert known is not None
    assert known.default_role.permissions.value == 66560


async def test_a_server_of_which_a_part_cannot_be_parsed_is_known_without_that_part(
    client: Client,
) -> None:
    odd = [{"id": "13", "type": 0}, channel("14", permission_overwrites=None), None]

    client.receive("GUILD_CREATE", guild(channel(HALL), *odd, emojis=[None], threads=[{}]))

    known = client.get_guild(int(GUILD))
    assert known is not None
    assert [each.id for each in known.channels] == [int(HALL)]
    assert len(client.skipped) == 1


async def test_a_history_with_unreadable_entries_is_read_to_its_end(client: Client) -> None:
    async def logs_from(*_: Any, **__: Any) -> Any:
        return page

    far = message(id="9" * 20, author=None)  # a time that no date can have
    page: Any = [far, message(id="9"), message(id="8", poll=POLL), {"content": "?"}]
    page.append(message(id="7"))
    fresh = discord.Client(intents=discord.Intents.none())
    fresh.http.logs_from = logs_from  # type: ignore[method-assign]
    compat.tolerate(fresh, client.skip)
    channel = fresh.get_partial_messageable(int(HALL))

    found = [each async for each in channel.history(limit=5)]

    assert [each.id for each in found] == [9, 8, 7]
    assert [converters.to_message(each).readable for each in found] == [True, False, True]
    assert converters.to_message(found[1]).author.id == int(ADA)
    assert sorted(kind for kind, _, _ in client.skipped) == ["message"] * 3
    page = "<html>"
    with pytest.raises(compat.UnreadableResponse):
        _ = [each async for each in channel.history(limit=4)]


class Socket(compat.WebSocket):
    """A gateway connection over nothing."""

    def __init__(self, client: Client) -> None:
        super().__init__(None, loop=asyncio.get_running_loop())  # type: ignore[arg-type]
        self._connection = client._connection
        self._discord_parsers = client._connection.parsers
        self._dispatch = client.dispatch
        self.shard_id = 0
        self.sequence = 4
        self._max_heartbeat_timeout = 60.0

    async def close(self, code: int = 4000) -> None:
        """Close nothing."""
        del code


@pytest.mark.parametrize(
    ("frame", "resumes"),
    [
        (b"no zlib stream\x00\x00\xff\xff", True),
        (zlib.compress(b"not json") + b"\x00\x00\xff\xff", True),
        ("not json", True),
        ("[1, 2]", True),
        ('{"op": 10, "d": null}', False),
        ('{"op": 10, "d": {"heartbeat_interval": 0}}', False),
        ('{"op": 0, "t": "READY", "s": 1, "d": {"v": 10}}', False),
    ],
    ids=str,
)
async def test_a_frame_that_cannot_be_read_is_a_reconnect(
    client: Client, frame: str | bytes, *, resumes: bool
) -> None:
    socket = Socket(client)

    with pytest.raises(ReconnectWebSocket) as raised:
        await socket.received_message(frame)

    assert raised.value.resume is resumes
    assert [kind for kind, _, _ in client.skipped] == ["frame"]


@pytest.mark.parametrize(
    "frame",
    [
        '{"op": 0, "t": ["MESSAGE_CREATE"], "s": 5, "d": {}}',
        '{"op": 0, "t": "RESUMED", "s": 5, "d": null}',
        '{"op": 0, "t": "MESSAGE_DELETE", "s": {}, "d": {"id": "1", "channel_id": "2"}}',
    ],
)
async def test_an_event_of_an_odd_shape_leaves_the_connection_as_it_is(
    client: Client, frame: str
) -> None:
    socket = Socket(client)

    await socket.received_message(frame)

    assert [kind for kind, _, _ in client.skipped] == ["event"]
    assert socket.sequence in {4, 5}


class Monitored:
    """A monitor whose clock is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.monitor = compat.RestMonitor(lambda: self.now)


def test_a_client_that_sends_nothing_while_requests_wait_is_mute() -> None:
    world = Monitored()
    world.now += 500
    assert world.monitor.mute_for() == 0  # nothing waits

    with world.monitor.waiting():
        world.now += 61
        assert world.monitor.mute_for() == 61
    assert world.monitor.mute_for() == 0


async def test_a_cancelled_wait_for_a_global_limit_leaves_the_client_able_to_speak(
    client: Client,
) -> None:
    """discord.py sets its event again only where the sleep ends by itself."""
    over = client.http._global_over = asyncio.Event()
    over.set()

    async def limited() -> None:
        over.clear()
        await asyncio.sleep(0.05)
        over.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await compat.request(client, compat.RestMonitor(), limited())

    await asyncio.wait_for(over.wait(), 1)


async def test_a_cancelled_request_is_not_sent_later(client: Client) -> None:
    client.http._global_over = asyncio.Event()
    client.http._global_over.set()
    sent = False

    async def queued() -> None:
        nonlocal sent
        await asyncio.sleep(0.02)
        sent = True

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await compat.request(client, compat.RestMonitor(), queued())
    await asyncio.sleep(0.03)

    assert not sent
