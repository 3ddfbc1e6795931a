"""The web application behind the control API."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.servers.discord.control_api import (
    administration,
    guilds,
    injection,
    interactions,
    messages,
)
from tests.servers.discord.control_api.base import GATEWAY, REFUSE, RESET, sentences
from tests.servers.discord.faults import Fault
from tests.servers.discord.gateway import Gateway
from tests.servers.discord.rest.base import STATE
from tests.servers.discord.state import ServerState

LARGEST_REQUEST = 32 << 20


def build(
    state: ServerState,
    gateway: Gateway,
    refuse: Callable[[Fault], Awaitable[None]],
    reset: Callable[[], Awaitable[None]],
) -> web.Application:
    """Build the application. Listen on loopback only: there is no authorization."""
    app = web.Application(middlewares=[sentences], client_max_size=LARGEST_REQUEST)
    app[STATE], app[GATEWAY], app[REFUSE], app[RESET] = state, gateway, refuse, reset
    for part in (messages, guilds, interactions, administration, injection):
        app.add_routes(part.routes())
    return app
