"""Create and change guilds, channels and users."""

from dataclasses import replace
from typing import Final

from aiohttp import web

from tests.servers.discord import actions, model, payloads, views
from tests.servers.discord.control_api.base import (
    body_of,
    channel_of,
    guild_of,
    role_of,
    state_of,
    user_of,
)
from tests.servers.discord.control_api.messages import draft
from tests.servers.discord.errors import Json
from tests.servers.discord.model import Channel, Guild, Member, Overwrite
from tests.servers.discord.permissions import MANAGE_GUILD, bits
from tests.servers.discord.snowflake import at
from tests.servers.discord.state import ServerState


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        web.get("/world", world),
        web.post("/guilds", add_guild),
        web.post("/channels", add_channel),
        web.patch("/channels/{ref}", change_channel),
        web.delete("/channels/{ref}", remove_channel),
        web.post("/roles", add_role),
        web.post("/users", add_user),
        web.patch("/users/{ref}", change_user),
        web.patch("/members/{ref}", change_member),
        web.post("/webhooks", add_webhook),
    ]


async def world(request: web.Request) -> web.Response:
    """GET guilds, channels, users and commands."""
    state = state_of(request)
    return web.json_response(
        {
            "bot": views.user(state.world.bot),
            "guilds": [views.guild(each) for each in state.world.guilds.values()],
            "channels": [views.channel(state, each) for each in state.world.channels.values()],
            "users": [views.user(each) for each in state.world.users.values()],
            "commands": [each for those in state.commands.values() for each in those],
            "base_url": state.base_url,
        }
    )


async def add_guild(request: web.Request) -> web.Response:
    """POST a guild with `channels` text channels and `members` new members besides its owner.

    Without new members, every existing user is a member.

    `roles` and `emojis` are the numbers of additional ones, as guilds in real use have them; with
    `lived_in` each channel has a last message, written yesterday and deleted since.
    """
    state = state_of(request)
    data = await body_of(request, *_GUILD)
    name = str(data["name"])
    first = next(user for user in state.world.users.values() if not user.bot)
    owner = user_of(state, data["owner"]) if data.get("owner") else first
    people = [user for user in state.world.users.values() if not user.bot and user is not owner]
    new = int(data.get("members", 0))
    members = [state.world.add_user(f"{name} {n}") for n in range(new)] if new else people
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
    return web.json_response(views.guild(guild))


_DAY: Final = 86_400.0
_GUILD: Final = ("name", "owner", "channels", "members", "roles", "emojis", "lived_in")


_CHANNEL: Final = (
    *("name", "guild", "kind", "parent", "on", "category", "allow", "deny", "overwrites"),
    *("private", "members", "author", "post", "slowmode", "topic"),
)


async def add_channel(request: web.Request) -> web.Response:
    """POST a channel, or a thread below `parent`; `deny` and `allow` are for the bot.

    `kind` is text, voice, announcement, stage or forum. `overwrites` are [{role or user, allow,
    deny}]. `category` is created if it does not exist. A thread may be started `on` a
    message; a forum's has a `post` by `author`: a message's fields. Apart from the bot, only the
    server's owner sees a `private` channel, and only `members` a private thread.
    """
    state = state_of(request)
    data = await body_of(request, *_CHANNEL)
    name = str(data["name"])
    if data.get("parent"):
        channel = _thread(state, data, name)
    else:
        guild = guild_of(state, data.get("guild"))
        category = _category(state, guild, data["category"]) if data.get("category") else None
        kind = model.CHANNEL_KINDS[data.get("kind", "text")]
        channel = state.world.add_channel(guild, name, kind=kind)
        channel.category_id = category.id if category else None
        channel.topic = data.get("topic")
        if data.get("private"):
            seen = bits(["view_channel"])
            channel.overwrites.append(Overwrite(guild.id, 0, deny=seen))
            channel.overwrites.append(Overwrite(state.world.bot.id, 1, allow=seen))
        _change(state, channel, data)
        actions.channel_event(state, "CHANNEL_CREATE", channel)
    return web.json_response(views.channel(state, channel))


def _thread(state: ServerState, data: Json, name: str) -> Channel:
    parent = channel_of(state, data["parent"])
    author = user_of(state, data["author"]) if data.get("author") else state.world.bot
    if (parent.kind == model.FORUM) != bool(data.get("post")):
        msg = "a forum's thread has a post, and no other thread does"
        raise ValueError(msg)
    start = state.world.find_message(int(data["on"])) if data.get("on") else None
    private = bool(data.get("private"))
    thread = actions.start_thread(state, parent, name, author, start, private=private)
    thread.members |= {user_of(state, each).id for each in data.get("members") or ()}
    thread.members.add(state.world.bot.id)
    _change(state, thread, data)
    if private:
        actions.channel_event(state, "THREAD_CREATE", thread)  # the bot was added to it
    if data.get("post"):
        post = replace(draft(state, data["post"], author, thread), message_id=thread.id)
        actions.post(state, post)
    return thread


def _category(state: ServerState, guild: Guild, name: str) -> Channel:
    for channel in state.world.channels.values():
        if (channel.kind, channel.guild_id, channel.name) == (model.CATEGORY, guild.id, name):
            return channel
    category = state.world.add_category(guild, name)
    actions.channel_event(state, "CHANNEL_CREATE", category)
    return category


