"""Making and changing guilds, channels and users."""

from typing import Final

from aiohttp import web

from tests.servers.discord import actions, model, payloads, views
from tests.servers.discord.control_api.base import body_of, channel_of, desk_of, guild_of, user_of
from tests.servers.discord.desk import Desk
from tests.servers.discord.errors import Json
from tests.servers.discord.model import Channel, Guild, Overwrite
from tests.servers.discord.permissions import MANAGE_GUILD, bits
from tests.servers.discord.snowflake import at


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
    desk = desk_of(request)
    return web.json_response(
        {
            "bot": views.user(desk.world.bot),
            "guilds": [_guild(each) for each in desk.world.guilds.values()],
            "channels": [views.channel(desk, each) for each in desk.world.channels.values()],
            "users": [views.user(each) for each in desk.world.users.values()],
            "commands": [each for those in desk.commands.values() for each in those],
            "base_url": desk.base_url,
        }
    )


def _guild(guild: Guild) -> Json:
    return {"id": str(guild.id), "name": guild.name, "members": len(guild.members)}


async def add_guild(request: web.Request) -> web.Response:
    """POST a guild with `channels` text channels and `members` new members beside its owner.

    `roles` and `emojis` are numbers of further ones, as guilds that are lived in have them; with
    `lived_in` each channel has a last message, of yesterday and deleted since.
    """
    desk = desk_of(request)
    data = await body_of(request, *_GUILD)
    name = str(data["name"])
    first = next(user for user in desk.world.users.values() if not user.bot)
    owner = user_of(desk, data["owner"]) if data.get("owner") else first
    members = [desk.world.add_user(f"{name} {n}") for n in range(int(data.get("members", 0)))]
    guild = desk.world.add_guild(name, owner, members)
    for number in range(int(data.get("channels", 1))):
        channel = desk.world.add_channel(guild, f"{name}-{number}".lower().replace(" ", "-"))
        yesterday = at(desk.world.clock() - _DAY, number)
        channel.last_message_id = yesterday if data.get("lived_in") else None
    for number in range(int(data.get("roles", 0))):
        desk.world.add_role(guild, f"Role {number}")
    guild.emojis += [desk.world.ids.next() for _ in range(int(data.get("emojis", 0)))]
    shown = [guild.members[desk.world.bot.id]]
    desk.hub.dispatch("GUILD_CREATE", desk.payloads.guild_create(guild, shown), guild_id=guild.id)
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
    desk = desk_of(request)
    data = await body_of(request, *_CHANNEL)
    name = str(data["name"])
    if data.get("parent"):
        parent = channel_of(desk, data["parent"])
        start = desk.world.find_message(int(data["on"])) if data.get("on") else None
        channel = desk.world.add_thread(parent, name, desk.world.bot.id, start)
    else:
        guild = guild_of(desk, data.get("guild"))
        category = _category(desk, guild, data["category"]) if data.get("category") else None
        channel = desk.world.add_channel(guild, name)
        channel.category_id = category.id if category else None
    _permit(desk, channel, data)
    if data.get("private") and channel.guild_id is not None:
        seen = bits(["view_channel"])
        channel.overwrites.append(Overwrite(channel.guild_id, 0, deny=seen))
        channel.overwrites.append(Overwrite(desk.world.bot.id, 1, allow=seen))
    event = "THREAD_CREATE" if channel.parent_id else "CHANNEL_CREATE"
    actions.channel_event(desk, event, channel)
    return web.json_response(views.channel(desk, channel))


def _category(desk: Desk, guild: Guild, name: str) -> Channel:
    for channel in desk.world.channels.values():
        if (channel.kind, channel.guild_id, channel.name) == (model.CATEGORY, guild.id, name):
            return channel
    category = desk.world.add_category(guild, name)
    actions.channel_event(desk, "CHANNEL_CREATE", category)
    return category


async def add_role(request: web.Request) -> web.Response:
    """POST a role and who has it: name, guild, members; `manages` lets them manage the server."""
    desk = desk_of(request)
    data = await body_of(request, "name", "guild", "members", "manages")
    guild = guild_of(desk, data.get("guild"))
    role = desk.world.add_role(guild, str(data["name"]), MANAGE_GUILD if data.get("manages") else 0)
    body: Json = {"guild_id": str(guild.id), "role": payloads.role(role)}
    desk.hub.dispatch("GUILD_ROLE_CREATE", body, guild_id=guild.id)
    for each in data.get("members") or ():
        member = guild.members[user_of(desk, each).id]
        member.roles += (role.id,)
        body = payloads.full_member(desk.world, member) | {"guild_id": str(guild.id)}
        desk.hub.dispatch("GUILD_MEMBER_UPDATE", body, guild_id=guild.id)
    return web.json_response({"id": str(role.id), "name": role.name})


async def change_channel(request: web.Request) -> web.Response:
    """PATCH the bot's permissions in a channel, its name, or a thread's place in the archive."""
    desk = desk_of(request)
    data = await body_of(request, "name", "archived", "allow", "deny")
    channel = channel_of(desk, request.match_info["ref"])
    channel.name = data.get("name", channel.name)
    channel.archived = bool(data.get("archived", channel.archived))
    _permit(desk, channel, data)
    event = "THREAD_UPDATE" if channel.parent_id else "CHANNEL_UPDATE"
    actions.channel_event(desk, event, channel)
    return web.json_response(views.channel(desk, channel))


def _permit(desk: Desk, channel: Channel, data: Json) -> None:
    if "allow" not in data and "deny" not in data:
        return
    bot = desk.world.bot.id
    channel.overwrites = [each for each in channel.overwrites if each.id != bot]
    allow, deny = bits(data.get("allow") or []), bits(data.get("deny") or [])
    if allow or deny:
        channel.overwrites.append(Overwrite(bot, 1, allow, deny))


async def remove_channel(request: web.Request) -> web.Response:
    """DELETE a channel or thread with all that was said there."""
    desk = desk_of(request)
    channel = channel_of(desk, request.match_info["ref"])
    actions.channel_event(desk, "THREAD_DELETE" if channel.parent_id else "CHANNEL_DELETE", channel)
    desk.world.remove_channel(channel)
    return web.json_response({})


async def add_user(request: web.Request) -> web.Response:
    """POST a user, who joins the first guild or the one named; `bot` makes another bot."""
    desk = desk_of(request)
    data = await body_of(request, "name", "guild", "bot")
    guild = guild_of(desk, data.get("guild"))
    user = desk.world.add_user(str(data["name"]), bot=bool(data.get("bot")))
    member = payloads.full_member(desk.world, desk.world.join(guild, user))
    body = member | {"guild_id": str(guild.id)}
    desk.hub.dispatch("GUILD_MEMBER_ADD", body, guild_id=guild.id)
    return web.json_response(views.user(user))


async def change_user(request: web.Request) -> web.Response:
    """PATCH whether a user lets the bot write DMs."""
    data = await body_of(request, "dm_open")
    user = user_of(desk_of(request), request.match_info["ref"])
    user.dm_open = bool(data["dm_open"])
    return web.json_response(views.user(user))
