"""Incoming webhooks in Slack's form, which is how Flux posts its alerts to Discord.

https://docs.discord.com/developers/resources/webhook#execute-slackcompatible-webhook
"""

import secrets
from typing import Final

from aiohttp import web

from tests.servers.discord import actions, errors
from tests.servers.discord.actions import Draft
from tests.servers.discord.errors import ApiError, Json
from tests.servers.discord.rest.base import body_of, check_fields, snowflake, state_of
from tests.servers.discord.rest.body_checks import accept
from tests.servers.discord.rest.messages import check_not_empty

_BODY: Final = frozenset({"channel", "username", "icon_url", "icon_emoji", "text", "attachments"})
_ATTACHMENT: Final = frozenset({"fallback", "color", "author_name", "text", "mrkdwn_in", "fields"})
_COLORS: Final = {"good": 0x2EB886, "warning": 0xDAA038, "danger": 0xA30100}


def routes() -> list[web.RouteDef]:
    """Return the routes of this module. The URL that Discord issues has no version in it."""
    return [web.post("/api/webhooks/{webhook_id}/{token}/slack", post)]


async def post(request: web.Request) -> web.Response:
    """POST a message as the webhook; `username` and icons only change its look and are ignored."""
    state = state_of(request)
    webhook = state.world.webhooks.get(snowflake(request, "webhook_id"))
    if webhook is None:
        raise ApiError(*errors.UNKNOWN_WEBHOOK)
    if not secrets.compare_digest(webhook.token, request.match_info["token"]):
        raise ApiError(*errors.BAD_WEBHOOK_TOKEN)
    body = await body_of(request, _BODY, "a webhook's message")
    embeds = []
    for attachment in body.get("attachments") or ():
        check_fields(state, attachment, _ATTACHMENT, "an attachment in Slack's form")
        embeds.append(_embed(attachment))
    incoming = accept(state, {"content": body.get("text") or "", "embeds": embeds}, {})
    check_not_empty(incoming)
    channel = state.world.channel(webhook.channel)
    actions.post(state, Draft(webhook.author, channel, **incoming.fields))
    return web.Response(text="ok")


def _embed(attachment: Json) -> Json:
    fields = [
        {"name": each["title"], "value": each["value"], "inline": bool(each.get("short"))}
        for each in attachment.get("fields") or ()
    ]
    return {
        "type": "rich",
        "description": attachment.get("text") or "",
        "author": {"name": attachment.get("author_name") or ""},
        "color": _COLORS.get(attachment.get("color") or "", 0),
        "fields": fields,
    }
