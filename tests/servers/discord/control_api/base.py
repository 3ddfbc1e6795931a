"""What the control routes share: the desk, names for things, and sentences for mistakes."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from tests.servers.discord.desk import Desk
from tests.servers.discord.errors import ApiError, Json
from tests.servers.discord.faults import Fault
from tests.servers.discord.gateway import Gateway
from tests.servers.discord.model import Channel, Guild, User
from tests.servers.discord.rest.base import DESK

GATEWAY: Final = web.AppKey("gateway", Gateway)
REFUSE: Final = web.AppKey[Callable[[Fault], Awaitable[None]]]("refuse")
DM: Final = "dm"


def desk_of(request: web.Request) -> Desk:
    """The desk behind a request."""
    return request.app[DESK]


@web.middleware
async def sentences(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """A caller's mistake becomes a JSON error with a sentence."""
    try:
        return await handler(request)
    except ApiError as refusal:
        return web.json_response({"error": refusal.message}, status=refusal.status)
    except (ValueError, TypeError, KeyError) as wrong:
        return web.json_response({"error": f"{type(wrong).__name__}: {wrong}"}, status=400)


async def body_of(request: web.Request, *known: str) -> Json:
    """The request's JSON object, with no field but the known ones."""
    data = json.loads(await request.read() or b"{}")
    if not isinstance(data, dict) or set(data) - set(known):
        msg = f"expected an object with some of {', '.join(known)}, not {data!r}"
        raise ValueError(msg)
    return data


def user_of(desk: Desk, ref: Any) -> User:
    """A user by name (any case) or id."""
    if str(ref).isdecimal() and int(ref) in desk.world.users:
        return desk.world.users[int(ref)]
    for user in desk.world.users.values():
        if user.name.casefold() == str(ref).casefold():
            return user
    msg = f"there is no user {ref!r}; there are {', '.join(_names(desk))}"
    raise ValueError(msg)


def _names(desk: Desk) -> list[str]:
    return [user.name for user in list(desk.world.users.values())[:25]]


def guild_of(desk: Desk, ref: Any | None) -> Guild:
    """A guild by name or id; the first one without."""
    for guild in desk.world.guilds.values():
        if ref is None or ref in (guild.name, str(guild.id), guild.id):
            return guild
    msg = f"there is no guild {ref!r}"
    raise ValueError(msg)


def channel_of(desk: Desk, ref: Any, author: User | None = None) -> Channel:
    """A channel or thread by id or name; `dm` is the author's DM with the bot, `@name` anyone's."""
    ref = str(ref).removeprefix("#")
    if ref == DM and author is not None:
        return desk.world.dm(author)[0]
    if ref.startswith("@"):
        return desk.world.dm(user_of(desk, ref[1:]))[0]
    if ref.isdecimal() and int(ref) in desk.world.channels:
        return desk.world.channels[int(ref)]
    for channel in desk.world.channels.values():
        if channel.name and channel.name == ref:
            return channel
    msg = f"there is no channel {ref!r}"
    raise ValueError(msg)
