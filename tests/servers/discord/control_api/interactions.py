"""Invoke slash commands and press buttons as a user."""

import asyncio
from typing import Any, Final

from aiohttp import web

from tests.servers.discord import payloads
from tests.servers.discord.control_api import command_checks
from tests.servers.discord.control_api.base import body_of, channel_of, state_of, user_of
from tests.servers.discord.errors import Json
from tests.servers.discord.interaction_store import TYPES, Interaction
from tests.servers.discord.model import Channel, Message, User
from tests.servers.discord.permissions import EVERYTHING
from tests.servers.discord.state import ServerState

BUTTON: Final = 2


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        web.post("/interactions", invoke),
        web.get("/interactions/{id}", one),
    ]


async def one(request: web.Request) -> web.Response:
    """GET the state of an interaction."""
    return web.json_response(
        state_of(request).interactions.get(int(request.match_info["id"])).report()
    )


async def invoke(request: web.Request) -> web.Response:
    """POST an interaction: type command, component, autocomplete or modal.

    command, autocomplete: name (with its subcommand), options {name: value}, target (a message's or
    user's id for context menus), focused (the option being typed). component: message, custom_id,
    values. modal: custom_id, fields {custom_id: value}. data: sent unchanged instead of these.
    omit: fields that Discord calls optional, to be left out of the event.
    """
    state = state_of(request)
    data = await body_of(request, *_FIELDS)
    user = user_of(state, data["author"])
    kind = TYPES[data["type"]]
    message = state.world.find_message(int(data["message"])) if data.get("message") else None
    place = message.channel_id if message else channel_of(state, data["channel"], user).id
    inner = data.get("data") or _data(state, data, message, user, state.world.channels[place])
    interaction = Interaction(state.world.ids.next(), kind, user.id, place, inner, state.clock())
    interaction.message_id = message.id if message else None
    state.interactions.add(interaction)
    state.counts.interactions += 1
    body = _payload(state, interaction, user, message)
    for each in data.get("omit") or ():
        del body[each]
    guild_id = state.world.channels[place].guild_id
    state.sessions.dispatch("INTERACTION_CREATE", body, guild_id=guild_id)
    loop = asyncio.get_running_loop()
    loop.call_later(state.settings.ack_seconds, _expire, state, interaction)
    return web.json_response(interaction.report())


_FIELDS: Final = (
    *("type", "author", "channel", "name", "options", "target", "focused", "message"),
    *("custom_id", "values", "fields", "data", "omit"),
)


def _expire(state: ServerState, interaction: Interaction) -> None:
    """Fail the interaction, as in Discord's "The application did not respond"."""
    if interaction.response is None:
        interaction.failed = True
        state.counts.interactions_failed += 1
        state.events.put("interaction", interaction.report())


def _data(
    state: ServerState, asked: Json, message: Message | None, user: User, channel: Channel
) -> Json:
    if asked["type"] == "component" and message is not None:
        component = _component(message, asked["custom_id"])
        data: Json = {"custom_id": asked["custom_id"], "component_type": component["type"], "id": 1}
        return data | ({"values": asked["values"]} if "values" in asked else {})
    if asked["type"] == "modal":
        return {"custom_id": asked["custom_id"], "components": _rows(asked.get("fields") or {})}
    name, _, subcommand = str(asked["name"]).partition(" ")
    command = command_checks.find(state, asked["name"] if asked.get("target") else name)
    command_checks.check_place(state, command, user, channel)
    data = {"id": command["id"], "name": command["name"], "type": command["type"]}
    if not asked.get("target"):
        given = asked.get("options") or {}
        data["options"] = command_checks.options(command, subcommand, given, asked.get("focused"))
        for option in data["options"]:
            if option["type"] == command_checks.CHANNEL:
                chosen = channel_of(state, option["value"], user)
                told = command_checks.channel(state, command, option, chosen, user)
                option["value"] = told["id"]
                data.setdefault("resolved", {}).setdefault("channels", {})[told["id"]] = told
    if "guild_id" in command:
        data["guild_id"] = command["guild_id"]
    if asked.get("target"):
        data |= _target(state, str(asked["target"]))
    return data


def _component(message: Message, custom_id: str) -> Json:
    waiting: list[Any] = list(message.components)
    while waiting:
        each = waiting.pop()
        if each.get("custom_id") == custom_id:
            if each.get("disabled"):
                msg = f"the component {custom_id!r} is disabled"
                raise ValueError(msg)
            return dict(each)
        waiting += [*each.get("components", ()), *filter(None, [each.get("accessory")])]
    msg = f"message {message.id} has no component {custom_id!r}"
    raise ValueError(msg)


def _rows(fields: Json) -> list[Json]:
    return [
        {"type": 1, "components": [{"type": 4, "custom_id": name, "value": value}]}
        for name, value in fields.items()
    ]


def _target(state: ServerState, target: str) -> Json:
    if int(target) in state.world.users:
        user = state.world.users[int(target)]
        return {"target_id": target, "resolved": {"users": {target: payloads.user(user)}}}
    message = state.payloads.message(state.world.find_message(int(target)))
    return {"target_id": target, "resolved": {"messages": {target: message}}}


def _payload(
    state: ServerState, interaction: Interaction, user: User, message: Message | None
) -> Json:
    world = state.world
    channel = world.channels[interaction.channel_id]
    body: Json = {
        "id": str(interaction.id),
        "application_id": str(world.bot.id),
        "type": interaction.kind,
        "token": interaction.token,
        "version": 1,
        "data": interaction.data,
        "channel_id": str(channel.id),
        "channel": state.payloads.channel(channel),
        "app_permissions": str(world.allowed(channel)),
        "locale": "en-US",
        "entitlements": [],
        "entitlement_sku_ids": [],
        "attachment_size_limit": 10 << 20,
        "authorizing_integration_owners": {"0": str(channel.guild_id or 0)},
        "context": 0 if channel.guild_id else 1,
    }
    if message is not None:
        body["message"] = state.payloads.message(message)
    if channel.guild_id is None:
        return body | {"user": payloads.user(user)}
    guild = world.guilds[channel.guild_id]
    allowed = world.allowed(channel, user.id) & EVERYTHING
    member = payloads.full_member(world, guild.members[user.id]) | {"permissions": str(allowed)}
    return body | {
        "guild_id": str(guild.id),
        "guild": {"id": str(guild.id), "locale": "en-US", "features": []},
        "guild_locale": "en-US",
        "member": member,
    }
