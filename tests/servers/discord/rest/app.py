"""The web application that bots talk to."""

from aiohttp import web

from tests.servers.discord.gateway import Gateway
from tests.servers.discord.rest import (
    application,
    cdn,
    channels,
    interactions,
    messages,
    people,
    reactions,
    webhooks,
)
from tests.servers.discord.rest.base import PREFIX, STATE
from tests.servers.discord.rest.middleware import discord
from tests.servers.discord.state import ServerState

LARGEST_REQUEST = 26 << 20


def build(state: ServerState, gateway: Gateway) -> web.Application:
    """Build it: REST below /api/v10, the gateway at /gateway and /, the CDN below /attachments."""
    app = web.Application(middlewares=[discord], client_max_size=LARGEST_REQUEST)
    app[STATE] = state
    for noun in (messages, reactions, channels, people, application, interactions):
        for route in noun.routes():
            app.router.add_route(route.method, PREFIX + route.path, route.handler)
    app.add_routes([*cdn.routes(), *webhooks.routes()])
    for path in ("/", "/gateway", "/gateway/"):
        app.router.add_get(path, gateway.handle)
    return app
