"""Raw events and frames, and malformed messages, that clients may fail to parse.

Discord has sent all of these: a poll without an expiry, a reaction without `me`, a damaged frame.
The state does not change, only what is sent about it.
"""

import base64
import json

from aiohttp import web

from tests.servers.discord.control_api.base import GATEWAY, body_of, state_of
from tests.servers.discord.sessions import compact


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        web.post("/injection/events", inject_events),
        web.get("/injection/events", sent_events),
        web.post("/injection/frame", inject_frame),
        web.put("/injection/messages", set_odd_messages),
    ]


async def inject_events(request: web.Request) -> web.Response:
    """POST `events`, pairs of a name and its data, to send unchanged to every session."""
    data = await body_of(request, "events")
    sessions = [each for each in state_of(request).sessions.by_id.values() if each.transport]
    for name, payload in data["events"]:
        for session in sessions:
            session.push(name, compact(payload))
    return web.json_response({"sessions": len(sessions)})


async def sent_events(request: web.Request) -> web.Response:
    """GET the dispatches sent to the newest session, oldest first: name and data of each."""
    *_, session = state_of(request).sessions.by_id.values()
    frames = (json.loads(text) for _, text in session.log)
    return web.json_response([[frame["t"], frame["d"]] for frame in frames])


async def inject_frame(request: web.Request) -> web.Response:
    """POST a frame for every connection: `text`, compressed as usual, or the bytes of `base64`."""
    data = await body_of(request, "text", "base64")
    for conn in request.app[GATEWAY].connections:
        if "base64" in data:
            conn.send_raw(base64.b64decode(data["base64"]))
        else:
            conn.send(str(data["text"]))
    return web.json_response({})


async def set_odd_messages(request: web.Request) -> web.Response:
    """PUT `messages`: by id, what REST returns instead of the message; null for the real one."""
    odd = state_of(request).odd_messages
    for message_id, told in (await body_of(request, "messages"))["messages"].items():
        odd.pop(message_id, None)
        if told is not None:
            odd[message_id] = told
    return web.json_response({})
