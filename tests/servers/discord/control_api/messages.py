"""What people do (write, edit, delete, react), and reading messages."""

import base64
from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from tests.servers.discord import actions, errors, model, payloads, views
from tests.servers.discord.actions import Draft
from tests.servers.discord.control_api.base import body_of, channel_of, state_of, user_of
from tests.servers.discord.errors import ApiError, Json, invalid_form
from tests.servers.discord.model import Attachment, Channel, Message, User
from tests.servers.discord.rest.messages import check_unlocked
from tests.servers.discord.state import ServerState


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        web.post("/messages", say),
        web.delete("/messages", forget),
        web.get("/messages/{id}", one),
        web.patch("/messages/{id}", edit),
        web.delete("/messages/{id}", delete),
        web.get("/messages/{id}/answers", answers),
        web.get("/channels/{ref}/messages", read),
        web.post("/reactions", react),
        web.post("/messages/{id}/embeds", unfurl),
        web.delete("/files", lose_files),
        web.post("/files/expire", expire_files),
        web.post("/typing", typing),
    ]


def _message(request: web.Request, ref: Any = None) -> Message:
    return _find(state_of(request), ref or request.match_info["id"])


def _find(state: ServerState, ref: Any) -> Message:
    return state.world.find_message(int(ref))


_COMPONENTS_V2: Final = 1 << 15  # the flag of a message made of components
_FIELDS: Final = (
    *("channel", "author", "content", "reply_to", "forward", "ping", "mention_bot"),
    *("attachments", "embeds", "components", "stickers", "poll", "voice_seconds"),
    *("command", "kind"),
)


async def say(request: web.Request) -> web.Response:
    """POST a message of a user, a bot or a webhook; `draft` describes its fields."""
    state = state_of(request)
    data = await body_of(request, *_FIELDS)
    author = user_of(state, data.get("author") or _first_user(state))
    channel = channel_of(state, data["channel"], author)
    check_may_say(state, channel, author)
    message = actions.post(state, draft(state, data, author, channel))
    return web.json_response(views.message(state, message))


def check_may_say(state: ServerState, channel: Channel, author: User) -> None:
    """Refuse what Discord's own client would not let this person do in that channel."""
    if channel.kind in (model.CATEGORY, model.FORUM):
        raise ApiError(*errors.NOT_A_TEXT_CHANNEL)
    if author.webhook or channel.guild_id is None:
        return
    needed = "send_messages_in_threads" if channel.parent_id else "send_messages"
    if not all(state.world.may(channel, each, author.id) for each in ("view_channel", needed)):
        raise ApiError(*errors.MISSING_PERMISSIONS)
    check_unlocked(state, channel, author.id)
    _check_slow_mode(state, channel, author)


def _check_slow_mode(state: ServerState, channel: Channel, author: User) -> None:
    """Raise 20016 for people who write again too soon; bots and moderators are exempt."""
    if not channel.slowmode or author.bot or state.world.may(channel, "manage_messages", author.id):
        return
    own = (each for each in reversed(channel.messages.values()) if each.author_id == author.id)
    last = next(own, None)
    wait = channel.slowmode - (state.world.clock() - last.created) if last else 0.0
    if wait > 0:
        raise ApiError(*errors.SLOW_MODE, retry_after=wait)


def draft(state: ServerState, data: Json, author: User, channel: Channel) -> Draft:
    """Return the message that a request describes.

    `ping`: whether a reply pings the author it replies to (the default). `embeds`, `components` are
    for bots and webhooks; a message with components has no content. `stickers` are [{name,
    format_type}]; `poll` has a question, answers, expiry, votes, finalized; `voice_seconds` makes
    the one attachment a voice message. `command` is {name, user}: the message is a bot's response
    to that user's command. `kind` is the type number of a system message.
    """
    content = str(data.get("content", ""))
    if data.get("mention_bot"):
        content = f"<@{state.world.bot.id}> {content}"
    reply_to = _find(state, data["reply_to"]) if data.get("reply_to") else None
    allowed = {"parse": ["users", "roles", "everyone"], "replied_user": data.get("ping", True)}
    made = Draft(
        author,
        channel,
        content,
        int(data.get("kind") or (model.REPLY if reply_to else model.DEFAULT)),
        reply_to=reply_to,
        allowed_mentions=allowed,
        attachments=tuple(_file(state, each) for each in data.get("attachments") or ()),
        forwards=_forwarded(state, data["forward"]) if data.get("forward") else None,
        embeds=_embeds(data.get("embeds") or [], author),
        stickers=[_sticker(state, each) for each in data.get("stickers") or ()],
        poll=_poll(state, data["poll"]) if data.get("poll") else None,
        components=_components(data, author),
        flags=_COMPONENTS_V2 if data.get("components") else 0,
    )
    if data.get("voice_seconds") is not None:
        made = _voice(made, float(data["voice_seconds"]))
    return _response(state, made, data["command"]) if data.get("command") else made


def _components(data: Json, author: User) -> list[Json]:
    components: list[Json] = data.get("components") or []
    if components and (not author.bot or data.get("content") or data.get("embeds")):
        msg = "only bots can post components, and not together with content or embeds"
        raise ValueError(msg)
    return components


def _embeds(embeds: list[Json], author: User) -> list[Json]:
    if embeds and not author.bot:
        msg = "people cannot post embeds; link previews are added afterwards"
        raise ValueError(msg)
    return [{"type": "rich"} | each for each in embeds]


def _sticker(state: ServerState, data: Json) -> Json:
    return {"id": str(state.world.ids.next()), "name": data["name"], "format_type": 1} | data


