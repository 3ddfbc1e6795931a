"""Messages: create, get, history, edit, delete; typing."""

from typing import Any, Final

from aiohttp import web

from tests.servers.discord import actions, errors, model
from tests.servers.discord.actions import Draft
from tests.servers.discord.errors import ApiError, Json, invalid_form
from tests.servers.discord.intents import MESSAGE_CONTENT
from tests.servers.discord.limits import Rule
from tests.servers.discord.model import Channel, Message
from tests.servers.discord.rest.base import (
    answer,
    as_id,
    channel_of,
    message_of,
    snowflake,
    state_of,
)
from tests.servers.discord.rest.body_checks import Incoming, read_message
from tests.servers.discord.snowflake import made_at
from tests.servers.discord.state import ServerState

PAGE, LARGEST_PAGE = 50, 100


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    messages = "/channels/{channel_id}/messages"
    return [
        web.get(messages, history),
        web.post(messages, create),
        web.get(messages + "/{message_id}", get),
        web.patch(messages + "/{message_id}", edit),
        web.delete(messages + "/{message_id}", delete),
        web.post("/channels/{channel_id}/typing", typing),
    ]


def shown(state: ServerState, message: Message) -> Json:
    """Render a message for the bot: REST, too, omits content that the application may not read."""
    body = state.payloads.message(
        message, content=bool(state.settings.privileged_intents & MESSAGE_CONTENT)
    )
    return state.odd_messages.get(str(message.id), body)


async def create(request: web.Request) -> web.Response:
    """POST a message; return the earlier one if its enforced nonce was used already."""
    state = state_of(request)
    incoming = await read_message(request, "a new message")
    channel = channel_of(request)
    check_may_write(state, channel)
    _check_may_attach(state, channel, incoming)
    check_not_empty(incoming)
    state.check_words(incoming.text)
    fields = dict(incoming.fields)
    if not state.world.may(channel, "embed_links"):
        fields["embeds"] = []  # Discord drops them silently
    reply_to = _reply_to(state, channel, incoming.data.get("message_reference"))
    message = actions.post(
        state,
        Draft(
            state.world.bot,
            channel,
            kind=model.REPLY if reply_to else model.DEFAULT,
            reply_to=reply_to,
            allowed_mentions=incoming.data.get("allowed_mentions"),
            attachments=incoming.attachments or (),
            flags=int(incoming.data.get("flags") or 0) & ~model.EPHEMERAL,
            nonce=incoming.data.get("nonce"),
            enforce_nonce=bool(incoming.data.get("enforce_nonce")),
            peer=request.remote or "",
            **fields,
        ),
    )
    nonce = {} if message.nonce is None else {"nonce": message.nonce}
    return answer(shown(state, message) | nonce)


def check_may_write(state: ServerState, channel: Channel) -> None:
    """Refuse a message if Discord would.

    50007 for a closed DM, 50008 for a category, 40058 for a forum, 50013 without the permission,
    160005 for a locked thread, and 50083 if that is archived as well.
    """
    if channel.kind in _NOT_FOR_MESSAGES:
        raise ApiError(*_NOT_FOR_MESSAGES[channel.kind])
    if channel.recipient is not None and not state.world.users[channel.recipient].dm_open:
        raise ApiError(*errors.CLOSED_DM)
    needed = "send_messages_in_threads" if channel.parent_id else "send_messages"
    if not state.world.may(channel, needed):
        raise ApiError(*errors.MISSING_PERMISSIONS)
    check_unlocked(state, channel, state.world.bot.id)


_NOT_FOR_MESSAGES: Final = {
    model.CATEGORY: errors.NOT_A_TEXT_CHANNEL,
    model.FORUM: errors.FORUM_CHANNEL,
}


def check_unlocked(state: ServerState, thread: Channel, user_id: int) -> None:
    """Refuse a message in a locked thread; one in a thread that is only archived reopens it."""
    if thread.locked and not state.world.may(thread, "manage_threads", user_id):
        raise ApiError(*(errors.ARCHIVED_THREAD if thread.archived else errors.LOCKED_THREAD))


def check_not_empty(incoming: Incoming) -> None:
    """Raise 50006 for an empty message."""
    fields = incoming.fields
    something = fields.get("content") or fields.get("embeds") or fields.get("components")
    if not something and not incoming.attachments:
        raise ApiError(*errors.EMPTY_MESSAGE)


