"""Faults of Discord: its REST API, its gateway, its close codes."""

import asyncio
from typing import Any

from tests.loop.faults.fault_case import FaultCase, FaultContext, Play, now

_POST = "POST /channels/{channel_id}/messages"
_HOLE = 130.0  # seconds; discord.py gives a silent gateway up after 60 s and a heartbeat's 41 s


def _lasting(where: str, kind: str, seconds: float, **more: Any) -> Play:
    """Begin a fault of the stand-in and wait for its end."""

    async def play(context: FaultContext) -> float:
        await context.load.discord.fault(where, kind, seconds=seconds, **more)
        await asyncio.sleep(seconds)
        return now()

    return play


def _gateway(kind: str, **more: Any) -> Play:
    """Apply a fault once to the session that is open now."""

    async def play(context: FaultContext) -> float:
        struck = now()
        await context.load.discord.fault("gateway", kind, **more)
        await asyncio.sleep(1)
        return struck

    return play


async def _five_hundreds(context: FaultContext) -> float:
    """Fail with a status that discord.py retries by itself, then with one that it does not."""
    for status in (500, 503):
        await context.load.discord.fault("rest", "status", status=status, seconds=5)
        await asyncio.sleep(5)
    return now()


async def _black_hole(context: FaultContext) -> float:
    """Let the gateway neither send nor receive anything while the connection stays open."""
    struck = now()
    await context.load.discord.fault("gateway", "black_hole", seconds=_HOLE)
    before = (await context.load.discord.counts()).resumes
    async with asyncio.timeout(_HOLE + 30):
        while (await context.load.discord.counts()).resumes == before:  # noqa: ASYNC110 - asked over HTTP
            await asyncio.sleep(0.5)
    context.note(f"the bot gave the silent session up after {now() - struck:.0f} s")
    return now()


def _closed(code: int, recovers: float = 30.0, metric: str = "", log: str = "") -> FaultCase:
    return FaultCase(
        f"discord-close-{code}",
        _gateway("close", code=code),
        f"the gateway is closed with {code}",
        metric=metric or "gateway_events",
        log=log or "gateway (disconnected|resumed|ready)|login failed",
        recovers=recovers,
    )


ENTRIES = (
    FaultCase(
        "discord-5xx",
        _five_hundreds,
        "every request gets 500 for 5 s, then 503 for 5 s",
        metric="discord_calls_total.*discord_down|discord_calls_total",
        recovers=40,
    ),
    FaultCase(
        "discord-429-global",
        _lasting("rest", "rate_limit", 4, scope="global", retry_after=2.0),
        "every request is told to wait 2 s, for all routes, for 4 s",
        log="rate limit",
    ),
    FaultCase(
        "discord-429-route",
        _lasting("rest", "rate_limit", 6, scope="user", retry_after=2.0, route=_POST),
        "every new message is told to wait 2 s, for 6 s",
        log="rate limit",
    ),
    FaultCase(
        "discord-slow", _lasting("rest", "slow", 12, delay=4.0), "every request takes 4 s more"
    ),
    FaultCase(
        "discord-refuses",
        _lasting("listener", "refuse", 8),
        "nobody listens for 8 s, and what was open is reset",
        metric="gateway_events",
        log="gateway disconnected",
    ),
    FaultCase(
        "discord-rest-black-hole",
        _lasting("rest", "black_hole", 12),
        "no request is answered for 12 s",
        recovers=40,
    ),
    FaultCase(
        "discord-black-hole",
        _black_hole,
        "the gateway falls silent and stays open",
        metric="gateway_events",
        log="gateway disconnected|gateway resumed",
        per_second=1.0,
    ),
    FaultCase(
        "discord-op-7",
        _gateway("reconnect"),
        "the gateway asks for a reconnect",
        metric="gateway_events",
        log="gateway (resumed|ready)",
    ),
    FaultCase(
        "discord-op-9-resumable",
        _gateway("invalid_session", resumable=True),
        "the session is invalid, and may be resumed",
        metric="gateway_events",
        log="gateway (resumed|ready)",
    ),
    FaultCase(
        "discord-op-9",
        _gateway("invalid_session", resumable=False),
        "the session is invalid, and gone",
        metric="gateway_events",
        log="gateway ready|caught up",
    ),
    FaultCase(
        "discord-cut",
        _gateway("close", code=1006),
        "the gateway's connection is reset",
        metric="gateway_events",
        log="gateway (resumed|ready)",
    ),
    _closed(4000),
    _closed(4003),
    # Discord's mistake: the token is as good as before. The bot asks again after half a minute, or
    # after a whole one where it is the second such refusal in a short time.
    _closed(4004, 75, "credential_refused", "cannot log in"),
    _closed(4007),
    _closed(4008),
    _closed(4009),
    _closed(4014, 75, "gateway_events.*gateway_refused", "cannot log in"),
    FaultCase(
        "discord-duplicates",
        _lasting("dispatch", "duplicate", 8, event="MESSAGE_CREATE"),
        "every message is dispatched twice for 8 s",
        metric="turned_away_total.*repeated",
    ),
    FaultCase(
        "discord-reorders",
        _lasting("dispatch", "reorder", 8, event="MESSAGE_CREATE", by="user"),
        "messages are dispatched out of order for 8 s",
    ),
)
