"""The server itself: token, sessions, faults, settings, counts, events."""

import asyncio
import contextlib

from aiohttp import web

from tests.servers.discord.control_api.base import GATEWAY, REFUSE, RESET, body_of, state_of
from tests.servers.discord.errors import Json
from tests.servers.discord.faults import Fault
from tests.servers.discord.sessions import Session

PING = 20.0


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        web.post("/reset", reset),
        web.put("/token", set_token),
        web.put("/automod", set_blocked_words),
        web.get("/sessions", sessions),
        web.post("/sessions/revoke", revoke),
        web.post("/sessions/beat", ask_heartbeat),
        web.post("/faults", add_fault),
        web.get("/faults", faults),
        web.delete("/faults", end_faults),
        web.delete("/faults/{id}", end_fault),
        web.get("/settings", settings),
        web.patch("/settings", change_settings),
        web.get("/counts", counts),
        web.delete("/counts", reset_counts),
        web.get("/counts/answers", answers),
        web.get("/events", events),
    ]


async def reset(request: web.Request) -> web.Response:
    """POST: reset the server to its initial state, before a new bot connects."""
    await request.app[RESET]()
    return web.json_response({})


async def set_token(request: web.Request) -> web.Response:
    """PUT the token to accept; sessions with another token are closed with 4004."""
    data = await body_of(request, "token")
    state_of(request).tokens.accept(str(data["token"]))
    return web.json_response({})


async def set_blocked_words(request: web.Request) -> web.Response:
    """PUT the `words` that AutoMod blocks in what the bot writes (200000)."""
    data = await body_of(request, "words")
    state_of(request).blocked_words = tuple(str(each).casefold() for each in data["words"])
    return web.json_response({})


async def sessions(request: web.Request) -> web.Response:
    """GET sessions, connected or waiting for a RESUME."""
    return web.json_response([_session(each) for each in state_of(request).sessions.by_id.values()])


def _session(session: Session) -> Json:
    return {
        "id": session.id,
        "shard": list(session.shard),
        "intents": session.intents,
        "seq": session.seq,
        "live": session.transport is not None,
    } | (session.transport.report() if session.transport else {})


async def revoke(request: web.Request) -> web.Response:
    """POST to close live sessions (all, or one) with a code, 4004 by default."""
    data = await body_of(request, "code", "session")
    closed = request.app[GATEWAY].revoke(int(data.get("code", 4004)), data.get("session"))
    return web.json_response({"closed": closed})


async def ask_heartbeat(request: web.Request) -> web.Response:
    """POST to send op 1 to every connection: the client must send a heartbeat at once."""
    for conn in request.app[GATEWAY].connections:
        conn.send_op(1)
    return web.json_response({})


async def add_fault(request: web.Request) -> web.Response:
    """POST a fault; a gateway fault with `now` affects the open connections."""
    state = state_of(request)
    fault = state.faults.add(await body_of(request, *Fault.__dataclass_fields__))
    if fault.where == "listener":
        state.faults.active.pop(fault.id)
        await request.app[REFUSE](fault)
        fault.hits = 1
    elif fault.where == "gateway" and fault.on in ("now", "always"):
        gateway = request.app[GATEWAY]
        if fault.on == "now":
            state.faults.active.pop(fault.id)
        for conn in list(gateway.connections):
            gateway.apply_fault(conn, fault)
            fault.hits += 1
        state.counts.faults[f"gateway {fault.kind}"] += fault.hits
    return web.json_response(fault.shown())


async def faults(request: web.Request) -> web.Response:
    """GET the active faults."""
    return web.json_response([each.shown() for each in state_of(request).faults.active.values()])


async def end_fault(request: web.Request) -> web.Response:
    """DELETE one fault and release the requests that it holds."""
    state = state_of(request)
    fault = state.faults.find(int(request.match_info["id"]))
    if fault is not None:
        state.faults.end(fault)
    return web.json_response({})


async def end_faults(request: web.Request) -> web.Response:
    """DELETE all faults."""
    state_of(request).faults.end_all()
    for conn in request.app[GATEWAY].connections:
        conn.acknowledges, conn.slow = True, 0.0
    return web.json_response({})


async def settings(request: web.Request) -> web.Response:
    """GET the settings."""
    now = state_of(request).settings
    return web.json_response({name: getattr(now, name) for name in now.__dataclass_fields__})


async def change_settings(request: web.Request) -> web.Response:
    """PATCH some settings."""
    state = state_of(request)
    state.apply(
        state.settings.changed(await body_of(request, *state.settings.__dataclass_fields__))
    )
    return await settings(request)


async def counts(request: web.Request) -> web.Response:
    """GET the counters."""
    state = state_of(request)
    live = len(state.sessions.live)
    extra = {"live_sessions": live, "identifies_left": state.identifies_left()}
    return web.json_response(state.counts.report() | extra)


async def reset_counts(request: web.Request) -> web.Response:
    """DELETE: reset the counters."""
    state_of(request).reset_counts()
    return web.json_response({})


async def answers(request: web.Request) -> web.Response:
    """GET, for each user's message, the bot's messages that reference it."""
    return web.json_response(state_of(request).counts.answers())


async def events(request: web.Request) -> web.WebSocketResponse:
    """GET, as a WebSocket: all events, starting after `since` if given."""
    ws = web.WebSocketResponse(heartbeat=PING)
    await ws.prepare(request)
    since = int(request.query["since"]) if "since" in request.query else None
    feed = state_of(request).events
    with feed.reader(since) as queue:
        await ws.send_json({"n": feed.number, "kind": "hello", "data": {}})
        sender = asyncio.create_task(_forward(ws, queue))
        async for _ in ws:  # ends when the client disconnects
            pass
        sender.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await sender
    return ws


async def _forward(ws: web.WebSocketResponse, queue: "asyncio.Queue[Json | None]") -> None:
    while (event := await queue.get()) is not None:
        await ws.send_json(event)
    await ws.close(code=1013, message=b"too slow, start again")
