"""What the routes share: reading a request, and Discord's form of an answer."""

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
    """The state behind a request."""
    return request.app[STATE]


def answer(data: Any = None, status: int = 200) -> web.Response:
    """JSON with the content type that clients compare literally; 204 without data."""
    if data is None:
        return web.Response(status=204)
    text = json.dumps(data, separators=(",", ":")).encode()
    return web.Response(body=text, status=status, content_type="application/json")


def snowflake(request: web.Request, name: str) -> int:
    """An id from the path; 50035 when it is none."""
    return as_id(name, request.match_info[name])


def as_id(field: str, value: Any) -> int:
    """An id from outside."""
    try:
        return int(value)
    except (TypeError, ValueError):
        message = f'Value "{value}" is not snowflake.'
        raise invalid_form(field, "NUMBER_TYPE_COERCE", message) from None


def channel_of(request: web.Request, *permissions: str) -> Channel:
    """The path's channel, if the bot may see it (50001) and has these permissions (50013)."""
    state = state_of(request)
    channel = state.world.channel(snowflake(request, "channel_id"))
    if not state.world.may(channel, "view_channel"):
        raise ApiError(*errors.MISSING_ACCESS)
    for each in permissions:
        if not state.world.may(channel, each):
            raise ApiError(*errors.MISSING_PERMISSIONS)
    return channel


def message_of(request: web.Request, *permissions: str) -> Message:
    """The path's message in the path's channel; hidden ones are not found this way."""
    channel = channel_of(request, *permissions)
    message = state_of(request).world.message(channel.id, snowflake(request, "message_id"))
    if message.hidden:
        raise ApiError(*errors.UNKNOWN_MESSAGE)
    return message


async def body_of(request: web.Request, known: frozenset[str], what: str) -> Json:
    """The JSON object of a request; fields that this server does not know are refused, loudly."""
    try:
        data = json.loads(await request.read() or b"{}")
    except ValueError:
        raise ApiError(*errors.BAD_JSON) from None
    if not isinstance(data, dict):
        raise ApiError(*errors.BAD_JSON)
    check_fields(state_of(request), data, known, what)
    return data


def check_fields(state: ServerState, data: Json, known: frozenset[str], what: str) -> None:
    """50035, and a count, for fields that this server does not know."""
    for name in data:
        if name not in known:
            state.counts.not_known(f"field {name} of {what}")
            raise invalid_form(
                name, "SKY_UNKNOWN_FIELD", "This test server does not know the field."
            )
