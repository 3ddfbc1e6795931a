"""The bot's calls to Discord's REST API: send, edit, delete, type, react, look up a message.

discord.py waits out rate limits and retries after 500, 502, 504 and 524. This module also retries
after 503, a broken connection, silence, and while a client is being replaced. A retry never posts
a message twice: Discord drops a second one with the same nonce.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import discord

from bot.discord import compat, converters, permissions
from bot.discord.backfill import RoleLookup
from bot.domain.errors import ContentRefused, DiscordDown, MayNotSpeak, PlaceGone, Unsaid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from bot.discord.client import GatewayClient
    from bot.domain.messages import Button, Location, Message, Post
    from bot.observability.metrics import Metrics
    from bot.reply.edit_rates import RateLimiter

log = logging.getLogger(__name__)


SILENT = discord.AllowedMentions.none()


def message_arguments(post: Post) -> dict[str, Any]:
    """Convert a post to arguments of `send`. Sending consumes files: convert for each attempt."""
    arguments: dict[str, Any] = {"content": post.text, "allowed_mentions": SILENT}
    if post.buttons:
        arguments["view"] = _view(post.buttons)
    if post.files:
        arguments["files"] = _files(post)
    if not post.previews:
        arguments["suppress_embeds"] = True
    return arguments


def edit_arguments(post: Post, was: Post | None) -> dict[str, Any]:
    """Convert what differs from `was` to arguments of `edit`; everything if `was` is unknown."""
    arguments: dict[str, Any] = {"content": post.text, "allowed_mentions": SILENT}
    if was is None or was.buttons != post.buttons:
        arguments["view"] = _view(post.buttons) if post.buttons else None
    if was is None or was.files != post.files:
        arguments["attachments"] = _files(post)
    if not post.previews and (was is None or was.previews):
        arguments["suppress"] = True
    return arguments


def _view(buttons: tuple[Button, ...]) -> discord.ui.View:
    """Build a row of buttons. The view is finished at once, so that discord.py does not keep it.

    Who presses one is heard of as an interaction, whichever process laid it out.
    """
    view = discord.ui.View(timeout=None)
    for button in buttons:
        view.add_item(discord.ui.Button(label=button.label, custom_id=button.id))
    view.stop()
    return view


def _files(post: Post) -> list[discord.File]:
    return [discord.File(io.BytesIO(each.data), filename=each.name) for each in post.files]


T = TypeVar("T")


_ATTEMPT_SECONDS = 30.0  # longer than the longest wait for a place in a channel's limit
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
# What is half said is no answer, and nobody would hear why it broke off: a minute for a message,
# because a nonce is remembered for three, and three minutes for an edit, which doubles nothing.
_PATIENT_SEND = (*_PAUSES, *(15.0,) * 3)
_PATIENT_EDIT = (*_PAUSES, *(15.0,) * 11)
_LOGIN_SECONDS = 900.0  # a person sets a new token; after that the words are stale
_NO_HISTORY_FOR_REPLY = 160002  # a reply needs the permission to read what it replies to
_THREAD_EXISTS = 160004
_ARCHIVED = 50083
_THREAD_SECONDS = 10.0  # for opening a thread; the answer goes on without one
_INVALID_FORM = 50035
# AutoMod, AutoMod for titles, explicit content, harmful links: of these words, not of this place.
_CONTENT_CODES = frozenset({200000, 200001, 20009, 240000})
_BLOCKED_BY_CLOUDFLARE = 40333
_LONGEST_BLOCK = 3600.0
_UNSAID_PAUSE = 10.0  # after a 429 that does not say how long
_ANSWER_LIES_WITHIN = 100  # messages after its question; Discord hands out so many at once


class RestClient:
    """Discord's channels, through whichever client is logged in now.

    `client` gives the one that knows a server, or any for None.
    """

    def __init__(
        self,
        client: Callable[[int | None], GatewayClient | None],
        metrics: Metrics,
        rate_limiter: RateLimiter,
        logged_in: Callable[[], Awaitable[object]],
    ) -> None:
        self._client = client
        self._metrics = metrics
        self._rate_limiter = rate_limiter
        self._logged_in = logged_in

    async def send(self, to: Message, post: Post, nonce: str, channel_id: int) -> int:
        """See MessageSink."""
        reference = discord.MessageReference(
            message_id=to.id,
            channel_id=to.channel_id,
            guild_id=to.guild_id,
            fail_if_not_exists=False,  # a deleted question still gets its answer
        )

        async def look(client: GatewayClient) -> tuple[int] | None:
            return await self._sent(client, to, post, nonce, channel_id)

        async def call(client: GatewayClient) -> int:
            place = client.get_partial_messageable(channel_id, guild_id=to.guild_id)
            new = message_arguments(post)
            if channel_id == to.channel_id:
                new |= {"reference": reference, "mention_author": False}
            try:
                sent = await place.send(nonce=nonce, **new)
            except discord.HTTPException as error:
                why = _refuses_reference(error)
                if why is None:
                    raise
                self._metrics.calls.labels("send", why).inc()
                sent = await place.send(nonce=nonce, **message_arguments(post))
            if isinstance(sent, compat.UnreadableMessage):
                return sent.id
            if sent.content.strip() != post.text.strip():
                # The nonce found what another pod had sent before it was killed.
                await sent.edit(**edit_arguments(post, None))
            return sent.id

        return await self._ask("send", call, _PATIENT_SEND, lost=look)

    async def _sent(
        self, client: GatewayClient, to: Message, post: Post, nonce: str, channel_id: int
    ) -> tuple[int] | None:
        """Find what was just sent, by its nonce, or as Discord need not tell that, by its words."""
        me = client.user.id if client.user else 0
        place = client.get_partial_messageable(channel_id, guild_id=to.guild_id)
        after = discord.Object(to.id)
        newest = place.history(limit=_ANSWER_LIES_WITHIN, after=after, oldest_first=False)
        own = [each async for each in newest if each.author.id == me]
        named = (each.id for each in own if str(each.nonce) == nonce)
        alike = (
            each.id
            for each in own
            if each.nonce is None
            and each.content.strip() == post.text.strip()
            and (channel_id != to.channel_id or converters.answers(each, me) == to.id)
        )
        found = next(named, None) or next(alike, None)
        return None if found is None else (found,)

    async def edit(
        self, channel_id: int, message_id: int, post: Post, was: Post | None, *, patient: bool
    ) -> None:
        """See MessageSink."""
        if self._rate_limiter.behind and not patient:
            self._metrics.calls.labels("edit", "left_out").inc()
            raise DiscordDown("left out: so much else is waiting")

        async def call(client: GatewayClient) -> None:
            try:
                await _edit(client, channel_id, message_id, edit_arguments(post, was))
            except discord.HTTPException as error:
                if error.code != _ARCHIVED:
                    raise
                # Only a new message opens an archived thread by itself.
                await client.http.edit_channel(channel_id, archived=False)
                await _edit(client, channel_id, message_id, edit_arguments(post, was))

        async def look(client: GatewayClient) -> tuple[None] | None:
            shown = await client.get_partial_messageable(channel_id).fetch_message(message_id)
            unread = isinstance(shown, compat.UnreadableMessage)
            return (None,) if unread or shown.content.strip() == post.text.strip() else None

        await self._ask("edit", call, _PATIENT_EDIT if patient else (), lost=look)

    async def delete(self, channel_id: int, message_id: int) -> None:
        """See MessageSink."""

        async def call(client: GatewayClient) -> None:
            place = client.get_partial_messageable(channel_id)
            await place.get_partial_message(message_id).delete()

        await self._ask("delete", call, _PAUSES[:2], lost=_done)

    async def start_thread(
        self, on: Message, message_id: int, title: str
    ) -> tuple[int, tuple[int, ...]]:
        """See MessageSink."""
        try:
            async with asyncio.timeout(_THREAD_SECONDS):
                return await self._start_thread(on, message_id, title)
        except (Unsaid, TimeoutError) as error:
            failed = error if isinstance(error, Unsaid) else DiscordDown("no thread in time")
            extra = {"error": failed.label, "detail": str(failed)}
            log.info("thread could not be opened", extra=extra)
            raise failed from error

    async def _start_thread(
        self, on: Message, message_id: int, title: str
    ) -> tuple[int, tuple[int, ...]]:
        if on.guild_id is None:
            raise MayNotSpeak("a direct message has no threads")
        if not _may_open(self._permissions(on)[1]):  # not even an empty thread
            self._metrics.calls.labels("thread", MayNotSpeak.label).inc()
            raise MayNotSpeak("the bot has no permission to open threads there and write in them")

        async def call(client: GatewayClient) -> tuple[int, tuple[int, ...]]:
            place = client.get_partial_messageable(on.channel_id, guild_id=on.guild_id)
            message = place.get_partial_message(message_id)
            try:
                return (await message.create_thread(name=title)).id, ()
            except discord.HTTPException as error:
                if error.code != _THREAD_EXISTS:
                    raise
            # It has the id of the message that it hangs on. What replies to nothing is an answer's.
            thread = client.get_partial_messageable(message_id, guild_id=on.guild_id)
            me = client.user.id if client.user else 0
            found = [each async for each in thread.history(limit=100, oldest_first=True)]
            about = {message_id, on.id}
            own = (each for each in found if converters.answers(each, me) in about)
            return message_id, tuple(each.id for each in own if each.reference is None)

        return await self._ask("thread", call, _PAUSES)

    async def react(self, to: Message, emoji: str) -> None:
        """See MessageSink."""

        async def call(client: GatewayClient) -> None:
            place = client.get_partial_messageable(to.channel_id)
            await place.get_partial_message(to.id).add_reaction(emoji)

        await self._ask("react", call, (), lost=_done)

    def may_write(self, to: Message, *, in_thread: bool = False) -> bool:
        """See MessageSink. What discord.py knows of servers is asked, not Discord."""
        place, allowed = self._permissions(to)
        if isinstance(place, discord.Thread):
            return allowed.send_messages_in_threads
        return allowed.send_messages or (in_thread and _may_open(allowed))

    def _permissions(
        self, to: Message
    ) -> tuple[discord.abc.GuildChannel | discord.Thread | None, discord.Permissions]:
        """Return the channel or thread of a message, and what the bot may do there.

        None, and everything, where the bot was not told: Discord knows.
        """
        client = self._client(to.guild_id)
        guild = client.get_guild(to.guild_id) if client and to.guild_id else None
        place = guild.get_channel_or_thread(to.channel_id) if guild else None
        if guild is None or place is None or guild.me is None:
            return None, discord.Permissions.all()
        return place, place.permissions_for(guild.me)

    async def typing(self, channel_id: int) -> None:
        """See MessageSink."""

        async def call(client: GatewayClient) -> None:
            await client.get_partial_messageable(channel_id).typing()

        await self._ask("typing", call, (), lost=_done)

    async def fetch(self, channel_id: int, message_id: int) -> Message | None:
        """See History."""

        async def call(client: GatewayClient) -> Message:
            place: discord.abc.Messageable = client.get_partial_messageable(channel_id)
            known = client.get_channel(channel_id)
            if isinstance(known, discord.abc.Messageable):
                place = known  # with its server and names, which no message brings along
            return _read(client, await place.fetch_message(message_id))

        with contextlib.suppress(PlaceGone, MayNotSpeak):
            return await self._ask("fetch", call, _PAUSES[:2])
        return None

    async def addresses(self, channel_id: int, message_id: int) -> dict[int, str]:
        """Return the addresses that the files of a message have now, by their ids."""
        with contextlib.suppress(Unsaid):
            message = await self.fetch(channel_id, message_id)
            return {file.id: file.url for file in message.attachments} if message else {}
        return {}

    async def recent(self, channel_id: int, before: int, most: int) -> list[Message] | None:
        """See History."""

        async def call(client: GatewayClient) -> list[Message]:
            place = client.get_partial_messageable(channel_id)
            found = place.history(limit=most, before=discord.Object(before))
            return [_read(client, each) async for each in found][::-1]

        with contextlib.suppress(Unsaid):
            return await self._ask("history", call, _PAUSES[:1])
        return None

    async def newest(self, channel_id: int, most: int) -> list[Message]:
        """See ThreadHistory."""

        async def call(client: GatewayClient) -> list[Message]:
            place: discord.abc.Messageable = client.get_partial_messageable(channel_id)
            known = client.get_channel(channel_id)
            if isinstance(known, discord.Thread):
                place = known  # with its server and names
            return [_read(client, each) async for each in place.history(limit=most)][::-1]

        return await self._ask("history", call, _PAUSES[:2])

    async def may_read(self, message: Message, channel_id: int) -> bool:
        """See History. Roles that Discord did not tell are asked for."""
        if message.direct:
            return channel_id == message.channel_id
        client = self._client(message.guild_id)
        guild = client.get_guild(message.guild_id) if client and message.guild_id else None
        if client is not None and message.role_ids is None:
            message = await RoleLookup(client).fill(message)
        if client is None or guild is None or not client.knows_permissions(guild.id):
            return False
        return permissions.may_read(guild, message, channel_id)

    def place_of(self, guild_id: int | None, channel_id: int) -> Location | None:
        """See SummaryArchive."""
        found = self._known(guild_id, channel_id)
        return converters.place(found, found.guild) if found is not None else None

    def reads(self, guild_id: int | None, channel_id: int) -> bool:
        """See SummaryArchive. Discord gives out no error for a hidden history, but no messages."""
        found = self._known(guild_id, channel_id)
        if found is None or found.guild.me is None:
            return False
        allowed = found.permissions_for(found.guild.me)
        return allowed.view_channel and allowed.read_message_history

    def _known(
        self, guild_id: int | None, channel_id: int
    ) -> discord.abc.GuildChannel | discord.Thread | None:
        client = self._client(guild_id)
        guild = client.get_guild(guild_id) if client and guild_id else None
        return guild.get_channel_or_thread(channel_id) if guild else None

    async def answers(self, channel_id: int, question_id: int, me: int) -> list[int]:
        """See Archive."""

        async def call(client: GatewayClient) -> list[int]:
            place = client.get_partial_messageable(channel_id)
            after = discord.Object(question_id)
            found = [each async for each in place.history(limit=_ANSWER_LIES_WITHIN, after=after)]
            return [each.id for each in found if converters.answers(each, me) == question_id]

        with contextlib.suppress(Unsaid):
            return await self._ask("history", call, _PAUSES[:1])
        return []

    async def _ask(
        self,
        name: str,
        call: Callable[[GatewayClient], Coroutine[Any, Any, T]],
        pauses: tuple[float, ...],
        *,
        lost: Callable[[GatewayClient], Coroutine[Any, Any, tuple[T] | None]] | None = None,
    ) -> T:
        """Call with the current client, and retry after each of `pauses` while that may help.

        Where Discord did it and its response cannot be read, `lost` finds out what it said; None
        calls again.
        """
        for pause in (*pauses, None):
            if pauses:  # held while the token is replaced: its answer is already paid for
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOGIN_SECONDS):
                        await self._logged_in()
            if self._rate_limiter.blocked > sum(pauses):
                self._metrics.calls.labels(name, "blocked").inc()
                raise DiscordDown("Discord's edge takes no requests")
            await self._rate_limiter()
            try:
                result = await self._once(call, lost)
            except Unsaid as error:
                self._metrics.calls.labels(name, error.label).inc()
                if isinstance(error, DiscordDown) and error.after:
                    log.warning("rate limited by Discord's edge", extra={"seconds": error.after})
                    self._rate_limiter.block(error.after)
                if pause is None or not isinstance(error, DiscordDown):
                    raise
                await asyncio.sleep(pause)
            else:
                self._metrics.calls.labels(name, "ok").inc()
                return result
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _once(
        self,
        call: Callable[[GatewayClient], Coroutine[Any, Any, T]],
        lost: Callable[[GatewayClient], Coroutine[Any, Any, tuple[T] | None]] | None,
    ) -> T:
        client = self._client(None)
        if client is None or client.is_closed():
            raise DiscordDown("no client is logged in")
        try:
            return await _requested(client, call)
        except compat.UnreadableResponse as error:
            self._metrics.unreadable.labels("response").inc()
            log.warning("unreadable response", extra={"error": str(error)}, exc_info=error)
            try:
                found = await _requested(client, lost) if lost is not None else None
            except compat.UnreadableResponse:
                found = None
            if found is None:
                raise DiscordDown("the response cannot be read") from error
            return found[0]


async def _edit(
    client: GatewayClient, channel_id: int, message_id: int, changes: dict[str, Any]
) -> None:
    place = client.get_partial_messageable(channel_id)
    if "suppress" in changes:
        # Only of a message that was read does discord.py take previews away.
        try:
            await (await place.fetch_message(message_id)).edit(**changes)
        except discord.Forbidden:  # it may not read what it writes
            del changes["suppress"]
        else:
            return
    await place.get_partial_message(message_id).edit(**changes)


def _may_open(allowed: discord.Permissions) -> bool:
    """Whether the bot may open a thread and write in it."""
    return allowed.create_public_threads and allowed.send_messages_in_threads


async def _requested(
    client: GatewayClient, call: Callable[[GatewayClient], Coroutine[Any, Any, T]]
) -> T:
    """Make a request; raises Unsaid, or UnreadableResponse where Discord did what was asked."""
    try:
        async with asyncio.timeout(_ATTEMPT_SECONDS):
            return await compat.request(client, client.rest, call(client))
    except discord.RateLimited as error:
        raise DiscordDown(type(error).__name__) from error
    except discord.HTTPException as error:
        raise await _unsaid(error) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:  # no JSON, although it says so
        raise DiscordDown(type(error).__name__) from error
    except RuntimeError as error:  # aiohttp's word for a session closed under a call
        if not client.is_closed():
            raise
        raise DiscordDown("the client was closed") from error


def _read(client: GatewayClient, message: discord.Message) -> Message:
    """Convert a message; log and skip one that cannot be read."""
    try:
        return converters.to_message(message)
    except Exception as error:  # noqa: BLE001  # whatever an odd message makes fail
        client.skipped("message", compat.ids_of_message(message), error)
        return converters.unreadable(message)


async def _unsaid(error: discord.HTTPException) -> Unsaid:
    """Return the error that a refusal means for a message."""
    detail = f"status {error.status}, code {error.code}"
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return DiscordDown(detail, after=await _pause_of(error))
    if (
        error.status == HTTPStatus.UNAUTHORIZED  # the token was replaced
        or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        or error.code == _BLOCKED_BY_CLOUDFLARE
        or not _is_discords(error)
    ):
        return DiscordDown(detail)
    if error.code in _CONTENT_CODES:
        return ContentRefused(detail)
    return PlaceGone(detail) if isinstance(error, discord.NotFound) else MayNotSpeak(detail)


def _is_discords(error: discord.HTTPException) -> bool:
    """Whether Discord itself refused, not its edge, which answers with an HTML page."""
    return "json" in error.response.headers.get("Content-Type", "")


async def _pause_of(error: discord.HTTPException) -> float:
    """How long a 429 that discord.py did not wait out asks to wait, in its body or its header."""
    pause = _UNSAID_PAUSE
    with contextlib.suppress(ValueError, TypeError):
        pause = float(error.response.headers.get("Retry-After", pause))
    if isinstance(error.response, aiohttp.ClientResponse):
        with contextlib.suppress(ValueError, TypeError, KeyError, aiohttp.ClientError):
            pause = float(json.loads(await error.response.text())["retry_after"])
    return min(max(pause, 0.0), _LONGEST_BLOCK) if math.isfinite(pause) else _UNSAID_PAUSE


def _refuses_reference(error: discord.HTTPException) -> str | None:
    """Why a reply is refused that would be taken as a plain message; None if it would not be."""
    if error.code == _NO_HISTORY_FOR_REPLY:
        return "no_history"
    if error.code == _INVALID_FORM and "message_reference" in error.text:
        return "no_reference"
    return None


async def _done(_: GatewayClient) -> tuple[None]:
    """Discard the response."""
    return (None,)
