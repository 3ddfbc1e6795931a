"""The two listeners: Discord's own, and the control API on loopback."""

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.servers.discord.control_api import app as control_app
from tests.servers.discord.faults import Fault
from tests.servers.discord.gateway import Gateway
from tests.servers.discord.rest import app
from tests.servers.discord.seed import BOT_ID, populate
from tests.servers.discord.settings import Settings
from tests.servers.discord.state import ServerState
from tests.servers.discord.tokens import Tokens
from tests.servers.discord.world import World

SHUTDOWN = 0.2
LOOK = 0.005


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port; port 0 means any free port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `host:port`; ValueError otherwise."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdigit() or not host:
            msg = f"expected host:port, not {text!r}"
            raise ValueError(msg)
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class DiscordServer:
    """Use as `async with`; `base_url` is Discord's address and `control_url` ours."""

    def __init__(
        self,
        listen: Address,
        control: Address,
        tokens: Tokens,
        *,
        seed: bool = True,
        settings: Settings | None = None,
    ) -> None:
        self._public = _bind(listen)
        self._private = _bind(control)
        self.base_url = _url(listen.host, self._public)
        self.control_url = _url(control.host, self._private)
        self._seed = seed
        world = World(bot_id=BOT_ID)
        if seed:
            populate(world)
        self.state = ServerState(world, tokens, self.base_url, settings or Settings())
        self.gateway = Gateway(self.state)
        rest = app.build(self.state, self.gateway)
        self._runner = web.AppRunner(rest, access_log=None, shutdown_timeout=SHUTDOWN)
        controls = control_app.build(self.state, self.gateway, self.refuse, self.reset)
        self._control = web.AppRunner(controls, access_log=None, shutdown_timeout=SHUTDOWN)
        self._site: web.BaseSite | None = None
        self._refusing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await self._control.setup()
        self._site = web.SockSite(self._runner, self._public)
        await self._site.start()
        await web.SockSite(self._control, self._private).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._refusing is not None:
            self._refusing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._refusing
        self.state.faults.end_all()
        self.cut()
        await self._runner.cleanup()
        await self._control.cleanup()

    def cut(self) -> None:
        """Reset every open connection of the Discord listener."""
        if self._runner.server is not None:
            for each in list(self._runner.server.connections):
                if each.transport is not None:
                    each.transport.abort()

    async def reset(self) -> None:
        """Return to the initial state: cut connections, forget what happened and what was set.

        Ids and event numbers keep increasing, so that nothing new is mistaken for something old.
        """
        self.state.faults.end_all()
        if self._refusing is not None:
            await self._refusing
        before = set(self.gateway.connections)
        self.state.reset()
        self.gateway.forget_identifies()
        if self._seed:
            populate(self.state.world)
        self.cut()
        while before & self.gateway.connections:  # noqa: ASYNC110 - each connection removes itself
            await asyncio.sleep(LOOK)
        self.state.forget_counts()

    async def refuse(self, fault: Fault) -> None:
        """Stop listening, cut connections, and listen again when the fault is over."""
        if self._refusing is not None and not self._refusing.done():
            msg = "connections are being refused already"
            raise ValueError(msg)
        host, port = self._public.getsockname()[:2]
        if self._site is not None:
            await self._site.stop()
        self.cut()
        self._refusing = asyncio.create_task(self._come_back(fault, Address(host, port)))

    async def _come_back(self, fault: Fault, address: Address) -> None:
        await self.state.faults.hold(fault)
        self._public = _bind(address)
        self._site = web.SockSite(self._runner, self._public)
        await self._site.start()


def _bind(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((address.host, address.port))
    except OSError:
        sock.close()
        raise
    return sock


def _url(host: str, sock: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{sock.getsockname()[1]}"