def _reply_to(state: ServerState, channel: Channel, reference: Any) -> Message | None:
    if not reference:
        return None
    if reference.get("type", 0) != 0:
        state.counts.not_known("forwarding a message")
        raise invalid_form(
            "message_reference",
            "SKY_UNKNOWN_FIELD",
            "This test server does not support forwarding.",
        )
    if not state.world.may(channel, "read_message_history"):
        raise ApiError(*errors.NO_HISTORY_FOR_REPLY)
    found = channel.messages.get(as_id("message_reference", reference.get("message_id")))
    if found is not None and found.kind not in model.WRITTEN:
        code = "REPLIES_CANNOT_REPLY_TO_SYSTEM_MESSAGE"
        raise invalid_form("message_reference", code, "Cannot reply to a system message")
    if found is None and reference.get("fail_if_not_exists", True):
        code = "MESSAGE_REFERENCE_UNKNOWN_MESSAGE"
        raise invalid_form("message_reference", code, "Unknown message")
    return found


async def get(request: web.Request) -> web.Response:
    """GET a message."""
    return answer(shown(state_of(request), message_of(request, "read_message_history")))


async def history(request: web.Request) -> web.Response:
    """GET messages, newest first; empty if the bot may not read the history."""
    state, query = state_of(request), request.query
    channel = channel_of(request)
    try:
        limit = int(query.get("limit", PAGE))
    except ValueError:
        limit = 0
    if not 1 <= limit <= LARGEST_PAGE:
        message = f"int value should be between 1 and {LARGEST_PAGE}."
        raise invalid_form("limit", "NUMBER_TYPE_MAX", message)
    where = {k: as_id(k, query[k]) for k in ("before", "after", "around") if k in query}
    if len(where) > 1:
        raise invalid_form("before", "BASE_TYPE_CHOICES", "Only one of before, after, around.")
    if not state.world.may(channel, "read_message_history"):
        return answer([])
    return answer([shown(state, each) for each in state.world.history(channel, limit, **where)])


def _check_may_attach(state: ServerState, channel: Channel, incoming: Incoming) -> None:
    """Raise 50013 for new files without the permission; in an edit they are no different."""
    if incoming.attachments and not state.world.may(channel, "attach_files"):
        raise ApiError(*errors.MISSING_PERMISSIONS)


async def edit(request: web.Request) -> web.Response:
    """PATCH a message of the bot."""
    state = state_of(request)
    message = message_of(request)
    incoming = await read_message(request, "an edit")
    if message.author_id != state.world.bot.id:
        raise ApiError(*errors.NOT_THE_AUTHOR)
    check_may_edit(state, message, incoming)
    _check_may_attach(state, state.world.channels[message.channel_id], incoming)
    actions.edit(
        state, message, changes_of(message, incoming), incoming.data.get("allowed_mentions")
    )
    return answer(shown(state, message))


def check_may_edit(state: ServerState, message: Message, incoming: Incoming) -> None:
    """Raise 50083 if archived, 30046 for too many edits of old messages, 200000 by AutoMod."""
    if state.world.channels[message.channel_id].archived:
        raise ApiError(*errors.ARCHIVED_THREAD)
    if state.world.clock() - made_at(message.id) > _OLD:
        wait = state.limits.wait_for(Rule("old edits", state.settings.old_edits_per_minute, 60.0))
        if wait:
            raise ApiError(*errors.OLD_EDITS, retry_after=wait)
    state.check_words(incoming.text)


_OLD: Final = 3600.0


def changes_of(message: Message, incoming: Incoming) -> Json:
    """Return what an edit sets; 50006 if it would leave the message empty."""
    changes = dict(incoming.fields)
    if incoming.attachments is not None:
        kept = {int(each["id"]) for each in incoming.data.get("attachments") or () if "id" in each}
        old = tuple(each for each in message.attachments if each.id in kept)
        changes["attachments"] = old + incoming.attachments
    if incoming.data.get("flags") is not None:
        suppressed = incoming.data["flags"] & model.SUPPRESS_EMBEDS
        changes["flags"] = message.flags & ~model.SUPPRESS_EMBEDS | suppressed
    names = ("content", "embeds", "components", "attachments")
    if not any(changes.get(name, getattr(message, name)) for name in names):
        raise ApiError(*errors.EMPTY_MESSAGE)
    return changes


async def delete(request: web.Request) -> web.Response:
    """DELETE the bot's own message, or another's with manage_messages."""
    state = state_of(request)
    message = message_of(request)
    channel = state.world.channel(snowflake(request, "channel_id"))
    own = message.author_id == state.world.bot.id
    if not own and not (channel.guild_id and state.world.may(channel, "manage_messages")):
        raise ApiError(*errors.MISSING_PERMISSIONS)
    actions.delete(state, message, state.world.bot)
    return answer()


async def typing(request: web.Request) -> web.Response:
    """POST: the bot is typing."""
    state = state_of(request)
    channel = channel_of(request)
    check_may_write(state, channel)
    actions.typing(state, channel, state.world.bot)
    return answer()
