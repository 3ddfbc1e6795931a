"""Workarounds for discord.py 2.7.1, each with the release that removes it.

They are collected here because they reach below the library's documented interface. The pin in
pyproject.toml and the tests in tests/bot guard them at an upgrade.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import discord
from discord.gateway import DiscordWebSocket, ReconnectWebSocket, WebSocketClosure

from bot.discord import payload_checks
from bot.discord.payload_checks import snowflake
from bot.observability import tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

    # What could not be read (`event`, `message`, `frame`, `response`), its ids, and why.
    Report = Callable[[str, Mapping[str, object], BaseException], None]

T = TypeVar("T")
_EXPECTED = (
    ReconnectWebSocket,
    WebSocketClosure,
    discord.DiscordException,
    aiohttp.ClientError,
    OSError,
)
_IDS = ("id", "guild_id", "channel_id", "message_id")
_SUCCESS = range(200, 300)
_status: ContextVar[int] = ContextVar("status")  # of the newest response in a request's task


class UnreadableMessage(discord.Message):
    """Stands for a message that discord.py cannot parse: ids and author, without content."""

    __slots__ = ()


class WebSocket(DiscordWebSocket):
    """A gateway connection that an unreadable frame does not end.

    discord.py lets every exception of its parsers out of `Client.connect`, which ends the session
    and, in most bots, the process (Rapptz/discord.py#2422, #7501). No release has changed that;
    remove this class and `tolerate` when one does.

    A frame that cannot be decompressed or is no JSON object makes a new connection, which resumes:
    Discord sends the frame again. So does a HELLO or READY that lacks what it must have, without
    resuming. Anything else is skipped. All of it is dispatched as `unreadable`.
    """

    _text: str | None = None

    def log_receive(self, data: Any, /) -> None:
        """Keep the text of the frame, which discord.py hands to its debug log."""
        self._text = data

    async def received_message(self, msg: Any, /) -> None:
        """Parse a frame; a frame that cannot be read is reported."""
        self._text, sequence = None, self.sequence
        try:
            await super().received_message(msg)
            self._check()
        except _EXPECTED:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a parser raises
            if type(self.sequence) is not int:
                self.sequence = sequence
            frame = _json_object(self._text)
            if frame is None:
                self._dispatch("unreadable", "frame", {"shard": self.shard_id}, error)
                await self._reconnect(resume=True)
            elif frame.get("op") != self.DISPATCH or frame.get("t") == "READY":
                self._dispatch(
                    "unreadable", "frame", {"shard": self.shard_id, "op": frame.get("op")}, error
                )
                await self._reconnect(resume=False)
            else:
                self._dispatch("unreadable", "event", {"event": str(frame.get("t"))[:40]}, error)

    def _check(self) -> None:
        """Refuse a sequence or interval that is not a number, which discord.py does not check."""
        interval = self._keep_alive.interval if self._keep_alive else None
        if interval is not None and not (math.isfinite(interval) and interval > 0):
            raise ValueError("heartbeat interval")
        if self.sequence is not None and type(self.sequence) is not int:
            raise TypeError("sequence")

    async def _reconnect(self, *, resume: bool) -> None:
        await self.close(code=4000)
        raise ReconnectWebSocket(self.shard_id, resume=resume)


def tolerate(client: discord.Client, report: Report) -> None:
    """Make one unreadable event, or message from the REST API, cost nothing but itself.

    An event that its parser refuses is skipped. A message that cannot be parsed becomes an
    UnreadableMessage; one without even an id is left out of a history. A question is read without
    the message that it replies to, where only that cannot be parsed. See WebSocket for when to
    remove this.
    """
    state = client._connection  # noqa: SLF001  # there is no public way to its parsers
    parse_message = state.create_message
    logs_from = client.http.logs_from

    def create_message(*, channel: Any, data: Any) -> discord.Message:
        try:
            message = parse_message(channel=channel, data=data)
            _ = message.author.id  # which the library does not even set where it is missing
            return message  # noqa: TRY300  # what it says is part of the attempt
        except Exception as error:  # noqa: BLE001  # whatever a parser raises
            report("message", ids_of(data), error)
            return _stub(state, channel, data)

    async def readable_logs_from(*args: Any, **options: Any) -> list[Any]:
        found: Any = await logs_from(*args, **options)
        if not isinstance(found, list):
            report("response", {}, TypeError(type(found).__name__))
            raise UnreadableResponse
        good = [each for each in found if snowflake(each, "id") is not None]
        for each in found:
            if each not in good:
                report("message", ids_of(each), KeyError("id"))
        return good

    state.create_message = create_message  # type: ignore[method-assign]
    client.http.logs_from = readable_logs_from  # type: ignore[method-assign]
    parsers: dict[str, Callable[[Any], None]] = state.parsers
    state.parsers = {name: _guarded(state, name, parse, report) for name, parse in parsers.items()}


class UnreadableRefusal(OSError):
    """Discord refused a request in words that the library cannot read: an outage of its edge."""


class UnreadableResponse(Exception):
    """A successful response of the REST API whose body cannot be read."""


def _guarded(
    state: Any, name: str, parse: Callable[[Any], None], report: Report
) -> Callable[[Any], None]:
    if name == "READY":  # without it there is no session: see WebSocket
        return parse

    def guarded(data: Any) -> None:
        undo = _Undo(state, name, data)
        data = _with_channel(data) if name == "INTERACTION_CREATE" else data
        try:
            payload_checks.check(name, data)
            parse(data)
        except Exception as error:  # noqa: BLE001  # whatever a parser raises
            undo()
            less = payload_checks.less(name, data)
            in_part = less is not None and _passes(parse, less)
            if not in_part:
                undo()
            known = {"in_part": True} if in_part else {}
            report("event", {"event": name, **known, **ids_of(data)}, error)

    return guarded


def _with_channel(interaction: Any) -> Any:
    """Give an interaction a channel, which Discord may leave out; discord.py reads no other id."""
    channel_id = snowflake(interaction, "channel_id")
    if channel_id is None or interaction.get("channel"):
        return interaction
    in_server = interaction.get("guild_id") is not None
    channel: dict[str, object] = {
        "id": str(channel_id),
        "type": 0 if in_server else 1,
        "name": "",
        "position": 0,
        "permission_overwrites": [],
    }
    return {**interaction, "channel": channel}


def _passes(parse: Callable[[Any], None], data: Any) -> bool:
    with contextlib.suppress(Exception):
        parse(data)
        return True
    return False


class _Undo:
    """Takes back what a parser changed in the cache before it failed: half a server is worse."""

    def __init__(self, state: Any, event: str, data: Any) -> None:
        guild = state._get_guild(  # noqa: SLF001
            snowflake(data, "guild_id") or snowflake(data, "id")
        )
        changed: Any = None
        match event:
            case "GUILD_CREATE" | "GUILD_UPDATE":
                changed = guild
            case "CHANNEL_UPDATE" | "THREAD_UPDATE" if guild is not None:
                changed = guild.get_channel_or_thread(snowflake(data, "id") or 0)
            case "GUILD_ROLE_UPDATE" if guild is not None:
                changed = guild.get_role(snowflake(data.get("role"), "id") or 0)
        self._changed = changed
        self._before = {} if changed is None else dict(_attributes(changed))

    def __call__(self) -> None:
        """Put the cached object back as it was."""
        for name, value in self._before.items():
            setattr(self._changed, name, value)


def _attributes(thing: object) -> Iterator[tuple[str, Any]]:
    """Yield an object's attributes; containers, which a parser changes in place, as copies."""
    for owner in type(thing).__mro__:
        slots: Any = owner.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            with contextlib.suppress(AttributeError):
                value = getattr(thing, name)
                yield name, value.copy() if isinstance(value, (dict, list, set)) else value


def _stub(state: Any, channel: Any, data: Any) -> UnreadableMessage:
    """Build what stands for an unreadable message; raises KeyError where it has no id."""
    message_id = snowflake(data, "id")
    if message_id is None:
        raise KeyError("id")
    author: dict[str, Any] = {"id": "0", "username": "?", "discriminator": "0", "avatar": None}
    if snowflake(data.get("author"), "id") is not None:
        author |= {"id": data["author"]["id"], "bot": data["author"].get("bot") is True}
    payload: dict[str, Any] = {
        "id": str(message_id),
        "channel_id": str(channel.id),
        "author": author,
        "content": "",
        "timestamp": discord.utils.snowflake_time(message_id).isoformat(),
        "edited_timestamp": None,
        "type": 0,
        "tts": False,
        "pinned": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
    }
    reference = data.get("message_reference")
    if snowflake(reference, "message_id") and snowflake(reference, "channel_id"):
        kept = ("message_id", "channel_id")
        payload["message_reference"] = {key: str(reference[key]) for key in kept}
    return UnreadableMessage(state=state, channel=channel, data=payload)  # type: ignore[arg-type]


def ids_of(data: Any) -> dict[str, object]:
    """Pick the ids out of a payload, for a log: nothing else of it may be written down."""
    found = {name: snowflake(data, name) for name in _IDS}
    return {name: value for name, value in found.items() if value is not None}


def ids_of_message(message: discord.Message) -> dict[str, object]:
    """Pick the ids out of a message that was parsed, for a log."""
    return {"id": message.id, "channel_id": message.channel.id}


def role_ids(member: discord.Member) -> tuple[int, ...]:
    """Return a member's roles, those included that are not in the cache.

    `Member.roles` leaves out roles that it does not know, so a channel that is denied to such a
    role would seem open. Remove this when a release gives the ids.
    """
    return tuple(member._roles)  # noqa: SLF001


class RestMonitor:
    """What a client's REST requests do: when one was sent last, and what waits since when.

    Its `trace` is for `discord.Client(http_trace=…)`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sent = self._limited_until = clock()
        self._waiting: dict[object, float] = {}
        self.trace = aiohttp.TraceConfig()
        self.trace.on_request_start.append(self._started)
        self.trace.on_request_end.append(self._ended)

    def mute_for(self) -> float:
        """Seconds for which a request has waited and none was sent, although no limit said so."""
        oldest = min(self._waiting.values(), default=None)
        if oldest is None:
            return 0.0
        return max(0.0, self._clock() - max(oldest, self._sent, self._limited_until))

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Count a request as waiting while the block lasts."""
        this = object()
        self._waiting[this] = self._clock()
        try:
            yield
        finally:
            del self._waiting[this]

    async def _started(self, _: object, __: object, ___: aiohttp.TraceRequestStartParams) -> None:
        self._sent = self._clock()

    async def _ended(self, _: object, __: object, ended: aiohttp.TraceRequestEndParams) -> None:
        headers = ended.response.headers
        _status.set(ended.response.status)
        name = "X-RateLimit-Reset-After" if headers.get("X-RateLimit-Remaining") == "0" else ""
        for each in ("Retry-After", name):
            with contextlib.suppress(ValueError):
                limit = self._clock() + float(headers.get(each, "nan"))
                self._limited_until = max(self._limited_until, limit)


async def request(client: discord.Client, monitor: RestMonitor, call: Coroutine[Any, Any, T]) -> T:
    """Await a REST request; a cancellation never leaves the client mute.

    On a global rate limit discord.py clears an event, sleeps, and sets the event again, without
    `finally`: when that sleep is cancelled, no request of the client is sent any more. During a
    global rate limit the request therefore goes on in the background. Remove this when a release
    sets the event in a `finally`.

    Raises UnreadableResponse where Discord accepted the request and the library cannot read what it
    answered, UnreadableRefusal where it refused it so; no release of discord.py tells that from
    other failures.
    """
    sending = tasks.start(_settled(monitor, call), "discord_request")
    try:
        result, error = await asyncio.shield(sending)
    except asyncio.CancelledError:
        if client.http._global_over.is_set():  # noqa: SLF001  # set: nobody sleeps
            sending.cancel()
        raise
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # one of the two is there


async def _settled(
    monitor: RestMonitor, call: Coroutine[Any, Any, T]
) -> tuple[T | None, Exception | None]:
    """Return an exception as a value, because its awaiter may have been cancelled."""
    _status.set(0)
    with monitor.waiting():
        try:
            return await call, None
        except (*_EXPECTED, RuntimeError) as error:
            return None, error
        except Exception as error:  # noqa: BLE001  # whatever reading a response raises
            if _status.get() in _SUCCESS:
                unreadable = UnreadableResponse(type(error).__name__)
                unreadable.__cause__ = error
                return None, unreadable
            if _status.get():
                refusal = UnreadableRefusal(f"status {_status.get()}, {type(error).__name__}")
                refusal.__cause__ = error
                return None, refusal
            return None, error


def wake_waiting(client: discord.Client) -> None:
    """Wake requests that wait for a global rate limit, so that they fail: `client` is closed."""
    client.http._global_over.set()  # noqa: SLF001  # see `request`


def _json_object(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    with contextlib.suppress(ValueError):
        frame = json.loads(text)
        return frame if isinstance(frame, dict) else None
    return None
