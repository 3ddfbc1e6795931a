"""The web application behind the control API."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.servers.discord.control_api import commands, places, ruling, speech
from tests.servers.discord.control_api.base import GATEWAY, REFUSE, sentences
from tests.servers.discord.desk import Desk
from tests.servers.discord.faults import Fault
from tests.servers.discord.gateway import Gateway
from tests.servers.discord.rest.base import DESK

LARGEST_REQUEST = 32 << 20


def build(
    desk: Desk, gateway: Gateway, refuse: Callable[[Fault], Awaitable[None]]
) -> web.Application:
    """All routes; listen on loopback only, there is no authorization."""
    app = web.Application(middlewares=[sentences], client_max_size=LARGEST_REQUEST)
    app[DESK], app[GATEWAY], app[REFUSE] = desk, gateway, refuse
    for part in (speech, places, commands, ruling):
        app.add_routes(part.routes())
    return app
