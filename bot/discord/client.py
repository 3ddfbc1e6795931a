"""Receive Discord's events: each is converted to a value and handed on, and nothing else."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket, ReconnectWebSocket

from bot.discord import buttons, compat, converters
from bot.domain.errors import DiscordDown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.answers.dispatcher import Dispatcher
    from bot.context.message_cache import MessageCache
    from bot.discord.backfill import Backfill
    from bot.discord.buttons import ButtonHandler
    from bot.discord.commands import CommandHandler
    from bot.discord.conversations import Conversations
    from bot.discord.session import HeartbeatMonitor, ReconnectBackoff
    from bot.discord.shards import IdentifyLimiter
    from bot.domain.messages import Message
    from bot.observability.metrics import Metrics
    from bot.settings.schema import DiscordSettings

log = logging.getLogger(__name__)


_HEARTBEAT_SECONDS = 60.0  # silence after which discord.py reconnects; beats are 41 s apart
_CONNECT_SECONDS = 60.0  # for a connection, its HELLO, and the wait before an IDENTIFY
_RESUMES_ELSEWHERE = 3  # failures after which the address that READY named is given up
_PERMISSIONS = frozenset({"GUILD_CREATE", "GUILD_UPDATE", "CHANNEL_UPDATE", "GUILD_ROLE_UPDATE"})
_DISALLOWED_INTENTS = 4014
_CLOSED_NORMALLY = 1000  # which Discord sends now and then for no reason
_BROKEN = (OSError, TimeoutError, aiohttp.ClientError, discord.HTTPException)
_GUILD_SECONDS = 0.5  # discord.py waits this long after the last guild; catching up waits for it


def point_at(settings: DiscordSettings) -> None:
    """Make discord.py talk to the addresses of the settings. They are its class attributes.

    Called once, where the bot is put together. Pictures come from the same server as the REST API
    where that is not Discord's own. It also need not say that it cannot speak aloud.
    """
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
    discord.http.Route.BASE = settings.api_url
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(settings.gateway_url)
    if yarl.URL(settings.api_url).host != "discord.com":
        discord.Asset.BASE = str(yarl.URL(settings.api_url).origin())


def intents() -> discord.Intents:
    """What Discord sends: servers, channels, messages with their content (which is privileged)."""
    return discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True)


class GatewayClient(discord.Client):
    """One login. It caches no messages and no members; the MessageCache has what is needed."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        cache: MessageCache,
        heartbeat: HeartbeatMonitor,
        backfill: Backfill,
        *,
        button_handler: ButtonHandler,
        interactions: CommandHandler,
        conversations: Conversations,
        shard: tuple[int, int],
        identify_limiter: IdentifyLimiter,
        backoff: ReconnectBackoff,
        metrics: Metrics,
    ) -> None:
        """Create one session: `shard` is its number and the number of shards."""
        self.rest = compat.RestMonitor()
        super().__init__(
            http_trace=self.rest.trace,
            intents=intents(),
            shard_id=shard[0],
            shard_count=shard[1],
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            guild_ready_timeout=_GUILD_SECONDS,
            heartbeat_timeout=_HEARTBEAT_SECONDS,
            allowed_mentions=discord.AllowedMentions.none(),
        )
        self._dispatcher = dispatcher
        self._cache = cache
        self._heartbeat = heartbeat
        self._backfill = backfill
        self._button_handler = button_handler
        self._interactions = interactions
        self._conversations = conversations
        self._identify_limiter = identify_limiter
        self._backoff = backoff
        self._metrics = metrics
        self.unsure: set[object] = set()  # servers; None: any of them
        compat.tolerate(self, self.skipped)

    async def connect(self, *, reconnect: bool = True) -> None:
        """Stay connected until closed, with a pause before every connection.

        Raises PrivilegedIntentsRequired, or ConnectionClosed where another attempt of the same kind
        would end alike; with `reconnect` false, whatever ends the first connection.
        """
        first: dict[str, Any] = {"initial": True, "shard_id": self.shard_id}
        params = first
        while not self.is_closed():
            await asyncio.sleep(self._backoff.pause(identify=not params.get("resume")))
            resume = True
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    self.ws = await compat.WebSocket.from_client(self, **params)
                while True:
                    await self.ws.poll_event()
            except ReconnectWebSocket as error:
                resume = error.resume
            except discord.ConnectionClosed as error:
                if error.code == _DISALLOWED_INTENTS:
                    raise discord.PrivilegedIntentsRequired(error.shard_id) from error
                if error.code != _CLOSED_NORMALLY or not reconnect:
                    raise
            except _BROKEN as error:
                if not reconnect:
                    raise
                log.debug("gateway connection broke", extra={"error": type(error).__name__})
            if self.is_closed():
                return
            self.dispatch("disconnect")
            params = self._next(first | {"initial": False}, resume=resume)

    def _next(self, params: dict[str, Any], *, resume: bool) -> dict[str, Any]:
        """Return the arguments of the next connection, which goes on with the session if it may."""
        ws: DiscordWebSocket | None = self.ws
        if not resume or ws is None or ws.session_id is None:
            return params
        params |= {"resume": True, "session": ws.session_id, "sequence": ws.sequence}
        if self._backoff.failures < _RESUMES_ELSEWHERE:
            params["gateway"] = ws.gateway
        return params

    def skipped(self, kind: str, ids: Mapping[str, object], error: BaseException) -> None:
        """Count and log an event of Discord that the library could not parse.

        An update of permissions among it leaves those of before in the cache, which may be wrong.
        """
        event = ids.get("event")
        if event in _PERMISSIONS and not ids.get("in_part"):
            whole = event in {"GUILD_CREATE", "GUILD_UPDATE"}
            self.unsure.add(ids.get("id" if whole else "guild_id"))
        self._metrics.unreadable.labels(kind).inc()
        extra = {"kind": kind, **ids, "error": type(error).__name__}
        log.warning("unreadable event skipped", extra=extra)

    def knows_permissions(self, guild_id: int) -> bool:
        """Whether the cached permissions of a server are certainly up to date."""
        return guild_id not in self.unsure and None not in self.unsure

    def forget_session(self) -> None:
        """Make the next connection start a new session."""
        if self.ws is not None:
            self.ws.session_id = None

    async def on_unreadable(
        self, kind: str, ids: Mapping[str, object], error: BaseException
    ) -> None:
        """See compat.WebSocket."""
        self.skipped(kind, ids, error)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Wait for the shard's turn; `connect` has waited already where this is a repetition."""
        del initial
        await self._identify_limiter(shard_id or 0, self._limits)
        self._backoff.identified()
        self.unsure.clear()  # Discord tells of all servers again

    async def _limits(self) -> tuple[int, int]:
        recommended, _, limits = await self.http.get_bot_gateway()
        return recommended, limits["max_concurrency"]

    @property
    def me(self) -> int:
        """The bot's own user id; 0 before the login."""
        return self.user.id if self.user else 0

    async def on_connect(self) -> None:
        """READY was received: events come from here on."""
        log.info("gateway ready", extra={"guilds": len(self.guilds), "user_id": self.me})
        self._cache.missed()
        self._conversations.missed()
        self._backoff.opened()
        self._heartbeat.opened("ready")
        self._backfill.opened()

    async def on_ready(self) -> None:
        """Start the backfill, now that the servers and their channels are known."""
        self._backfill.known(self)
        await self._interactions.introduce(self)

    async def on_resumed(self) -> None:
        """RESUMED: what was missed has been sent."""
        log.info("gateway resumed")
        self._backoff.opened()
        self._heartbeat.opened("resumed")
        self._backfill.resumed()

    async def on_disconnect(self) -> None:
        """Note that the connection broke or could not be made; discord.py keeps trying."""
        if self._heartbeat.open:
            log.warning("gateway disconnected")
        self._heartbeat.closed("disconnected")
        self._backfill.gap()

    async def on_message(self, message: discord.Message) -> None:
        """Pass a message on."""
        try:
            quoted = converters.replied(message)
        except Exception as error:  # noqa: BLE001  # the question itself may well be readable
            quoted = None
            self.skipped("message", compat.ids_of_message(message), error)
        if quoted is not None:
            self._cache.freshen(quoted)
        read = self._interactions.topics.whole(converters.to_message(message))
        self._backfill.heard(read.id, read.channel_id if read.direct else None)
        if not read.direct:
            self._conversations.hear(read, self.me)
            if self._dispatcher.may_continue(read, self.me):
                read = await self._settled(read)
        self._dispatcher.receive(read, self.me)

    async def _settled(self, message: Message) -> Message:
        """Find out whether a message in a thread needs a call; if that fails, the backfill does."""
        with self._backfill.undecided(message.id):
            try:
                return await self._conversations.settle(message, self.me)
            except DiscordDown:
                self._backfill.look_at(message)
                return message

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        """Pass on a command, a menu or a button press."""
        press = buttons.to_button_press(interaction, self.me)
        if press is not None:
            await buttons.respond(interaction, press, self._button_handler)
        else:
            await self._interactions.receive(interaction)

    async def on_raw_message_edit(self, event: discord.RawMessageUpdateEvent) -> None:
        """Pass on an edit; previews that Discord adds do not count as one, but are cached."""
        if event.message.author.id == self.me:
            return
        message = converters.to_message(event.message)
        if event.message.edited_at is not None:
            self._dispatcher.edit(message, self.me)
        elif self._cache.get(message.id) is not None:
            self._cache.put(message)

    async def on_raw_message_delete(self, event: discord.RawMessageDeleteEvent) -> None:
        """Forget a message."""
        self._dispatcher.withdraw(event.message_id)

    async def on_raw_bulk_message_delete(self, event: discord.RawBulkMessageDeleteEvent) -> None:
        """Forget messages."""
        for message_id in event.message_ids:
            self._dispatcher.withdraw(message_id)

    async def on_error(self, event_method: str, /, *_: Any, **__: Any) -> None:
        """Log and count a bug in one of the methods above; only the event is lost."""
        self._metrics.unreadable.labels("event").inc()
        log.error("event handler failed", extra={"event": event_method}, exc_info=True)  # noqa: LOG014  # discord.py calls this while it handles the exception
