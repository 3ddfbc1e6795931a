"""What the routes share: reading a request, and Discord's response format."""

import json
from typing import Any, Final

from aiohttp import web

from tests.servers.discord import errors
from tests.servers.discord.errors import ApiError, Json, invalid_form
from tests.servers.discord.model import Channel, Message
from tests.servers.discord.state import ServerState

STATE: Final = web.AppKey("state", ServerState)
PREFIX: Final = "/api/v10"


def state_of(request: web.Request) -> ServerState:
    """Return the state behind a request."""
    return request.app[STATE]


def answer(data: Any = None, status: int = 200) -> web.Response:
    """Return JSON with the content type that clients compare literally; 204 without data."""
    if data is None:
        return web.Response(status=204)
    text = json.dumps(data, separators=(",", ":")).encode()
    return web.Response(body=text, status=status, content_type="application/json")


def snowflake(request: web.Request, name: str) -> int:
    """Return an id from the path; 50035 if it is not an id."""
    return as_id(name, request.match_info[name])


def as_id(field: str, value: Any) -> int:
    """Return an id from a request; 50035 if it is not an id."""
    try:
        return int(value)
    except (TypeError, ValueError):
        message = f'Value "{value}" is not snowflake.'
        raise invalid_form(field, "NUMBER_TYPE_COERCE", message) from None


def channel_of(request: web.Request, *permissions: str) -> Channel:
    """Return the path's channel; 50001 if the bot may not see it, 50013 without PERMISSIONS."""
    state = state_of(request)
    channel = state.world.channel(snowflake(request, "channel_id"))
    if not state.world.may(channel, "view_channel"):
        raise ApiError(*errors.MISSING_ACCESS)
    for each in permissions:
        if not state.world.may(channel, each):
            raise ApiError(*errors.MISSING_PERMISSIONS)
    return channel


def message_of(request: web.Request, *permissions: str) -> Message:
    """Return the path's message in the path's channel; hidden ones are not found."""
    channel = channel_of(request, *permissions)
    message = state_of(request).world.message(channel.id, snowflake(request, "message_id"))
    if message.hidden:
        raise ApiError(*errors.UNKNOWN_MESSAGE)
    return message


async def body_of(request: web.Request, known: frozenset[str], what: str) -> Json:
    """Return the JSON object of a request; refuse and count unknown fields."""
    try:
        data = json.loads(await request.read() or b"{}")
    except ValueError:
        raise ApiError(*errors.BAD_JSON) from None
    if not isinstance(data, dict):
        raise ApiError(*errors.BAD_JSON)
    check_fields(state_of(request), data, known, what)
    return data


def check_fields(state: ServerState, data: Json, known: frozenset[str], what: str) -> None:
    """Refuse fields that this server does not support with 50035, and count them."""
    for name in data:
        if name not in known:
            state.counts.not_known(f"field {name} of {what}")
            raise invalid_form(
                name, "SKY_UNKNOWN_FIELD", "This test server does not support the field."
            )