def _poll(state: ServerState, data: Json) -> Json:
    """Return Discord's poll object; `expiry` is null for no end, by default a day from now."""
    votes = [int(each) for each in data.get("votes") or ()]
    later = payloads.iso(state.world.clock() + _DAY)
    poll: Json = {
        "question": {"text": data["question"]},
        "answers": [
            {"answer_id": number, "poll_media": _poll_media(each)}
            for number, each in enumerate(data["answers"], 1)
        ],
        "expiry": data.get("expiry", later),
        "allow_multiselect": bool(data.get("multiselect")),
        "layout_type": 1,
    }
    if votes or data.get("finalized"):
        poll["results"] = {
            "is_finalized": bool(data.get("finalized")),
            "answer_counts": [
                {"id": number, "count": count, "me_voted": False}
                for number, count in enumerate(votes, 1)
                if count
            ],
        }
    return poll


_DAY: Final = 86_400.0


def _poll_media(answer: str | Json) -> Json:
    return {"text": answer} if isinstance(answer, str) else answer


def _voice(made: Draft, seconds: float) -> Draft:
    if len(made.attachments) != 1 or made.content:
        msg = "a voice message is one attachment without text"
        raise ValueError(msg)
    file = replace(made.attachments[0], duration=seconds)
    return replace(made, attachments=(file,), flags=made.flags | model.VOICE_MESSAGE)


def _response(state: ServerState, made: Draft, command: Json) -> Draft:
    if not made.author.bot or made.author.id == state.world.bot.id:
        msg = "only other bots respond to commands here"
        raise ValueError(msg)
    interaction = {
        "id": str(state.world.ids.next()),
        "type": 2,
        "user": payloads.user(user_of(state, command["user"])),
        "authorizing_integration_owners": {"0": str(made.channel.guild_id or 0)},
    }
    kind = model.CHAT_INPUT_COMMAND
    return replace(made, kind=kind, interaction=interaction, command=str(command["name"]))


def _forwarded(state: ServerState, ref: Any) -> Json:
    """Return the forwarded snapshot; Discord forwards neither polls nor system messages."""
    message = _find(state, ref)
    if message.poll is not None or message.kind not in (model.DEFAULT, model.REPLY):
        code = "MESSAGE_REFERENCE_CANNOT_BE_FORWARDED"
        raise invalid_form("message_reference", code, "This message cannot be forwarded")
    return state.payloads.snapshot(message)


def _first_user(state: ServerState) -> int:
    return next(user.id for user in state.world.users.values() if not user.bot)


def _file(state: ServerState, data: dict[str, Any]) -> Attachment:
    content = base64.b64decode(data["base64"])
    kind = data.get("content_type", "application/octet-stream")
    file = Attachment(state.world.ids.next(), data["filename"], len(content), kind)
    state.cdn.put(file.id, kind, content)
    return file


async def forget(request: web.Request) -> web.Response:
    """DELETE every message, without sending events, before a new bot connects."""
    state_of(request).world.forget_messages()
    return web.json_response({})


async def lose_files(request: web.Request) -> web.Response:
    """DELETE the bytes of every attachment; the messages stay."""
    state_of(request).cdn.forget()
    return web.json_response({})


async def expire_files(request: web.Request) -> web.Response:
    """POST: expire every attachment URL that was issued so far."""
    state_of(request).cdn.expire_addresses()
    return web.json_response({})


async def unfurl(request: web.Request) -> web.Response:
    """POST the `embeds` that Discord creates from a message's links shortly afterwards."""
    data = await body_of(request, "embeds")
    message = _message(request)
    embeds = [{"type": "link"} | each for each in data["embeds"]]
    actions.add_embeds(state_of(request), message, embeds)
    return web.json_response(views.message(state_of(request), message))


async def one(request: web.Request) -> web.Response:
    """GET a message, including hidden ones."""
    return web.json_response(views.message(state_of(request), _message(request)))


async def edit(request: web.Request) -> web.Response:
    """PATCH a message's content, which may now mention the bot."""
    data = await body_of(request, "content", "mention_bot")
    message = _message(request)
    content = str(data["content"])
    if data.get("mention_bot"):
        content = f"<@{state_of(request).world.bot.id}> {content}"
    actions.edit(state_of(request), message, {"content": content})
    return web.json_response(views.message(state_of(request), message))


async def delete(request: web.Request) -> web.Response:
    """DELETE a message, as its author."""
    state, message = state_of(request), _message(request)
    actions.delete(state, message, state.world.users[message.author_id])
    return web.json_response({})


async def answers(request: web.Request) -> web.Response:
    """GET the bot's existing messages that reference a message, oldest first."""
    state = state_of(request)
    ids = state.counts.ledger.get(int(request.match_info["id"]), [])
    found = [state.world.find_message(each) for each in ids if state.world.knows(each)]
    return web.json_response([views.message(state, each) for each in found])


async def read(request: web.Request) -> web.Response:
    """GET a channel's newest messages, oldest first."""
    state = state_of(request)
    channel = channel_of(state, request.match_info["ref"])
    messages = state.world.history(channel, int(request.query.get("limit", "50")))
    return web.json_response([views.message(state, each) for each in reversed(messages)])


async def react(request: web.Request) -> web.Response:
    """POST a user's reaction."""
    state = state_of(request)
    data = await body_of(request, "message", "author", "emoji", "remove")
    user = user_of(state, data["author"])
    message = _message(request, data["message"])
    actions.react(state, message, user, data["emoji"], remove=bool(data.get("remove")))
    return web.json_response({})


async def typing(request: web.Request) -> web.Response:
    """POST that a user is typing."""
    state = state_of(request)
    data = await body_of(request, "channel", "author")
    user = user_of(state, data["author"])
    actions.typing(state, channel_of(state, data["channel"], user), user)
    return web.json_response({})
