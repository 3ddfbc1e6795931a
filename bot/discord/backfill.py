"""Find and answer calls that the bot missed during a gap.

Discord replays what a resumed session missed. After a new session, the bot reads channels over the
REST API, but only those whose last message is newer than the last one that it received. The same
applies when another process was the leader; the Lease says up to where that process had received
messages. Direct messages are read in the channels that the bot knows, because Discord lists none.

Discord's history shows which calls have an answer. An answer that was started and not finished has
a Stop button, or no button at all if its question was taken just before a crash; it is written
again in the same messages.

The REST API leaves out the roles of a message's author. They are fetched only if something depends
on them, once per person. Times are those of message ids, that is, of Discord's clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import aiohttp
import discord

from bot.discord import compat, converters
from bot.domain.bounded import BoundedDict
from bot.domain.errors import DiscordDown
from bot.observability import tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bot.answers.dispatcher import Dispatcher
    from bot.discord.client import GatewayClient
    from bot.discord.conversations import Conversations
    from bot.domain.messages import Author, Message
    from bot.observability.metrics import Metrics
    from bot.reply.edit_rates import RateLimiter

log = logging.getLogger(__name__)


def find_answers(messages: Iterable[discord.Message], me: int) -> dict[int, list[discord.Message]]:
    """Find the bot's own messages by what they reply to, the oldest part first."""
    found: dict[int, list[discord.Message]] = {}
    for message in sorted(messages, key=lambda each: each.id):
        question_id = converters.answers(message, me)
        if question_id is not None:
            found.setdefault(question_id, []).append(message)
    return found


def readable_channels(client: discord.Client) -> Iterator[tuple[tuple[int, int], int]]:
    """Every channel and thread that can be read, with its server and the id of its last message."""
    for guild in client.guilds:
        for channel in (*guild.channels, *guild.threads):
            last = getattr(channel, "last_message_id", None)
            me: discord.Member | None = guild.me  # None where Discord did not tell who the bot is
            if last and (me is None or channel.permissions_for(me).read_message_history):
                yield (channel.id, guild.id), last


_SECONDS = 10.0
_FAILURES = (
    aiohttp.ClientError,
    OSError,
    TimeoutError,
    RuntimeError,
    discord.HTTPException,
    compat.UnreadableResponse,
    ValueError,
)


class RoleLookup:
    """Looks members up through one client. The roles of a member that is not found stay unknown."""

    def __init__(self, client: GatewayClient) -> None:
        self._client = client
        self._found: dict[tuple[int | None, int], tuple[Author, tuple[int, ...] | None]] = {}

    async def fill(self, message: Message) -> Message:
        """Return `message` with its writer's roles."""
        key = message.guild_id, message.author.id
        if key not in self._found:
            self._found[key] = await self._look_up(message)
        author, role_ids = self._found[key]
        return replace(message, author=author, role_ids=role_ids)

    async def _look_up(self, message: Message) -> tuple[Author, tuple[int, ...] | None]:
        guild = self._client.get_guild(message.guild_id or 0)
        if guild is None:
            return message.author, message.role_ids
        try:
            async with asyncio.timeout(_SECONDS):
                fetch = guild.fetch_member(message.author.id)
                member = await compat.request(self._client, self._client.rest, fetch)
        except _FAILURES:
            return message.author, message.role_ids
        return converters.author(member), converters.role_ids(member)


_OVERLAP = 5_000 << 22  # milliseconds in an id: those of two channels are not strictly in order
_MOST = 400  # messages that are read in one channel, the newest ones
_AT_ONCE = 4  # channels that are read at once
_DIRECT_CHANNELS = 200  # remembered
_ATTEMPTS = 3
_AGAIN_SECONDS = 15.0
_CLOCKS_DIFFER = timedelta(seconds=60)
_TRANSIENT = (
    aiohttp.ClientError,
    OSError,
    TimeoutError,
    discord.HTTPException,
    compat.UnreadableResponse,
    ValueError,
)


