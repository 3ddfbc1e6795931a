"""Callbacks of interactions, and the webhook for their further messages."""

from typing import Any, Final

from aiohttp import web

from tests.servers.discord import actions, errors, model, payloads
from tests.servers.discord.actions import Draft
from tests.servers.discord.errors import ApiError, Json, invalid_form
from tests.servers.discord.interaction_store import AUTOCOMPLETE, COMMAND, COMPONENT, Interaction
from tests.servers.discord.model import Attachment, Message
from tests.servers.discord.rest.application import CHAT_INPUT
from tests.servers.discord.rest.base import answer, as_id, check_fields, snowflake, state_of
from tests.servers.discord.rest.body_checks import FIELDS, Incoming, accept, read_body, read_message
from tests.servers.discord.rest.messages import changes_of, check_may_edit, check_not_empty
from tests.servers.discord.state import ServerState

MESSAGE, DEFER, DEFER_UPDATE, UPDATE, CHOICES, SHOW_MODAL = 4, 5, 6, 7, 8, 9
MOST_CHOICES: Final = 25
_CALLBACK: Final = frozenset({"type", "data"})
_ORIGINAL: Final = "@original"


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
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
    state = state_of(request)
    body, files = await read_body(request, _CALLBACK, "an interaction's callback")
    interaction = state.interactions.to_acknowledge(
        snowflake(request, "interaction_id"),
        request.match_info["token"],
        state.settings.ack_seconds,
    )
    kind, data = body.get("type"), body.get("data") or {}
    message = _respond(state, interaction, kind, data, files)
    interaction.response = kind
    state.counts.interactions_acknowledged += 1
    state.events.put("interaction", interaction.report())
    if request.query.get("with_response") not in ("1", "true"):
        return answer()
    told: Json = {"id": str(interaction.id), "type": interaction.kind}
    resource: Json = {"type": kind}
    if message is not None:
        told["response_message_id"] = str(message.id)
        told["response_message_loading"] = bool(message.flags & model.LOADING)
        told["response_message_ephemeral"] = message.hidden
        resource["message"] = state.payloads.message(message)
    return answer({"interaction": told, "resource": resource})


def _respond(
    state: ServerState,
    interaction: Interaction,
    kind: Any,
    data: Json,
    files: dict[int, Attachment],
) -> Message | None:
    allowed = _ALLOWED.get(interaction.kind, (MESSAGE, DEFER, SHOW_MODAL))
    if kind not in allowed:
        state.counts.not_known(f"callback of type {kind} to interaction of type {interaction.kind}")
        raise invalid_form("type", "BASE_TYPE_CHOICES", f"Value must be one of {allowed}.")
    if kind in (CHOICES, SHOW_MODAL):
        if len(data.get("choices", ())) > MOST_CHOICES:
            raise invalid_form("choices", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
        interaction.offered = data
        return None
    if kind == DEFER_UPDATE:
        interaction.original = interaction.message_id
        return None
    check_fields(state, data, FIELDS, "an interaction's callback")
    incoming = accept(state, data, files)
    state.check_words(incoming.text)
    if kind == UPDATE and interaction.message_id is not None:
        message = state.world.find_message(interaction.message_id)
        actions.edit(state, message, changes_of(message, incoming), data.get("allowed_mentions"))
    else:
        interaction.deferred = kind == DEFER
        if kind == MESSAGE:
            check_not_empty(incoming)
        message = _post(state, interaction, incoming, loading=kind == DEFER)
    interaction.original = message.id
    return message


_ALLOWED: Final = {
    COMPONENT: (MESSAGE, DEFER, DEFER_UPDATE, UPDATE, SHOW_MODAL),
    AUTOCOMPLETE: (CHOICES,),
}


def _post(
    state: ServerState, interaction: Interaction, incoming: Incoming, *, loading: bool = False
) -> Message:
    flags = int(incoming.data.get("flags") or 0)
    return actions.post(
        state,
        Draft(
            state.world.bot,
            state.world.channel(interaction.channel_id),
            kind=_kind(interaction),
            allowed_mentions=incoming.data.get("allowed_mentions"),
            attachments=incoming.attachments or (),
            flags=flags | (model.LOADING if loading else 0),
            interaction_id=interaction.id,
            interaction=_metadata(state, interaction),
            **incoming.fields,
        ),
    )


def _kind(interaction: Interaction) -> int:
    if interaction.kind != COMMAND:
        return model.DEFAULT
    chat_input = interaction.data.get("type", CHAT_INPUT) == CHAT_INPUT
    return model.CHAT_INPUT_COMMAND if chat_input else model.CONTEXT_MENU_COMMAND


def _metadata(state: ServerState, interaction: Interaction) -> Json:
    channel = state.world.channels[interaction.channel_id]
    return {
        "id": str(interaction.id),
        "type": interaction.kind,
        "user": payloads.user(state.world.users[interaction.user_id]),
        "authorizing_integration_owners": {"0": str(channel.guild_id or 0)},
    }


def _interaction(request: web.Request) -> Interaction:
    state = state_of(request)
    if snowflake(request, "webhook_id") != state.world.bot.id:
        raise ApiError(*errors.UNKNOWN_WEBHOOK)
    within = state.settings.interaction_seconds
    return state.interactions.of_token(request.match_info["token"], within)


def _message(request: web.Request, interaction: Interaction) -> Message:
    which = request.match_info["message_id"]
    message_id = interaction.original if which == _ORIGINAL else as_id("message_id", which)
    known = {interaction.original, interaction.message_id, *interaction.followups}
    if message_id is None or message_id not in known:
        raise ApiError(*errors.UNKNOWN_MESSAGE)
    return state_of(request).world.find_message(message_id)


async def followup(request: web.Request) -> web.Response:
    """POST another message; the first one after a deferral replaces the deferred one."""
    state = state_of(request)
    interaction = _interaction(request)
    incoming = await read_message(request, "a followup")
    check_not_empty(incoming)
    state.check_words(incoming.text)
    if interaction.deferred and interaction.original is not None:
        message = state.world.find_message(interaction.original)
        _fill(state, interaction, message, incoming)
    else:
        message = _post(state, interaction, incoming)
        interaction.followups.append(message.id)
    state.events.put("interaction", interaction.report())
    if request.query.get("wait") not in ("1", "true"):
        return answer()
    return answer(state.payloads.message(message))


def _fill(
    state: ServerState, interaction: Interaction, message: Message, incoming: Incoming
) -> None:
    """Edit a message; it is no longer loading."""
    changes = changes_of(message, incoming)
    changes["flags"] = changes.get("flags", message.flags) & ~model.LOADING
    interaction.deferred = False
    actions.edit(state, message, changes, incoming.data.get("allowed_mentions"))


async def get(request: web.Request) -> web.Response:
    """GET @original or a follow-up."""
    message = _message(request, _interaction(request))
    return answer(state_of(request).payloads.message(message))


async def edit(request: web.Request) -> web.Response:
    """PATCH @original or a follow-up."""
    state = state_of(request)
    interaction = _interaction(request)
    message = _message(request, interaction)
    incoming = await read_message(request, "an edit")
    check_may_edit(state, message, incoming)
    _fill(state, interaction, message, incoming)
    return answer(state.payloads.message(message))


async def delete(request: web.Request) -> web.Response:
    """DELETE @original or a follow-up."""
    state = state_of(request)
    actions.delete(state, _message(request, _interaction(request)), state.world.bot)
    return answer()
