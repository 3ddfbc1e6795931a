"""Guilds, their members, users and DM channels."""

from aiohttp import web

from tests.servers.discord import errors, payloads
from tests.servers.discord.errors import ApiError
from tests.servers.discord.rest.base import answer, as_id, body_of, snowflake, state_of


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        web.get("/users/@me", me),
        web.get("/users/@me/guilds", my_guilds),
        web.post("/users/@me/channels", open_dm),
        web.get("/users/{user_id}", user),
        web.get("/guilds/{guild_id}", guild),
        web.get("/guilds/{guild_id}/channels", channels),
        web.get("/guilds/{guild_id}/roles", roles),
        web.get("/guilds/{guild_id}/members/{user_id}", member),
    ]


async def me(request: web.Request) -> web.Response:
    """GET the bot's own user."""
    bot = state_of(request).world.bot
    return answer(payloads.user(bot) | {"mfa_enabled": True, "verified": True, "email": None})


async def user(request: web.Request) -> web.Response:
    """GET any user."""
    return answer(payloads.user(state_of(request).world.user(snowflake(request, "user_id"))))


async def my_guilds(request: web.Request) -> web.Response:
    """GET a short form of the guilds that the bot is in; up to 200, without paging."""
    guilds = state_of(request).world.guilds.values()
    return answer([{"id": str(g.id), "name": g.name, "owner": False} for g in guilds])


async def open_dm(request: web.Request) -> web.Response:
    """POST: open the DM channel with a user, even if sending will be refused."""
    state = state_of(request)
    data = await body_of(request, frozenset({"recipient_id"}), "a DM channel")
    who = state.world.user(as_id("recipient_id", data.get("recipient_id")))
    if who is state.world.bot:
        raise ApiError(*errors.CLOSED_DM)
    return answer(state.payloads.channel(state.world.dm(who)[0]))


async def guild(request: web.Request) -> web.Response:
    """GET a guild."""
    state = state_of(request)
    return answer(state.payloads.guild(state.world.guild(snowflake(request, "guild_id"))))


async def channels(request: web.Request) -> web.Response:
    """GET a guild's channels, without threads."""
    state = state_of(request)
    found = state.world.guild(snowflake(request, "guild_id"))
    return answer([state.payloads.channel(state.world.channels[each]) for each in found.channels])


async def roles(request: web.Request) -> web.Response:
    """GET a guild's roles."""
    state = state_of(request)
    found = state.world.guild(snowflake(request, "guild_id"))
    return answer(state.payloads.guild(found)["roles"])


async def member(request: web.Request) -> web.Response:
    """GET a member."""
    state = state_of(request)
    found = state.world.guild(snowflake(request, "guild_id"))
    user_id = snowflake(request, "user_id")
    if user_id not in found.members:
        raise ApiError(*errors.UNKNOWN_MEMBER)
    return answer(payloads.full_member(state.world, found.members[user_id]))
