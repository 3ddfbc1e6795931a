"""Test clients of the server: real discord.py, plain REST, and plain gateway clients."""

import asyncio
import contextlib
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp

from tests.servers.discord.connection import HEARTBEAT, IDENTIFY, RESUME
from tests.servers.discord.errors import Json
from tests.servers.discord.library import app_commands, discord
from tests.servers.discord.server import DiscordServer

TOKEN = "made.up.token"  # noqa: S105  not a real credential
DEFAULT = 1 << 0 | 1 << 9 | 1 << 10 | 1 << 12 | 1 << 15
PATIENCE = 10.0


class Bot(discord.Client):
    """A bot that answers each person's message with a reply and then edits it."""

    def __init__(self, intents: discord.Intents | None = None, **options: Any) -> None:
        default = discord.Intents.default()
        default.message_content = True
        super().__init__(intents=intents or default, guild_ready_timeout=0.1, **options)
        self.tree = app_commands.CommandTree(self)
        self.heard: list[str] = []
        self.ended: asyncio.Task[None] | None = None
        self.edits = True

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Identify at once; discord.py would wait 5 s."""

    async def on_message(self, message: discord.Message) -> None:
        """Answer."""
        if message.author.bot:
            return
        self.heard.append(message.content)
        reply = await message.reply(f"re: {message.content}", nonce=str(message.id))
        if self.edits:
            await reply.edit(content=f"{reply.content}!")

    @asynccontextmanager
    async def running(self, token: str = TOKEN) -> AsyncIterator[Self]:
        """Run a connected client; close it at the end in any case."""
        self.ended = asyncio.create_task(self.start(token))
        try:
            await asyncio.wait(
                {self.ended, asyncio.create_task(self.wait_until_ready())},
                return_when=asyncio.FIRST_COMPLETED,
                timeout=PATIENCE,
            )
            yield self
        finally:
            await self.close()
            with contextlib.suppress(discord.DiscordException):
                await self.ended


class ZlibContext:
    """The decompression that discord.py uses if zstandard is not installed."""

    COMPRESSION_TYPE = "zlib-stream"

    def __init__(self) -> None:
        self._context = zlib.decompressobj()

    def decompress(self, data: bytes, /) -> str | None:
        """Decompress one payload, which must end with the flush."""
        assert data.endswith(b"\x00\x00\xff\xff")
        return self._context.decompress(data).decode()


class Rest:
    """Plain REST calls as the bot: status, JSON, headers."""

    def __init__(self, server: DiscordServer, session: aiohttp.ClientSession) -> None:
        self.base = f"{server.base_url}/api/v10"
        self.session = session
        self.headers = {"Authorization": f"Bot {TOKEN}"}

    async def __call__(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> tuple[int, Any]:
        """Send a request; return the response without headers."""
        status, data, _ = await self.full(method, path, body, **options)
        return status, data

    async def full(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> tuple[int, Any, dict[str, str]]:
        """Send a request; return the response with headers."""
        call = self.session.request(
            method, self.base + path, json=body, headers=self.headers, **options
        )
        async with call as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None, dict(response.headers)


class Wire:
    """A plain gateway connection without compression."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def get(self) -> Json:
        """Return the next payload."""
        data: Json = await self.ws.receive_json(timeout=PATIENCE)
        return data

    async def until(self, name: str) -> Json:
        """Read until a dispatch of that name; return it."""
        while True:
            payload = await self.get()
            if payload["t"] == name:
                return payload

    async def close_code(self) -> int | None:
        """Read until the server closes the connection; return the code."""
        async with asyncio.timeout(PATIENCE):
            async for _ in self.ws:
                pass
        return self.ws.close_code

    async def send(self, op: int, data: Any = None) -> None:
        """Send a command."""
        await self.ws.send_json({"op": op, "d": data})

    async def identify(self, intents: Any = DEFAULT, **more: Any) -> None:
        """Send IDENTIFY with the accepted token."""
        await self.send(IDENTIFY, {"token": TOKEN, "intents": intents, "properties": {}} | more)

    async def resume(self, session: str, seq: int) -> None:
        """Send RESUME."""
        await self.send(RESUME, {"token": TOKEN, "session_id": session, "seq": seq})

    async def beat(self) -> None:
        """Send a heartbeat."""
        await self.send(HEARTBEAT, None)


@asynccontextmanager
async def wired(server: DiscordServer, session: aiohttp.ClientSession) -> AsyncIterator[Wire]:
    """Open a gateway connection and read HELLO."""
    url = f"{server.state.gateway_url}?v=10&encoding=json"
    async with session.ws_connect(url, timeout=aiohttp.ClientWSTimeout(ws_close=1)) as ws:
        wire = Wire(ws)
        assert (await wire.get())["op"] == 10  # noqa: PLR2004  HELLO
        yield wire
