"""Callbacks of interactions, and the webhook through which they go on."""

from typing import Any, Final

from aiohttp import web

from tests.servers.discord import actions, errors, model, payloads
from tests.servers.discord.actions import Draft
from tests.servers.discord.desk import Desk
from tests.servers.discord.errors import ApiError, Json, invalid_form
from tests.servers.discord.interactions import AUTOCOMPLETE, COMMAND, COMPONENT, Interaction
from tests.servers.discord.model import Attachment, Message
from tests.servers.discord.rest.application import CHAT_INPUT
from tests.servers.discord.rest.base import answer, as_id, check_fields, desk_of, snowflake
from tests.servers.discord.rest.incoming import FIELDS, Incoming, accept, read_body, read_message
from tests.servers.discord.rest.messages import changes_of, check_not_empty

MESSAGE, DEFER, DEFER_UPDATE, UPDATE, CHOICES, SHOW_MODAL = 4, 5, 6, 7, 8, 9
MOST_CHOICES: Final = 25
_CALLBACK: Final = frozenset({"type", "data"})
_ORIGINAL: Final = "@original"


def routes() -> list[web.RouteDef]:
    """The routes of this noun."""
    hook = "/webhooks/{webhook_id}/{token}"
    return [
        web.post("/interactions/{interaction_id}/{token}/callback", callback),
        web.post(hook, followup),
        web.get(hook + "/messages/{message_id}", get),
        web.patch(hook + "/messages/{message_id}", edit),
        web.delete(hook + "/messages/{message_id}", delete),
    ]


async def callback(request: web.Request) -> web.Response:
    """POST the first response, within 3 s."""
    desk = desk_of(request)
    body, files = await read_body(request, _CALLBACK, "an interaction's callback")
    interaction = desk.book.to_acknowledge(
        snowflake(request, "interaction_id"),
        request.match_info["token"],
        desk.settings.ack_seconds,
    )
    kind, data = body.get("type"), body.get("data") or {}
    message = _respond(desk, interaction, kind, data, files)
    interaction.response = kind
    desk.counts.interactions_acknowledged += 1
    desk.feed.put("interaction", interaction.report())
    if request.query.get("with_response") not in ("1", "true"):
        return answer()
    told: Json = {"id": str(interaction.id), "type": interaction.kind}
    resource: Json = {"type": kind}
    if message is not None:
        told["response_message_id"] = str(message.id)
        told["response_message_loading"] = bool(message.flags & model.LOADING)
        told["response_message_ephemeral"] = message.hidden
        resource["message"] = desk.payloads.message(message)
    return answer({"interaction": told, "resource": resource})


