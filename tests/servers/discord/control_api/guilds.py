"""Making and changing guilds, channels and users."""

from typing import Final

from aiohttp import web

from tests.servers.discord import actions, model, payloads, views
from tests.servers.discord.control_api.base import body_of, channel_of, guild_of, state_of, user_of
from tests.servers.discord.errors import Json
from tests.servers.discord.model import Channel, Guild, Overwrite
from tests.servers.discord.permissions import MANAGE_GUILD, bits
from tests.servers.discord.snowflake import at
from tests.servers.discord.state import ServerState


def routes() -> list[web.RouteDef]:
    """The routes of these nouns."""
    return [
        web.get("/world", world),
        web.post("/guilds", add_guild),
        web.post("/channels", add_channel),
        web.patch("/channels/{ref}", change_channel),
        web.delete("/channels/{ref}", remove_channel),
        web.post("/roles", add_role),
        web.post("/users", add_user),
        web.patch("/users/{ref}", change_user),
    ]


async def world(request: web.Request) -> web.Response:
    """GET who and what there is."""
    state = state_of(request)
    return web.json_response(
        {
            "bot": views.user(state.world.bot),
            "guilds": [_guild(each) for each in state.world.guilds.values()],
            "channels": [views.channel(state, each) for each in state.world.channels.values()],
            "users": [views.user(each) for each in state.world.users.values()],
            "commands": [each for those in state.commands.values() for each in those],
            "base_url": state.base_url,
        }
    )


def _guild(guild: Guild) -> Json:
    return {"id": str(guild.id), "name": guild.name, "members": len(guild.members)}


async def add_guild(request: web.Request) -> web.Response:
    """POST a guild with `channels` text channels and `members` new members beside its owner.

    `roles` and `emojis` are numbers of further ones, as guilds that are lived in have them; with
    `lived_in` each channel has a last message, of yesterday and deleted since.
    """
    state = state_of(request)
    data = await body_of(request, *_GUILD)
    name = str(data["name"])
    first = next(user for user in state.world.users.values() if not user.bot)
    owner = user_of(state, data["owner"]) if data.get("owner") else first
    members = [state.world.add_user(f"{name} {n}") for n in range(int(data.get("members", 0)))]
    guild = state.world.add_guild(name, owner, members)
    for number in range(int(data.get("channels", 1))):
        channel = state.world.add_channel(guild, f"{name}-{number}".lower().replace(" ", "-"))
        yesterday = at(state.world.clock() - _DAY, number)
        channel.last_message_id = yesterday if data.get("lived_in") else None
    for number in range(int(data.get("roles", 0))):
        state.world.add_role(guild, f"Role {number}")
    guild.emojis += [state.world.ids.next() for _ in range(int(data.get("emojis", 0)))]
    shown = [guild.members[state.world.bot.id]]
    state.sessions.dispatch(
        "GUILD_CREATE", state.payloads.guild_create(guild, shown), guild_id=guild.id
    )
    return web.json_response(_guild(guild))


_DAY: Final = 86_400.0
_GUILD: Final = ("name", "owner", "channels", "members", "roles", "emojis", "lived_in")


_CHANNEL: Final = (
    "name",
    "guild",
    "parent",
    "on",
    "category",
    "allow",
    "deny",
    "private",
)


async def add_channel(request: web.Request) -> web.Response:
    """POST a text channel, or a thread below `parent`; `deny` and `allow` are for the bot.

    `category` is one to put it into, which is made if it is not there. A thread may hang `on` a
    message. Of people only the server's owner sees a `private` one.
    """
    state = state_of(request)
    data = await body_of(request, *_CHANNEL)
    name = str(data["name"])
    if data.get("parent"):
        parent = channel_of(state, data["parent"])
        start = state.world.find_message(int(data["on"])) if data.get("on") else None
        channel = state.world.add_thread(parent, name, state.world.bot.id, start)
    else:
        guild = guild_of(state, data.get("guild"))
        category = _category(state, guild, data["category"]) if data.get("category") else None
        channel = state.world.add_channel(guild, name)
        channel.category_id = category.id if category else None
    _permit(state, channel, data)
    if data.get("private") and channel.guild_id is not None:
        seen = bits(["view_channel"])
        channel.overwrites.append(Overwrite(channel.guild_id, 0, deny=seen))
        channel.overwrites.append(Overwrite(state.world.bot.id, 1, allow=seen))
    event = "THREAD_CREATE" if channel.parent_id else "CHANNEL_CREATE"
    actions.channel_event(state, event, channel)
    return web.json_response(views.channel(state, channel))


