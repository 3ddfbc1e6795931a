"""Staying logged in."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
import pytest

from bot.credentials.credential import Credential
from bot.discord import session
from bot.discord.compat import RestMonitor
from bot.discord.session import Connection, HeartbeatMonitor, ReconnectBackoff
from bot.observability.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@dataclass
class Discord:
    """What the logins meet, one after the other: an exception, or a session that lasts."""

    accepted: str = "good"
    troubles: list[Exception] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    closed: int = 0
    forgotten: int = 0
    broken: list[int] = field(default_factory=list)
    unsure: set[object] = field(default_factory=set)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def client(self) -> Any:
        """Make a client."""
        return Client(self)


class Client:
    """As much of a gateway client as Connection knows."""

    def __init__(self, world: Discord) -> None:
        self.world = world
        self.ws: object | None = None
        self.latency = 0.1
        self.rest = RestMonitor()
        self.unsure: set[object] = self.world.unsure
        self.over = asyncio.Event()
        self.http = SimpleNamespace(_global_over=asyncio.Event())

    async def login(self, token: str) -> None:
        """Ask REST who the token is."""
        self.world.tried.append(token)
        if token != self.world.accepted:
            raise discord.LoginFailure
        if self.world.troubles:
            raise self.world.troubles.pop(0)

    async def connect(self) -> None:
        """Hold a session."""
        self.ws = SimpleNamespace(close=self.reconnect)
        self.world.open.set()
        await self.over.wait()

    async def reconnect(self, code: int) -> None:
        """Break the connection, to make another."""
        self.world.broken.append(code)

    async def close(self) -> None:
        """Close it."""
        self.world.closed += 1
        self.over.set()

    def forget_session(self) -> None:
        """Note that the session is not to be continued."""
        self.world.forgotten += 1


@dataclass
class Line:
    """A connection under test with its world."""

    world: Discord
    file: Path
    metrics: Metrics
    token: Credential
    connection: Connection

    def events(self, event: str) -> float:
        """Count what happened to the session."""
        series = "discord_sky_gateway_events_total"
        return self.metrics.registry.get_sample_value(series, {"event": event}) or 0.0


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setattr(session, "_SHORTEST_PAUSE", 0.001)
    world, metrics, file = Discord(), Metrics(), tmp_path / "token"
    file.write_text("good")
    token = Credential("discord", file, metrics)
    return Line(
        world,
        file,
        metrics,
        token,
        Connection(world.client, token, HeartbeatMonitor(metrics), ReconnectBackoff()),
    )


@contextlib.asynccontextmanager
async def running(line: Line) -> AsyncIterator[None]:
    task = asyncio.create_task(line.connection.run())
    try:
        async with asyncio.timeout(5):
            yield
    finally:
        task.cancel()
        await asyncio.wait({task})
    assert task.cancelled()


def closed(code: int) -> discord.ConnectionClosed:
    socket: Any = SimpleNamespace(close_code=code)
    return discord.ConnectionClosed(socket, shard_id=None, code=code)


@pytest.mark.parametrize(
    "trouble",
    [
        aiohttp.ClientConnectionError(),
        TimeoutError(),
        OSError(),
        discord.GatewayNotFound(),  # type: ignore[no-untyped-call]
        closed(4000),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
async def test_a_login_that_fails_is_tried_again(line: Line, trouble: Exception) -> None:
    line.world.troubles = [trouble, trouble, trouble]

    async with running(line):
        await line.world.open.wait()

    assert len(line.world.tried) == 4
    assert line.events("login_failed") == 3


async def test_a_refused_token_waits_for_another_and_does_not_spend_logins(line: Line) -> None:
    line.world.accepted = "better"

    async with running(line):
        await asyncio.sleep(0.05)
        tried_before = list(line.world.tried)
        line.file.write_text("better\n")
        line.token.refresh()
        await line.world.open.wait()

    assert tried_before == ["good"]
    assert line.world.tried == ["good", "better"]
    assert line.events("token_refused") == 1


async def test_a_missing_token_is_waited_for(line: Line) -> None:
    line.token._held = line.token._in_file = None

    async with running(line):
        await asyncio.sleep(0.01)
        line.token.refresh()
        await line.world.open.wait()

    assert line.world.tried == ["good"]
    assert line.events("credential_missing") == 1


@pytest.mark.parametrize("code", [4010, 4011, 4012, 4013, 4014])
async def test_a_gateway_that_is_closed_for_good_is_no_crash_loop(
    line: Line, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    trouble = discord.PrivilegedIntentsRequired(None) if code == 4014 else closed(code)
    line.world.troubles = [trouble, trouble]

    async with running(line):
        await asyncio.sleep(0.05)

    assert line.world.tried == ["good"]
    assert line.events("gateway_refused") == 1
    (record,) = [each for each in caplog.records if each.message == "cannot log in"]
    assert vars(record)["code"] == code
    assert vars(record)["remedy"]


async def test_a_token_that_is_reset_in_mid_session_waits_for_the_new_one(line: Line) -> None:
    line.world.troubles = [closed(4004)]

    async with running(line):
        await asyncio.sleep(0.02)
        line.file.write_text("next")
        line.world.accepted = "next"
        line.token.refresh()
        await line.world.open.wait()

    assert line.world.tried == ["good", "next"]


async def test_every_client_is_closed(line: Line) -> None:
    line.world.troubles = [OSError()]

    async with running(line):
        await line.world.open.wait()

    assert line.world.closed == 2


async def test_a_defect_is_not_taken_for_an_outage(line: Line) -> None:
    line.world.troubles = [ZeroDivisionError()]

    with pytest.raises(ZeroDivisionError):
        await line.connection.run()


async def test_a_client_that_sends_nothing_is_replaced(
    line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(session, "_MUTE_SECONDS", 0.01)

    async with running(line):
        await line.world.open.wait()
        line.world.open.clear()
        mute = line.connection.client
        assert mute is not None
        with mute.rest.waiting():
            await line.world.open.wait()

    assert line.world.tried == ["good", "good"]
    assert line.events("rest_mute") == 1
    assert mute.http._global_over.is_set()
    assert "REST client is stuck, logging in again" in caplog.messages


async def test_a_session_whose_permissions_are_not_known_any_more_gives_way_to_a_new_one(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_UNSURE_SECONDS", 0.02)
    line.world.unsure = {5}

    async with running(line):
        await line.world.open.wait()
        line.connection._heartbeat.opened("ready")
        while not line.world.broken:  # noqa: ASYNC110  # for a moment
            await asyncio.sleep(0.01)

    assert line.world.forgotten == 1
    assert line.events("unsure") == 1
