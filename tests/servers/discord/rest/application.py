"""The gateway's address, the application and its commands."""

import json
import re
from typing import Final

from aiohttp import web

from tests.servers.discord import errors
from tests.servers.discord.errors import ApiError, Json, invalid_form
from tests.servers.discord.rest.base import answer, snowflake, state_of
from tests.servers.discord.state import ServerState

MOST_COMMANDS: Final = 100
CHAT_INPUT: Final = 1
_NAME: Final = re.compile(r"^[-_'\w]{1,32}$")


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    commands = "/applications/{application_id}/commands"
    in_guild = "/applications/{application_id}/guilds/{guild_id}/commands"
    return [
        web.get("/gateway", gateway),
        web.get("/gateway/bot", gateway_bot),
        web.get("/applications/@me", application),
        web.get("/oauth2/applications/@me", application),
        web.get(commands, list_commands),
        web.put(commands, overwrite_commands),
        web.get(in_guild, list_commands),
        web.put(in_guild, overwrite_commands),
    ]


async def gateway(request: web.Request) -> web.Response:
    """GET the gateway's URL."""
    return answer({"url": state_of(request).gateway_at(request.host)})


async def gateway_bot(request: web.Request) -> web.Response:
    """GET the same for a bot, with its remaining identifies."""
    state = state_of(request)
    limit = state.session_start_limit()
    return answer(
        {"url": state.gateway_at(request.host), "shards": 1, "session_start_limit": limit}
    )


async def application(request: web.Request) -> web.Response:
    """GET the application."""
    return answer(state_of(request).application())


def _place(request: web.Request, state: ServerState) -> int | None:
    if snowflake(request, "application_id") != state.world.bot.id:
        raise ApiError(*errors.UNKNOWN_APPLICATION)
    if "guild_id" not in request.match_info:
        return None
    return state.world.guild(snowflake(request, "guild_id")).id


async def list_commands(request: web.Request) -> web.Response:
    """GET the commands, global or of a guild."""
    state = state_of(request)
    return answer(state.commands.get(_place(request, state), []))


async def overwrite_commands(request: web.Request) -> web.Response:
    """PUT all commands; a command with the same name and type keeps its id."""
    state = state_of(request)
    place = _place(request, state)
    try:
        wanted = json.loads(await request.read())
    except ValueError:
        raise ApiError(*errors.BAD_JSON) from None
    if not isinstance(wanted, list) or len(wanted) > MOST_COMMANDS:
        raise invalid_form("commands", "BASE_TYPE_MAX_LENGTH", "Must be 100 or fewer in length.")
    had = {(each["type"], each["name"]): each for each in state.commands.get(place, [])}
    state.commands[place] = [_command(state, each, had, place) for each in wanted]
    state.counts.commands_synced += 1
    state.events.put("commands", {"guild_id": place, "names": [each["name"] for each in wanted]})
    return answer(state.commands[place])


def _command(
    state: ServerState, data: Json, had: dict[tuple[int, str], Json], place: int | None
) -> Json:
    kind, name = data.get("type", CHAT_INPUT), str(data.get("name", ""))
    if kind == CHAT_INPUT and (not _NAME.match(name) or name != name.lower()):
        raise invalid_form("name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    if kind == CHAT_INPUT and not data.get("description"):
        raise invalid_form("description", "BASE_TYPE_REQUIRED", "This field is required")
    if kind != CHAT_INPUT and (data.get("description") or data.get("options")):
        message = "Context menu commands cannot have description or options"
        raise invalid_form("description", "APPLICATION_COMMAND_CONTEXT_MENU", message)
    old = had.get((kind, name), {})
    body: Json = {"dm_permission": True, "nsfw": False, "default_member_permissions": None} | data
    body |= {"type": kind, "options": data.get("options") or []}
    body["application_id"] = str(state.world.bot.id)
    if place is not None:
        body["guild_id"] = str(place)
    same = {k: v for k, v in old.items() if k not in ("id", "version")} == body
    command_id = old["id"] if old else str(state.world.ids.next())
    version = old["version"] if same else str(state.world.ids.next())
    return body | {"id": command_id, "version": version}