def _category(state: ServerState, guild: Guild, name: str) -> Channel:
    for channel in state.world.channels.values():
        if (channel.kind, channel.guild_id, channel.name) == (model.CATEGORY, guild.id, name):
            return channel
    category = state.world.add_category(guild, name)
    actions.channel_event(state, "CHANNEL_CREATE", category)
    return category


async def add_role(request: web.Request) -> web.Response:
    """POST a role and who has it: name, guild, members; `manages` lets them manage the server."""
    state = state_of(request)
    data = await body_of(request, "name", "guild", "members", "manages")
    guild = guild_of(state, data.get("guild"))
    role = state.world.add_role(
        guild, str(data["name"]), MANAGE_GUILD if data.get("manages") else 0
    )
    body: Json = {"guild_id": str(guild.id), "role": payloads.role(role)}
    state.sessions.dispatch("GUILD_ROLE_CREATE", body, guild_id=guild.id)
    for each in data.get("members") or ():
        member = guild.members[user_of(state, each).id]
        member.roles += (role.id,)
        body = payloads.full_member(state.world, member) | {"guild_id": str(guild.id)}
        state.sessions.dispatch("GUILD_MEMBER_UPDATE", body, guild_id=guild.id)
    return web.json_response({"id": str(role.id), "name": role.name})


async def change_channel(request: web.Request) -> web.Response:
    """PATCH the bot's permissions in a channel, its name, or a thread's place in the archive."""
    state = state_of(request)
    data = await body_of(request, "name", "archived", "allow", "deny")
    channel = channel_of(state, request.match_info["ref"])
    channel.name = data.get("name", channel.name)
    channel.archived = bool(data.get("archived", channel.archived))
    _permit(state, channel, data)
    event = "THREAD_UPDATE" if channel.parent_id else "CHANNEL_UPDATE"
    actions.channel_event(state, event, channel)
    return web.json_response(views.channel(state, channel))


def _permit(state: ServerState, channel: Channel, data: Json) -> None:
    if "allow" not in data and "deny" not in data:
        return
    bot = state.world.bot.id
    channel.overwrites = [each for each in channel.overwrites if each.id != bot]
    allow, deny = bits(data.get("allow") or []), bits(data.get("deny") or [])
    if allow or deny:
        channel.overwrites.append(Overwrite(bot, 1, allow, deny))


async def remove_channel(request: web.Request) -> web.Response:
    """DELETE a channel or thread with all that was said there."""
    state = state_of(request)
    channel = channel_of(state, request.match_info["ref"])
    actions.channel_event(
        state, "THREAD_DELETE" if channel.parent_id else "CHANNEL_DELETE", channel
    )
    state.world.remove_channel(channel)
    return web.json_response({})


async def add_user(request: web.Request) -> web.Response:
    """POST a user, who joins the first guild or the one named; `bot` makes another bot."""
    state = state_of(request)
    data = await body_of(request, "name", "guild", "bot")
    guild = guild_of(state, data.get("guild"))
    user = state.world.add_user(str(data["name"]), bot=bool(data.get("bot")))
    member = payloads.full_member(state.world, state.world.join(guild, user))
    body = member | {"guild_id": str(guild.id)}
    state.sessions.dispatch("GUILD_MEMBER_ADD", body, guild_id=guild.id)
    return web.json_response(views.user(user))


async def change_user(request: web.Request) -> web.Response:
    """PATCH whether a user lets the bot write DMs."""
    data = await body_of(request, "dm_open")
    user = user_of(state_of(request), request.match_info["ref"])
    user.dm_open = bool(data["dm_open"])
    return web.json_response(views.user(user))
