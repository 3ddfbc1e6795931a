"""What the control routes share: the state, look-ups by name, and error messages."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from tests.servers.discord.errors import ApiError, Json
from tests.servers.discord.faults import Fault
from tests.servers.discord.gateway import Gateway
from tests.servers.discord.model import Channel, Guild, Role, User
from tests.servers.discord.rest.base import STATE
from tests.servers.discord.state import ServerState

GATEWAY: Final = web.AppKey("gateway", Gateway)
REFUSE: Final = web.AppKey[Callable[[Fault], Awaitable[None]]]("refuse")
RESET: Final = web.AppKey[Callable[[], Awaitable[None]]]("reset")
DM: Final = "dm"


def state_of(request: web.Request) -> ServerState:
    """Return the state behind a request."""
    return request.app[STATE]


@web.middleware
async def sentences(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn a caller's mistake into a JSON error with a message."""
    try:
        return await handler(request)
    except ApiError as refusal:
        return web.json_response({"error": refusal.message}, status=refusal.status)
    except (ValueError, TypeError, KeyError) as wrong:
        return web.json_response({"error": f"{type(wrong).__name__}: {wrong}"}, status=400)


async def body_of(request: web.Request, *known: str) -> Json:
    """Return the request's JSON object; refuse unknown fields."""
    data = json.loads(await request.read() or b"{}")
    if not isinstance(data, dict) or set(data) - set(known):
        msg = f"expected an object with some of {', '.join(known)}, not {data!r}"
        raise ValueError(msg)
    return data


def user_of(state: ServerState, ref: Any) -> User:
    """Return a user by name (any case) or id."""
    if str(ref).isdecimal() and int(ref) in state.world.users:
        return state.world.users[int(ref)]
    for user in state.world.users.values():
        if user.name.casefold() == str(ref).casefold():
            return user
    msg = f"unknown user {ref!r}; known: {', '.join(_names(state))}"
    raise ValueError(msg)


def _names(state: ServerState) -> list[str]:
    return [user.name for user in list(state.world.users.values())[:25]]


def guild_of(state: ServerState, ref: Any | None) -> Guild:
    """Return a guild by name or id; without one, the first."""
    for guild in state.world.guilds.values():
        if ref is None or ref in (guild.name, str(guild.id), guild.id):
            return guild
    msg = f"there is no guild {ref!r}"
    raise ValueError(msg)


def role_of(guild: Guild, ref: Any) -> Role:
    """Return a role by name or id, `@everyone` included."""
    for role in guild.roles.values():
        if str(ref) in (role.name, str(role.id)):
            return role
    msg = f"unknown role {ref!r}; known: {[each.name for each in guild.roles.values()]}"
    raise ValueError(msg)


def channel_of(state: ServerState, ref: Any, author: User | None = None) -> Channel:
    """Return a channel or thread by id or name; `dm` is the author's DM, `@name` that user's."""
    ref = str(ref).removeprefix("#")
    if ref == DM and author is not None:
        return state.world.dm(author)[0]
    if ref.startswith("@"):
        return state.world.dm(user_of(state, ref[1:]))[0]
    if ref.isdecimal() and int(ref) in state.world.channels:
        return state.world.channels[int(ref)]
    for channel in state.world.channels.values():
        if channel.name and channel.name == ref:
            return channel
    msg = f"there is no channel {ref!r}"
    raise ValueError(msg)
