"""What people do: say, edit, delete, react; and what was said."""

import base64
from typing import Any

from aiohttp import web

from tests.servers.discord import actions, model, views
from tests.servers.discord.actions import Draft
from tests.servers.discord.control_api.base import body_of, channel_of, desk_of, user_of
from tests.servers.discord.desk import Desk
from tests.servers.discord.model import Attachment, Message


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
    return desk_of(request).world.find_message(int(ref or request.match_info["id"]))


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
    desk = desk_of(request)
    data = await body_of(request, *_SAID)
    author = user_of(desk, data.get("author") or _first_user(desk))
    channel = channel_of(desk, data["channel"], author)
    content = str(data.get("content", ""))
    if data.get("mention_bot"):
        content = f"<@{desk.world.bot.id}> {content}"
    reply_to = _message(request, data["reply_to"]) if data.get("reply_to") else None
    ping = bool(data.get("ping", True))
    forwarded = _message(request, data["forward"]) if data.get("forward") else None
    forwards = desk.payloads.snapshot(forwarded) if forwarded else None
    message = actions.post(
        desk,
        Draft(
            author,
            channel,
            content,
            model.REPLY if reply_to else model.DEFAULT,
            reply_to=reply_to,
            allowed_mentions={"parse": ["users", "everyone"], "replied_user": ping},
            attachments=tuple(_file(desk, each) for each in data.get("attachments") or ()),
            forwards=forwards,
        ),
    )
    return web.json_response(views.message(desk, message))


def _first_user(desk: Desk) -> int:
    return next(user.id for user in desk.world.users.values() if not user.bot)


def _file(desk: Desk, data: dict[str, Any]) -> Attachment:
    content = base64.b64decode(data["base64"])
    kind = data.get("content_type", "application/octet-stream")
    file = Attachment(desk.world.ids.next(), data["filename"], len(content), kind)
    desk.cdn.put(file.id, kind, content)
    return file


async def forget(request: web.Request) -> web.Response:
    """DELETE all that was said, without an event: for a bot that has yet to come."""
    desk_of(request).world.forget_messages()
    return web.json_response({})


async def lose_files(request: web.Request) -> web.Response:
    """DELETE the bytes of every attachment; the messages stay."""
    desk_of(request).cdn.forget()
    return web.json_response({})


async def one(request: web.Request) -> web.Response:
    """GET a message, hidden ones too."""
    return web.json_response(views.message(desk_of(request), _message(request)))


async def edit(request: web.Request) -> web.Response:
    """PATCH a message's content."""
    data = await body_of(request, "content")
    message = _message(request)
    actions.edit(desk_of(request), message, {"content": str(data["content"])})
    return web.json_response(views.message(desk_of(request), message))


async def delete(request: web.Request) -> web.Response:
    """DELETE a message, as its author."""
    desk, message = desk_of(request), _message(request)
    actions.delete(desk, message, desk.world.users[message.author_id])
    return web.json_response({})


async def answers(request: web.Request) -> web.Response:
    """GET the bot's messages that reference a message, oldest first, those that still exist."""
    desk = desk_of(request)
    ids = desk.counts.ledger.get(int(request.match_info["id"]), [])
    found = [desk.world.find_message(each) for each in ids if desk.world.knows(each)]
    return web.json_response([views.message(desk, each) for each in found])


async def read(request: web.Request) -> web.Response:
    """GET a channel's newest messages, oldest first."""
    desk = desk_of(request)
    channel = channel_of(desk, request.match_info["ref"])
    messages = desk.world.history(channel, int(request.query.get("limit", "50")))
    return web.json_response([views.message(desk, each) for each in reversed(messages)])


async def react(request: web.Request) -> web.Response:
    """POST a user's reaction."""
    desk = desk_of(request)
    data = await body_of(request, "message", "author", "emoji", "remove")
    user = user_of(desk, data["author"])
    message = _message(request, data["message"])
    actions.react(desk, message, user, data["emoji"], remove=bool(data.get("remove")))
    return web.json_response({})


async def typing(request: web.Request) -> web.Response:
    """POST that a user is typing."""
    desk = desk_of(request)
    data = await body_of(request, "channel", "author")
    user = user_of(desk, data["author"])
    actions.typing(desk, channel_of(desk, data["channel"], user), user)
    return web.json_response({})
