"""The gateway's address, the application and its commands."""

import json
import re
from typing import Final

from aiohttp import web

from tests.servers.discord import errors
from tests.servers.discord.desk import Desk
from tests.servers.discord.errors import ApiError, Json, invalid_form
from tests.servers.discord.rest.base import answer, desk_of, snowflake

MOST_COMMANDS: Final = 100
CHAT_INPUT: Final = 1
_NAME: Final = re.compile(r"^[-_'\w]{1,32}$")


def routes() -> list[web.RouteDef]:
    """The routes of these nouns."""
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
    """GET where the gateway is."""
    return answer({"url": desk_of(request).gateway_at(request.host)})


async def gateway_bot(request: web.Request) -> web.Response:
    """GET the same for a bot, with what is left of its identifies."""
    desk = desk_of(request)
    limit = desk.session_start_limit()
    return answer({"url": desk.gateway_at(request.host), "shards": 1, "session_start_limit": limit})


async def application(request: web.Request) -> web.Response:
    """GET the application."""
    return answer(desk_of(request).application())


def _place(request: web.Request, desk: Desk) -> int | None:
    if snowflake(request, "application_id") != desk.world.bot.id:
        raise ApiError(*errors.UNKNOWN_APPLICATION)
    if "guild_id" not in request.match_info:
        return None
    return desk.world.guild(snowflake(request, "guild_id")).id


async def list_commands(request: web.Request) -> web.Response:
    """GET the commands, global or of a guild."""
    desk = desk_of(request)
    return answer(desk.commands.get(_place(request, desk), []))


async def overwrite_commands(request: web.Request) -> web.Response:
    """PUT them all; a command keeps its id while its name and type stay."""
    desk = desk_of(request)
    place = _place(request, desk)
    try:
        wanted = json.loads(await request.read())
    except ValueError:
        raise ApiError(*errors.BAD_JSON) from None
    if not isinstance(wanted, list) or len(wanted) > MOST_COMMANDS:
        raise invalid_form("commands", "BASE_TYPE_MAX_LENGTH", "Must be 100 or fewer in length.")
    had = {(each["type"], each["name"]): each for each in desk.commands.get(place, [])}
    desk.commands[place] = [_command(desk, each, had, place) for each in wanted]
    desk.counts.commands_synced += 1
    desk.feed.put("commands", {"guild_id": place, "names": [each["name"] for each in wanted]})
    return answer(desk.commands[place])


def _command(desk: Desk, data: Json, had: dict[tuple[int, str], Json], place: int | None) -> Json:
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
    body["application_id"] = str(desk.world.bot.id)
    if place is not None:
        body["guild_id"] = str(place)
    same = {k: v for k, v in old.items() if k not in ("id", "version")} == body
    command_id = old["id"] if old else str(desk.world.ids.next())
    version = old["version"] if same else str(desk.world.ids.next())
    return body | {"id": command_id, "version": version}