def _respond(
    desk: Desk, interaction: Interaction, kind: Any, data: Json, files: dict[int, Attachment]
) -> Message | None:
    allowed = _ALLOWED.get(interaction.kind, (MESSAGE, DEFER, SHOW_MODAL))
    if kind not in allowed:
        desk.counts.not_known(f"callback of type {kind} to interaction of type {interaction.kind}")
        raise invalid_form("type", "BASE_TYPE_CHOICES", f"Value must be one of {allowed}.")
    if kind in (CHOICES, SHOW_MODAL):
        if len(data.get("choices", ())) > MOST_CHOICES:
            raise invalid_form("choices", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
        interaction.offered = data
        return None
    if kind == DEFER_UPDATE:
        interaction.original = interaction.message_id
        return None
    check_fields(desk, data, FIELDS, "an interaction's callback")
    incoming = accept(desk, data, files)
    if kind == UPDATE and interaction.message_id is not None:
        message = desk.world.find_message(interaction.message_id)
        actions.edit(desk, message, changes_of(message, incoming), data.get("allowed_mentions"))
    else:
        interaction.deferred = kind == DEFER
        if kind == MESSAGE:
            check_not_empty(incoming)
        message = _post(desk, interaction, incoming, loading=kind == DEFER)
    interaction.original = message.id
    return message


_ALLOWED: Final = {
    COMPONENT: (MESSAGE, DEFER, DEFER_UPDATE, UPDATE, SHOW_MODAL),
    AUTOCOMPLETE: (CHOICES,),
}


def _post(
    desk: Desk, interaction: Interaction, incoming: Incoming, *, loading: bool = False
) -> Message:
    flags = int(incoming.data.get("flags") or 0)
    return actions.post(
        desk,
        Draft(
            desk.world.bot,
            desk.world.channel(interaction.channel_id),
            kind=_kind(interaction),
            allowed_mentions=incoming.data.get("allowed_mentions"),
            attachments=incoming.attachments or (),
            flags=flags | (model.LOADING if loading else 0),
            interaction_id=interaction.id,
            interaction=_metadata(desk, interaction),
            **incoming.fields,
        ),
    )


def _kind(interaction: Interaction) -> int:
    if interaction.kind != COMMAND:
        return model.DEFAULT
    chat_input = interaction.data.get("type", CHAT_INPUT) == CHAT_INPUT
    return model.CHAT_INPUT_COMMAND if chat_input else model.CONTEXT_MENU_COMMAND


def _metadata(desk: Desk, interaction: Interaction) -> Json:
    channel = desk.world.channels[interaction.channel_id]
    return {
        "id": str(interaction.id),
        "type": interaction.kind,
        "user": payloads.user(desk.world.users[interaction.user_id]),
        "authorizing_integration_owners": {"0": str(channel.guild_id or 0)},
    }


def _interaction(request: web.Request) -> Interaction:
    desk = desk_of(request)
    if snowflake(request, "webhook_id") != desk.world.bot.id:
        raise ApiError(*errors.UNKNOWN_WEBHOOK)
    within = desk.settings.interaction_seconds
    return desk.book.of_token(request.match_info["token"], within)


def _message(request: web.Request, interaction: Interaction) -> Message:
    which = request.match_info["message_id"]
    message_id = interaction.original if which == _ORIGINAL else as_id("message_id", which)
    known = {interaction.original, interaction.message_id, *interaction.followups}
    if message_id is None or message_id not in known:
        raise ApiError(*errors.UNKNOWN_MESSAGE)
    return desk_of(request).world.find_message(message_id)


async def followup(request: web.Request) -> web.Response:
    """POST another message; the first one after a deferral fills the deferred one."""
    desk = desk_of(request)
    interaction = _interaction(request)
    incoming = await read_message(request, "a followup")
    check_not_empty(incoming)
    if interaction.deferred and interaction.original is not None:
        message = desk.world.find_message(interaction.original)
        _fill(desk, interaction, message, incoming)
    else:
        message = _post(desk, interaction, incoming)
        interaction.followups.append(message.id)
    desk.feed.put("interaction", interaction.report())
    if request.query.get("wait") not in ("1", "true"):
        return answer()
    return answer(desk.payloads.message(message))


def _fill(desk: Desk, interaction: Interaction, message: Message, incoming: Incoming) -> None:
    """Edit; a message that was loading is no longer so."""
    changes = changes_of(message, incoming)
    changes["flags"] = changes.get("flags", message.flags) & ~model.LOADING
    interaction.deferred = False
    actions.edit(desk, message, changes, incoming.data.get("allowed_mentions"))


async def get(request: web.Request) -> web.Response:
    """GET @original or a followup."""
    message = _message(request, _interaction(request))
    return answer(desk_of(request).payloads.message(message))


async def edit(request: web.Request) -> web.Response:
    """PATCH @original or a followup."""
    desk = desk_of(request)
    interaction = _interaction(request)
    message = _message(request, interaction)
    _fill(desk, interaction, message, await read_message(request, "an edit"))
    return answer(desk.payloads.message(message))


async def delete(request: web.Request) -> web.Response:
    """DELETE @original or a followup."""
    desk = desk_of(request)
    actions.delete(desk, _message(request, _interaction(request)), desk.world.bot)
    return answer()