class Backfill:
    """Tracks up to where messages were received, and reads those missed. A HandoverState."""

    name = "heard"

    def __init__(
        self,
        dispatcher: Dispatcher,
        rate_limiter: RateLimiter,
        metrics: Metrics,
        conversations: Conversations,
        window_seconds: float = 600,
    ) -> None:
        self._dispatcher = dispatcher
        self._conversations = conversations
        self._rate_limiter = rate_limiter
        self._metrics = metrics
        self._window = timedelta(seconds=window_seconds)
        self._heard: int | None = None
        self._began: int | None = None
        self._since: int | None = None  # the current session receives everything from here on
        self._gap: int | None = None  # the mark from which this session may have missed messages
        self._owed: int | None = None  # the same for what another process left
        self._reading: int | None = None  # from where a backfill is running
        self._left: int | None = None  # up to where another process had received messages
        self._left_owed: int | None = None  # from where it had not finished a backfill
        self._suspect: frozenset[int] = frozenset()  # its calls that may be partly answered
        self._suspect_from: int | None = None  # all calls newer than this may be as well
        self._direct: BoundedDict[int, None] = BoundedDict(_DIRECT_CHANNELS)
        self._overheard: dict[int, int | None] = {}  # channels to look into, with their servers
        self._received: set[int] = set()  # while another process led: never too old
        # The same, each from a mark of its own on: an answer there may not have been accepted.
        self._alone: dict[int, tuple[int | None, int]] = {}
        self._undecided: set[int] = set()  # received; whether they need a call is being found out
        self._client: GatewayClient | None = None
        self._due = asyncio.Event()

    def heard(self, message_id: int, direct_channel: int | None) -> None:
        """Note a message that arrived; `direct_channel` is where, if it was a direct message."""
        self._heard = max(self._heard or 0, message_id)
        if direct_channel is not None:
            self._remember(direct_channel)

    @contextlib.contextmanager
    def undecided(self, message_id: int) -> Iterator[None]:
        """Leave a message to the next leader while it is not known whether it needs a call."""
        self._undecided.add(message_id)
        try:
            yield
        finally:
            self._undecided.discard(message_id)

    def gap(self) -> None:
        """Note that from now on messages may be missed."""
        if self._gap is None:
            self._gap = self._began if self._heard is None else self._heard

    def opened(self) -> None:
        """Note a new session. Messages from before the first one are not for this process.

        Until the servers are known, the mark of the first one is this machine's clock, with room.
        """
        self.gap()
        self._began = discord.utils.time_snowflake(discord.utils.utcnow() - _CLOCKS_DIFFER)
        self._since = None

    def resumed(self) -> None:
        """Note that Discord has sent again what was missed."""
        self._gap = None

    def known(self, client: GatewayClient) -> None:
        """Note that `client` is READY and knows its servers."""
        self._client = client
        self._since = max((last for _, last in readable_channels(client)), default=0)
        self._due.set()

    def follow(self) -> None:
        """Take over from a leader that released the Lease, or from none; trust what it reported.

        A session that only begins now is looked out for from now on.
        """
        if self._left_owed is not None:
            self.check_from(self._left_owed)
        left = self._left
        if left is None and self._since is None:
            left = discord.utils.time_snowflake(discord.utils.utcnow())
        if left is not None and (self._since is None or left < self._since):
            self.check_from(left)
        self._due.set()

    def succeed(self, unfinished: Sequence[int], buffered: Iterable[Message]) -> None:
        """Take over from a leader that crashed; check its latest messages for missing answers.

        The calls that this process has buffered are answered whatever the window: they were not
        missed.
        """
        for message in buffered:
            self._overheard[message.channel_id] = message.guild_id
            self._received.add(message.id)
            self.check_from(message.id)
        self._suspect, self._suspect_from = frozenset(unfinished), self._left
        for mark in (*unfinished, self._left, self._left_owed):
            if mark is not None:
                self.check_from(mark)
        self._due.set()

    def look_at(self, message: Message) -> None:
        """Check a message later, because Discord may not have accepted its answer.

        Only its own channel is read, and nothing for a message that is too old to be answered, as
        one may be whose answer was asked for again.
        """
        if message.id < self._oldest():
            return
        self._check_alone(message.channel_id, message.guild_id, message.id)
        asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._due.set)

    def pause(self) -> None:
        """Leave messages from now on to the next leader."""
        mark = self._heard or self._since or self._began
        if mark is not None:
            self._owed = min(mark, self._owed or mark)

    def check_from(self, mark: int) -> None:
        """Note that messages from `mark` on have to be checked."""
        self._owed = min(mark, self._owed or mark)
        self._due.set()

    def check_again(self, message_ids: Iterable[int]) -> None:
        """Check messages, and all after them, unless they are too old to be answered.

        Such as one whose answer was asked for again: all that was said since would be read.
        """
        oldest = self._oldest()
        recent = [each for each in message_ids if each >= oldest]
        if recent:
            self.check_from(min(recent))

    def wake(self) -> None:
        """Check what became due while another process seemed to lead."""
        self._due.set()

    def dump(self, shard: int) -> str:
        """See HandoverState."""
        del shard
        alone = (mark for _, mark in self._alone.values())
        marks = (self._gap, self._owed, self._reading, *alone, *self._undecided)
        owed = [mark for mark in marks if mark is not None]
        heard = self._heard or self._since or self._began
        kept = {"heard": heard, "owed": min(owed, default=None), "direct": list(self._direct)}
        return json.dumps(kept)

    def load(self, shard: int, text: str) -> None:
        """See HandoverState."""
        del shard
        try:
            kept = json.loads(text)
            direct = [int(each) for each in kept["direct"]]
            self._left, self._left_owed = _mark(kept["heard"]), _mark(kept["owed"])
        except (ValueError, KeyError, TypeError):
            return
        for channel_id in direct:
            self._remember(channel_id)

    async def keep(self, is_leader: Callable[[], bool]) -> None:
        """Backfill whenever one is pending and this process is the leader, until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            client = self._client
            if client is None or client.is_closed() or not is_leader():
                continue  # the event is set again when this changes
            try:
                whole = await self.run(client)
            except Exception as error:  # noqa: BLE001  # the next time may go well
                tasks.report("backfill", error)
                whole = False
            if not whole:
                asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._due.set)

    async def run(self, client: GatewayClient) -> bool:
        """Take the calls missed since the gap began; `client` is READY and knows its servers."""
        newest = max((last for _, last in readable_channels(client)), default=0)
        marks = [mark for mark in (self._gap, self._owed) if mark is not None]
        self._heard = max(self._heard or 0, newest)
        if not marks and not self._alone:
            return True
        since = max(0, min(marks) - _OVERLAP) if marks else None
        alone, self._alone = self._alone, {}
        overheard, received = dict(self._overheard), set(self._received)
        missed = self._places(client, since, alone)
        self._gap, self._owed = None, None
        self._reading = min([*marks, *(mark for _, mark in alone.values())])
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def read(
            channel: discord.PartialMessageable, since: int
        ) -> list[discord.Message] | None:
            async with at_once:
                return await self._read(client, channel, since)

        whole = False
        try:
            found = await asyncio.gather(*(read(*each) for each in missed))
            all_taken = await self._take(client, [each for part in found for each in part or []])
            whole = all_taken and None not in found
            if whole:
                self._received -= received
        finally:
            self._reading = None
            if not whole:  # not even a bug may lose calls: all of it is checked again
                self._overheard = overheard | self._overheard
                for where, (guild, mark) in alone.items():
                    self._check_alone(where, guild, mark)
                for mark in marks:
                    self.check_from(mark)
                self._due.clear()
        log.info("backfill finished", extra={"channels": len(missed), "complete": whole})
        return whole

    def _places(
        self, client: GatewayClient, since: int | None, alone: dict[int, tuple[int | None, int]]
    ) -> list[tuple[discord.PartialMessageable, int]]:
        """List the channels in which messages may have been missed, and from where on to read."""
        found: dict[int, tuple[int | None, int]] = {}
        if since is not None:
            channels = readable_channels(client)
            found = {where: (guild, since) for (where, guild), last in channels if last > since}
            found |= {where: found.get(where, (None, since)) for where in self._direct}
            found |= {where: (guild, since) for where, guild in self._overheard.items()}
            self._overheard = {}
        for where, (guild, mark) in alone.items():
            _, other = found.get(where, (None, mark))
            found[where] = guild, min(other, max(0, mark - _OVERLAP))
        return [
            (client.get_partial_messageable(where, guild_id=guild), mark)
            for where, (guild, mark) in found.items()
        ]

    def _check_alone(self, channel_id: int, guild_id: int | None, mark: int) -> None:
        """Note that one channel has to be read from `mark` on, or from an older mark of its own."""
        _, other = self._alone.get(channel_id, (guild_id, mark))
        self._alone[channel_id] = guild_id, min(mark, other)

    def _oldest(self) -> int:
        """The id from which on calls are still answered."""
        return discord.utils.time_snowflake(discord.utils.utcnow() - self._window)

    def _remember(self, direct_channel: int) -> None:
        self._direct[direct_channel] = None

    async def _read(
        self,
        client: GatewayClient,
        channel: discord.PartialMessageable,
        since: int,
        *,
        oldest_first: bool = False,
    ) -> list[discord.Message] | None:
        """Read one channel; None if it could not be read and may be later."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._rate_limiter()
                after = discord.Object(since)
                history = channel.history(limit=_MOST, after=after, oldest_first=oldest_first)
                return [each async for each in history]
            except (discord.Forbidden, discord.NotFound):
                return []
            except RuntimeError:  # aiohttp's word for a session closed under a call
                if not client.is_closed():
                    raise
                return None
            except _TRANSIENT as error:
                what = {"channel_id": channel.id, "error": type(error).__name__}
                log.warning("backfill failed", extra=what)
                await asyncio.sleep(attempt)
        return None

    async def _take(self, client: GatewayClient, found: list[discord.Message]) -> bool:
        """Take calls without an answer, oldest first; count those that are too old.

        Returns whether all could be looked at; the others have to be checked again.
        """
        me = client.user.id if client.user else 0
        answers = find_answers(found, me)
        roles = RoleLookup(client)
        whole = True
        for message in sorted(found, key=lambda each: each.id):
            try:
                missed = await self._look_into(client, message, answers.get(message.id, []), roles)
            except DiscordDown:
                whole = False
                continue
            except Exception as error:  # noqa: BLE001  # an error affects only its own message
                client.skipped("message", compat.ids_of_message(message), error)
                continue
            if missed is None:
                continue
            read, parts = missed
            await self._dispatcher.wait_for_capacity()
            if self._dispatcher.missed(read, me, tuple(part.id for part in parts)):
                self._metrics.caught_up.labels("ended" if parts else "answered").inc()
        return whole

    async def _look_into(
        self,
        client: GatewayClient,
        message: discord.Message,
        parts: list[discord.Message],
        roles: RoleLookup,
    ) -> tuple[Message, list[discord.Message]] | None:
        """Return a message that may have to be answered, with what there is of its answer.

        None if it is answered, too old or unreadable. Raises DiscordDown.
        """
        me = client.user.id if client.user else 0
        if parts and not self._broken_off(message, parts[-1]):
            return None
        read = converters.to_message(message)
        if message.id < self._oldest() and message.id not in self._received:
            if not message.flags.has_thread:  # it may well be answered in there
                self._pass_over(read, me)
            return None
        if not read.readable:
            return None
        if message.flags.has_thread and not parts and read.author.id != me:
            parts = await self._in_thread(client, message, me)
            if parts and not self._broken_off(message, parts[-1]):
                return None
        if self._dispatcher.may_continue(read, me):
            read = await self._conversations.settle(read, me)
        if self._dispatcher.needs_roles(read, me):
            read = await roles.fill(read)
        return read, parts

    async def _in_thread(
        self, client: GatewayClient, question: discord.Message, me: int
    ) -> list[discord.Message]:
        """Find the answer to a message in the thread on it. Raises DiscordDown."""
        guild_id = question.guild.id if question.guild else None
        thread = client.get_partial_messageable(question.id, guild_id=guild_id)
        found = await self._read(client, thread, question.id, oldest_first=True)
        if found is None:
            raise DiscordDown("the thread on a question could not be read")
        return find_answers(found, me).get(question.id, [])

    def _broken_off(self, question: discord.Message, newest: discord.Message) -> bool:
        """Whether the answer that ends with `newest` is unfinished."""
        suspect = question.id in self._suspect or question.id > (self._suspect_from or question.id)
        act = converters.state(newest)
        return act == "stop" or (act is None and suspect)

    def _pass_over(self, message: Message, me: int) -> None:
        if self._dispatcher.calls(message, me):
            self._metrics.caught_up.labels("too_old").inc()
            extra = {"message_id": message.id, "reason": "too_old"}
            log.warning("missed call left unanswered", extra=extra)


def _mark(kept: object) -> int | None:
    """Read a mark; raises ValueError or TypeError."""
    return None if kept is None else int(str(kept))
