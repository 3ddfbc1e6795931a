"""Channels and threads."""

from aiohttp import web

from tests.servers.discord import actions, errors, model
from tests.servers.discord.errors import ApiError, invalid_form
from tests.servers.discord.model import Message
from tests.servers.discord.rest.base import answer, body_of, channel_of, message_of, state_of

THREAD_FIELDS = frozenset(
    {"name", "auto_archive_duration", "type", "invitable", "rate_limit_per_user"}
)
CHANGES = frozenset({"archived", "name", "auto_archive_duration", "locked", "invitable"})
LONGEST_NAME = 100
_ARCHIVED_AFTER = (None, 60, 1440, 4320, 10080)  # minutes
_PUBLIC = (model.PUBLIC_THREAD, model.ANNOUNCEMENT_THREAD)


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        web.get("/channels/{channel_id}", get),
        web.patch("/channels/{channel_id}", change_thread),
        web.post("/channels/{channel_id}/threads", start_thread),
        web.post("/channels/{channel_id}/messages/{message_id}/threads", start_on_message),
        web.put("/channels/{channel_id}/thread-members/@me", joined),
        web.get("/guilds/{guild_id}/threads/active", active_threads),
    ]


async def get(request: web.Request) -> web.Response:
    """GET a channel, with its last_message_id."""
    return answer(state_of(request).payloads.channel(channel_of(request)))


async def start_thread(request: web.Request) -> web.Response:
    """POST a public thread that is not started on a message."""
    return await _start(request, None)


async def start_on_message(request: web.Request) -> web.Response:
    """POST a thread on a message."""
    return await _start(request, message_of(request))


async def _start(request: web.Request, message: Message | None) -> web.Response:
    state = state_of(request)
    parent = channel_of(request, "create_public_threads")
    data = await body_of(request, THREAD_FIELDS, "a thread")
    name = str(data.get("name") or "")
    if not 1 <= len(name) <= LONGEST_NAME:
        raise invalid_form("name", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    if data.get("auto_archive_duration") not in _ARCHIVED_AFTER:
        values = "Value must be one of {60, 1440, 4320, 10080}."
        raise invalid_form("auto_archive_duration", "BASE_TYPE_CHOICES", values)
    if not parent.guild_id:
        raise ApiError(*errors.WRONG_CHANNEL_TYPE)
    if data.get("type", model.PUBLIC_THREAD) not in _PUBLIC:
        state.counts.not_known(f"thread of type {data.get('type')}")
        raise invalid_form(
            "type", "SKY_UNKNOWN_FIELD", "This test server supports only public threads."
        )
    if any(word in name.casefold() for word in state.blocked_words):
        raise ApiError(*errors.TITLE_BLOCKED_BY_AUTOMOD)
    thread = actions.start_thread(state, parent, name, state.world.bot, message)
    return answer(state.payloads.channel(thread), 201)


async def change_thread(request: web.Request) -> web.Response:
    """PATCH a thread's name or archive it. Other channels cannot be changed here."""
    state = state_of(request)
    thread = channel_of(request)
    data = await body_of(request, CHANGES, "a thread's change")
    if not thread.parent_id:
        state.counts.not_known("changing a channel that is not a thread")
        raise invalid_form(
            "name", "SKY_UNKNOWN_FIELD", "Only threads can be changed on this test server."
        )
    if thread.owner_id != state.world.bot.id and not state.world.may(thread, "manage_threads"):
        raise ApiError(*errors.MISSING_PERMISSIONS)
    if ("locked" in data or thread.locked) and not state.world.may(thread, "manage_threads"):
        raise ApiError(*errors.MISSING_PERMISSIONS)
    if thread.archived and data.get("archived", True):
        raise ApiError(*errors.ARCHIVED_THREAD)
    thread.name = data.get("name", thread.name)
    thread.archived = bool(data.get("archived", thread.archived))
    thread.locked = bool(data.get("locked", thread.locked))
    actions.channel_event(state, "THREAD_UPDATE", thread)
    return answer(state.payloads.channel(thread))


async def joined(request: web.Request) -> web.Response:
    """PUT: the bot joins a thread; on this server it is in all of them."""
    channel_of(request)
    return answer()


async def active_threads(request: web.Request) -> web.Response:
    """GET the threads of a guild that are not archived."""
    state = state_of(request)
    guild = state.world.guild(int(request.match_info["guild_id"]))
    threads = [
        state.payloads.channel(each)
        for each in state.world.channels.values()
        if each.guild_id == guild.id
        and each.parent_id
        and not each.archived
        and state.world.may(each, "view_channel")
    ]
    return answer({"threads": threads, "members": []})
