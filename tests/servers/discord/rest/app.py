"""The web application that bots talk to."""

from aiohttp import web

from tests.servers.discord.desk import Desk
from tests.servers.discord.gateway import Gateway
from tests.servers.discord.rest import (
    application,
    cdn,
    channels,
    interactions,
    messages,
    people,
    reactions,
)
from tests.servers.discord.rest.base import DESK, PREFIX
from tests.servers.discord.rest.middleware import discord

LARGEST_REQUEST = 26 << 20


def build(desk: Desk, gateway: Gateway) -> web.Application:
    """REST below /api/v10, the gateway at /gateway and /, the CDN below /attachments."""
    app = web.Application(middlewares=[discord], client_max_size=LARGEST_REQUEST)
    app[DESK] = desk
    for noun in (messages, reactions, channels, people, application, interactions):
        for route in noun.routes():
            app.router.add_route(route.method, PREFIX + route.path, route.handler)
    app.add_routes(cdn.routes())
    for path in ("/", "/gateway", "/gateway/"):
        app.router.add_get(path, gateway.handle)
    return app
