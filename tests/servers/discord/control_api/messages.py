"""What people do: say, edit, delete, react; and what was said."""

import base64
from typing import Any

from aiohttp import web

from tests.servers.discord import actions, model, views
from tests.servers.discord.actions import Draft
from tests.servers.discord.control_api.base import body_of, channel_of, state_of, user_of
from tests.servers.discord.model import Attachment, Message
from tests.servers.discord.state import ServerState


def routes() -> list[web.RouteDef]:
    """The routes of these doings."""
    return [
        web.post("/messages", say),
        web.delete("/messages", forget),
        web.get("/messages/{id}", one),
        web.patch("/messages/{id}", edit),
        web.delete("/messages/{id}", delete),
        web.get("/messages/{id}/answers", answers),
        web.get("/channels/{ref}/messages", read),
        web.post("/reactions", react),
        web.delete("/files", lose_files),
        web.post("/typing", typing),
    ]


def _message(request: web.Request, ref: Any = None) -> Message:
    return state_of(request).world.find_message(int(ref or request.match_info["id"]))


_SAID = (
    "channel",
    "author",
    "content",
    "reply_to",
    "forward",
    "ping",
    "mention_bot",
    "attachments",
)


async def say(request: web.Request) -> web.Response:
    """POST a user's message. `ping`: whether a reply pings whom it replies to (so by default)."""
    state = state_of(request)
    data = await body_of(request, *_SAID)
    author = user_of(state, data.get("author") or _first_user(state))
    channel = channel_of(state, data["channel"], author)
    content = str(data.get("content", ""))
    if data.get("mention_bot"):
        content = f"<@{state.world.bot.id}> {content}"
    reply_to = _message(request, data["reply_to"]) if data.get("reply_to") else None
    ping = bool(data.get("ping", True))
    forwarded = _message(request, data["forward"]) if data.get("forward") else None
    forwards = state.payloads.snapshot(forwarded) if forwarded else None
    message = actions.post(
        state,
        Draft(
            author,
            channel,
            content,
            model.REPLY if reply_to else model.DEFAULT,
            reply_to=reply_to,
            allowed_mentions={"parse": ["users", "everyone"], "replied_user": ping},
            attachments=tuple(_file(state, each) for each in data.get("attachments") or ()),
            forwards=forwards,
        ),
    )
    return web.json_response(views.message(state, message))


def _first_user(state: ServerState) -> int:
    return next(user.id for user in state.world.users.values() if not user.bot)


def _file(state: ServerState, data: dict[str, Any]) -> Attachment:
    content = base64.b64decode(data["base64"])
    kind = data.get("content_type", "application/octet-stream")
    file = Attachment(state.world.ids.next(), data["filename"], len(content), kind)
    state.cdn.put(file.id, kind, content)
    return file


async def forget(request: web.Request) -> web.Response:
    """DELETE all that was said, without an event: for a bot that has yet to come."""
    state_of(request).world.forget_messages()
    return web.json_response({})


async def lose_files(request: web.Request) -> web.Response:
    """DELETE the bytes of every attachment; the messages stay."""
    state_of(request).cdn.forget()
    return web.json_response({})


async def one(request: web.Request) -> web.Response:
    """GET a message, hidden ones too."""
    return web.json_response(views.message(state_of(request), _message(request)))


async def edit(request: web.Request) -> web.Response:
    """PATCH a message's content."""
    data = await body_of(request, "content")
    message = _message(request)
    actions.edit(state_of(request), message, {"content": str(data["content"])})
    return web.json_response(views.message(state_of(request), message))


async def delete(request: web.Request) -> web.Response:
    """DELETE a message, as its author."""
    state, message = state_of(request), _message(request)
    actions.delete(state, message, state.world.users[message.author_id])
    return web.json_response({})


async def answers(request: web.Request) -> web.Response:
    """GET the bot's messages that reference a message, oldest first, those that still exist."""
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