async def add_role(request: web.Request) -> web.Response:
    """POST a role and its members: name, guild, members, mentionable.

    `manages` lets its members manage the server; `allow` lists other permissions.
    """
    state = state_of(request)
    data = await body_of(request, "name", "guild", "members", "manages", "mentionable", "allow")
    guild = guild_of(state, data.get("guild"))
    permissions = MANAGE_GUILD if data.get("manages") else 0
    role = state.world.add_role(guild, str(data["name"]), permissions | bits(data.get("allow", [])))
    role.mentionable = bool(data.get("mentionable"))
    body: Json = {"guild_id": str(guild.id), "role": payloads.role(role)}
    state.sessions.dispatch("GUILD_ROLE_CREATE", body, guild_id=guild.id)
    for each in data.get("members") or ():
        member = guild.members[user_of(state, each).id]
        member.roles += (role.id,)
        _tell_of_member(state, guild, member)
    return web.json_response({"id": str(role.id), "name": role.name})


def _tell_of_member(state: ServerState, guild: Guild, member: Member) -> None:
    body = payloads.full_member(state.world, member) | {"guild_id": str(guild.id)}
    state.sessions.dispatch("GUILD_MEMBER_UPDATE", body, guild_id=guild.id)


async def change_member(request: web.Request) -> web.Response:
    """PATCH a member's `nick` (null: none), their `timeout` in seconds, or their `roles`."""
    state = state_of(request)
    data = await body_of(request, "guild", "nick", "timeout", "roles")
    guild = guild_of(state, data.get("guild"))
    member = guild.members[user_of(state, request.match_info["ref"]).id]
    if "nick" in data:
        member.nick = data["nick"]
    if "timeout" in data:
        seconds = data["timeout"]
        member.timeout_until = state.world.clock() + float(seconds) if seconds else None
    if "roles" in data:
        member.roles = tuple(role_of(guild, each).id for each in data["roles"])
    _tell_of_member(state, guild, member)
    return web.json_response(payloads.full_member(state.world, member))


async def add_webhook(request: web.Request) -> web.Response:
    """POST a webhook: `name`. It can then be the `author` of messages.

    With a `channel` it gets a URL that posts there; `path` is that URL's path.
    """
    state = state_of(request)
    data = await body_of(request, "name", "channel")
    webhook = state.world.add_webhook(str(data["name"]))
    shown = views.user(webhook)
    if data.get("channel"):
        channel = channel_of(state, str(data["channel"]))
        shown["path"] = state.world.open_webhook(webhook, channel).path
    return web.json_response(shown)


async def change_channel(request: web.Request) -> web.Response:
    """PATCH a channel's name, permissions or slow mode; archive or lock a thread."""
    state = state_of(request)
    data = await body_of(request, *_CHANGES)
    channel = channel_of(state, request.match_info["ref"])
    _change(state, channel, data)
    event = "THREAD_UPDATE" if channel.parent_id else "CHANNEL_UPDATE"
    actions.channel_event(state, event, channel)
    return web.json_response(views.channel(state, channel))


_CHANGES: Final = (
    *("name", "archived", "locked", "allow", "deny", "overwrites", "slowmode", "topic"),
)


def _change(state: ServerState, channel: Channel, data: Json) -> None:
    channel.name = data.get("name", channel.name)
    channel.topic = data.get("topic", channel.topic)
    channel.archived = bool(data.get("archived", channel.archived))
    channel.locked = bool(data.get("locked", channel.locked))
    channel.slowmode = int(data.get("slowmode", channel.slowmode))
    rules = list(data.get("overwrites") or ())
    if "allow" in data or "deny" in data:
        rules.append({"user": state.world.bot.id} | {k: data.get(k) for k in ("allow", "deny")})
    for rule in rules:
        _overwrite(state, channel, rule)


def _overwrite(state: ServerState, channel: Channel, rule: Json) -> None:
    """Replace a channel's overwrite for a role or a user; empty permissions remove it."""
    if rule.get("role") and channel.guild_id:
        target, kind = role_of(state.world.guilds[channel.guild_id], rule["role"]).id, 0
    else:
        target, kind = user_of(state, rule["user"]).id, 1
    allow, deny = bits(rule.get("allow") or []), bits(rule.get("deny") or [])
    channel.overwrites = [each for each in channel.overwrites if each.id != target]
    if allow or deny:
        channel.overwrites.append(Overwrite(target, kind, allow, deny))


async def remove_channel(request: web.Request) -> web.Response:
    """DELETE a channel or thread with all its messages."""
    state = state_of(request)
    channel = channel_of(state, request.match_info["ref"])
    actions.channel_event(
        state, "THREAD_DELETE" if channel.parent_id else "CHANNEL_DELETE", channel
    )
    state.world.remove_channel(channel)
    return web.json_response({})


async def add_user(request: web.Request) -> web.Response:
    """POST a user, who joins the first guild or the given one; `bot` makes it another bot."""
    state = state_of(request)
    data = await body_of(request, "name", "guild", "bot")
    guild = guild_of(state, data.get("guild"))
    user = state.world.add_user(str(data["name"]), bot=bool(data.get("bot")))
    member = payloads.full_member(state.world, state.world.join(guild, user))
    body = member | {"guild_id": str(guild.id)}
    state.sessions.dispatch("GUILD_MEMBER_ADD", body, guild_id=guild.id)
    return web.json_response(views.user(user))


async def change_user(request: web.Request) -> web.Response:
    """PATCH whether a user accepts DMs from the bot."""
    data = await body_of(request, "dm_open")
    user = user_of(state_of(request), request.match_info["ref"])
    user.dm_open = bool(data["dm_open"])
    return web.json_response(views.user(user))
