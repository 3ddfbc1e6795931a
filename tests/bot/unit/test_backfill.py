"""After a gap: who is asked what was missed, and what is taken of it."""

from __future__ import annotations

import asyncio
import datetime
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import discord
import pytest

from bot.context.message_cache import MessageCache
from bot.discord import converters
from bot.discord.backfill import Backfill
from bot.discord.conversations import Conversations
from bot.observability.metrics import Metrics
from bot.reply.edit_rates import RateLimiter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.domain.messages import Message

ME = 7
ALWAYS = 1e9  # seconds: longer than Discord


def at(second: int, number: int = 0) -> int:
    """Make an id of that second of Discord's clock."""
    return (second * 1000 << 22) + number


@dataclass
class Author:
    """Somebody."""

    id: int = 1
    display_name: str = "Ada"
    bot: bool = False


@dataclass
class Said:
    """A message as discord.py gives it, as far as it is read."""

    id: int
    channel: Any
    author: Author = field(default_factory=Author)
    content: str = "hello"
    reference: Any = None
    type: discord.MessageType = discord.MessageType.default
    guild: Any = None
    mentions: tuple[Author, ...] = ()
    attachments: tuple[Any, ...] = ()
    message_snapshots: tuple[Any, ...] = ()
    stickers: tuple[Any, ...] = ()
    embeds: tuple[Any, ...] = ()
    poll: None = None
    interaction_metadata: None = None
    components: tuple[Any, ...] = ()
    flags: discord.MessageFlags = field(default_factory=discord.MessageFlags)


@dataclass
class Channel:
    """A channel with a history, which may fail first."""

    id: int
    messages: list[Said] = field(default_factory=list)
    troubles: list[Exception] = field(default_factory=list)
    readable: bool = True
    asked: list[int] = field(default_factory=list)
    guild_id: int | None = None

    @property
    def last_message_id(self) -> int | None:
        """The newest."""
        return self.messages[-1].id if self.messages else None

    def permissions_for(self, _: object) -> SimpleNamespace:
        """Whether it may be read."""
        return SimpleNamespace(read_message_history=self.readable)

    def say(self, number: int, **more: Any) -> None:
        """Add a message."""
        self.messages.append(Said(number, self, **more))

    async def history(
        self, limit: int, after: discord.Object, *, oldest_first: bool
    ) -> AsyncIterator[Said]:
        """Give what is newer, the newest first."""
        assert not oldest_first
        self.asked.append(after.id)
        if self.troubles:
            raise self.troubles.pop(0)
        newer = [each for each in self.messages if each.id > after.id]
        for message in sorted(newer, key=lambda each: -each.id)[:limit]:
            yield message


class FakeDesk:
    """Takes everything that it has not seen."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.replaces: dict[int, tuple[int, ...]] = {}
        self.rooms = 0

    def missed(self, message: Message, me: int, replaces: tuple[int, ...]) -> bool:
        """Take it."""
        assert me == ME
        if message.author.bot or message.id in self.taken:
            return False
        self.taken.append(message.id)
        self.replaces[message.id] = replaces
        return True

    def needs_roles(self, message: Message, me: int) -> bool:
        """Nobody's roles matter."""
        assert me == ME
        return message.id < 0

    def may_continue(self, message: Message, me: int) -> bool:
        """Nobody talks in threads."""
        assert me == ME
        return message.id < 0

    async def wait_for_capacity(self) -> None:
        """There is always room, after a moment."""
        self.rooms += 1
        await asyncio.sleep(0)

    def calls(self, message: Message, me: int) -> bool:
        """Whether it would be taken."""
        return message.author.id != me


@dataclass
class World:
    """Channels of one server, direct ones, and the catching up under test."""

    channels: list[Channel]
    direct: list[Channel] = field(default_factory=list)
    dispatcher: FakeDesk = field(default_factory=FakeDesk)
    metrics: Metrics = field(default_factory=Metrics)
    closed: bool = False
    window: float = ALWAYS

    def __post_init__(self) -> None:
        conversations = Conversations(MessageCache(), None, "alone")  # type: ignore[arg-type]  # not used
        self.backfill = Backfill(
            self.dispatcher,  # type: ignore[arg-type]  # as much of it as is used
            RateLimiter(),
            self.metrics,
            conversations,
            self.window,
        )
        self.user = SimpleNamespace(id=ME)

    @property
    def guilds(self) -> list[SimpleNamespace]:
        """The server."""
        return [SimpleNamespace(id=99, me=object(), channels=self.channels, threads=[])]

    def is_closed(self) -> bool:
        """Whether the client was closed."""
        return self.closed

    def skipped(self, kind: str, ids: dict[str, object], error: BaseException) -> None:
        """Count what cannot be read."""
        assert ids
        assert isinstance(error, Exception)
        self.metrics.unreadable.labels(kind).inc()

    def get_partial_messageable(self, channel_id: int, guild_id: int | None = None) -> Channel:
        """Find a channel."""
        del guild_id
        return next(each for each in [*self.channels, *self.direct] if each.id == channel_id)

    async def ready(self) -> None:
        """A new session whose servers are known."""
        self.backfill.opened()
        await self.backfill.run(self)  # type: ignore[arg-type]  # as much of a client as is used

    async def first(self, mark: int = at(100)) -> None:
        """The first session, in which a message was heard."""
        await self.ready()
        self.backfill.heard(mark, None)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_time(_: float) -> None:
        return

    monkeypatch.setattr(asyncio, "sleep", no_time)


async def test_the_first_session_asks_for_nothing() -> None:
    world = World([Channel(1)])
    world.channels[0].say(at(100))

    await world.ready()

    assert world.dispatcher.taken == []
    assert world.channels[0].asked == []


async def test_only_channels_with_news_are_asked() -> None:
    world = World([Channel(1), Channel(2)])
    world.channels[1].say(at(50))
    await world.first()
    world.backfill.gap()
    world.channels[0].say(at(200))

    await world.ready()

    assert world.dispatcher.taken == [at(200)]
    assert world.channels[1].asked == []


async def test_what_has_an_answer_is_left_alone() -> None:
    world = World([Channel(1)])
    await world.first()
    world.channels[0].say(at(200))
    world.channels[0].say(at(201))
    sky = Author(ME, "Sky", bot=True)
    world.channels[0].say(
        at(202),
        author=sky,
        reference=SimpleNamespace(message_id=at(200), channel_id=1, resolved=None),
    )

    await world.ready()

    assert at(200) not in world.dispatcher.taken
    assert at(201) in world.dispatcher.taken


async def test_direct_messages_are_looked_for_where_they_were_heard_before() -> None:
    direct = Channel(5)
    world = World([], [direct])
    await world.ready()
    world.backfill.heard(at(100), 5)
    direct.say(at(200))

    await world.ready()

    assert world.dispatcher.taken == [at(200)]


async def test_a_resumed_session_has_missed_nothing() -> None:
    world = World([Channel(1)])
    await world.first()
    world.backfill.gap()
    world.backfill.resumed()
    world.backfill.heard(at(300), None)
    world.channels[0].say(at(200))

    await world.ready()

    assert world.dispatcher.taken == []


async def test_a_reset_before_the_servers_were_known_loses_nothing() -> None:
    world = World([Channel(1)])
    world.backfill.opened()
    world.backfill.gap()
    world.channels[0].say(discord.utils.time_snowflake(discord.utils.utcnow()))

    await world.ready()

    assert len(world.dispatcher.taken) == 1


def answer(status: int) -> Any:
    """As much of an HTTP answer as discord.py reads for its error."""
    return SimpleNamespace(status=status, reason="", headers={})


@pytest.mark.parametrize(
    "trouble",
    [TimeoutError(), OSError(), discord.DiscordServerError(answer(503), None)],
    ids=["slow", "unreachable", "503"],
)
async def test_trouble_is_outlasted_or_owed(trouble: Exception) -> None:
    world = World([Channel(1)])
    await world.first()
    world.channels[0].say(at(200))
    world.channels[0].troubles = [trouble] * 4

    await world.ready()
    taken_before = list(world.dispatcher.taken)
    await world.ready()

    assert taken_before == []
    assert world.dispatcher.taken == [at(200)]


async def test_a_channel_that_may_not_be_read_is_passed_over() -> None:
    world = World([Channel(1), Channel(2, readable=False)])
    await world.first()
    for channel in world.channels:
        channel.say(at(200))
    world.channels[0].troubles = [discord.Forbidden(answer(403), None)]

    await world.ready()

    assert world.dispatcher.taken == []
    assert world.channels[1].asked == []


async def test_a_client_that_is_closed_meanwhile_leaves_it_to_the_next() -> None:
    world = World([Channel(1)])
    await world.first()
    world.channels[0].say(at(200))
    world.channels[0].troubles = [RuntimeError("Session is closed")]
    world.closed = True

    await world.ready()
    await world.ready()

    assert world.dispatcher.taken == [at(200)]


SKY = Author(ME, "Sky", bot=True)


def reply(to: int) -> SimpleNamespace:
    """A reference to a message."""
    return SimpleNamespace(message_id=to, channel_id=1, resolved=None)


def buttons(act: str) -> tuple[discord.ActionRow, ...]:
    """A row with one of the bot's buttons."""
    row = {
        "type": 1,
        "components": [
            {"type": 2, "style": 2, "label": act, "custom_id": f"sky:{act}:1:1:1"},
        ],
    }
    return (discord.ActionRow(row),)  # type: ignore[arg-type]  # as Discord sends it


def left(heard: int, owed: int | None = None) -> str:
    """What another process wrote down."""
    return json.dumps({"heard": heard, "owed": owed, "direct": []})


async def successor(world: World, mark: int, unfinished: tuple[int, ...] = ()) -> None:
    """Begin after a process that crashed, which had heard up to `mark`."""
    world.backfill.load(0, left(mark))
    world.backfill.opened()
    world.backfill.known(world)  # type: ignore[arg-type]
    world.backfill.succeed(unfinished, [])
    await world.backfill.run(world)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("below", "unfinished", "ended"),
    [
        pytest.param(buttons("stop"), False, True, id="still being written"),
        pytest.param(buttons("again"), True, False, id="whole"),
        pytest.param((), True, True, id="no button, and its taker had not finished"),
        pytest.param((), False, False, id="no button, and its taker had finished"),
    ],
)
async def test_a_half_said_answer_is_ended_in_its_own_messages(
    below: tuple[discord.ActionRow, ...], *, unfinished: bool, ended: bool
) -> None:
    world = World([Channel(1)])
    world.channels[0].say(at(200))
    world.channels[0].say(at(201), author=SKY, reference=reply(at(200)))
    world.channels[0].say(at(202), author=SKY, reference=reply(at(200)), components=below)

    await successor(world, at(203), (at(200),) if unfinished else ())

    assert world.dispatcher.replaces == ({at(200): (at(201), at(202))} if ended else {})
    assert world.dispatcher.taken == ([at(200)] if ended else [])


async def test_calls_are_taken_oldest_first_wherever_they_were_written() -> None:
    world = World([Channel(1), Channel(2)])
    for second in (207, 203, 205):
        world.channels[second % 2].say(at(second))
        world.channels[1 - second % 2].say(at(second + 1))
    for channel in world.channels:
        channel.messages.sort(key=lambda each: each.id)

    await successor(world, at(200))

    assert world.dispatcher.taken == sorted(world.dispatcher.taken)
    assert len(world.dispatcher.taken) == 6


async def test_what_is_too_old_is_left_and_counted() -> None:
    world = World([Channel(1)], window=600)
    now = discord.utils.utcnow()
    old = discord.utils.time_snowflake(now - datetime.timedelta(seconds=700))
    recent = discord.utils.time_snowflake(now - datetime.timedelta(seconds=500))
    world.channels[0].say(old)
    world.channels[0].say(recent)

    await successor(world, old - 1)

    counted = world.metrics.registry.get_sample_value
    assert world.dispatcher.taken == [recent]
    assert counted("discord_sky_caught_up_total", {"outcome": "too_old"}) == 1


async def test_a_call_that_a_standby_received_is_never_too_old() -> None:
    """With a window of 0, which is for what was said while the bot was away."""
    there = Channel(10, troubles=[OSError()] * 3)
    world = World([there], window=0)
    there.say(at(109))
    there.say(at(110))
    world.backfill.opened()
    world.backfill.known(world)  # type: ignore[arg-type]  # as much of a client as is used
    world.backfill.succeed((), [message_of(there.messages[1])])

    await world.backfill.run(world)  # type: ignore[arg-type]  # cannot read
    await world.backfill.run(world)  # type: ignore[arg-type]

    assert world.dispatcher.taken == [at(110)]


async def test_a_successor_in_good_order_asks_for_nothing_that_it_heard_itself() -> None:
    world = World([Channel(1)])
    world.channels[0].say(at(100))
    world.backfill.opened()
    world.backfill.known(world)  # type: ignore[arg-type]
    world.backfill.heard(at(200), None)
    world.backfill.load(0, left(at(200)))

    world.backfill.follow()
    await world.backfill.run(world)  # type: ignore[arg-type]

    assert world.channels[0].asked == []


async def test_a_successor_asks_for_what_was_said_before_it_listened() -> None:
    """An eviction: nobody was there."""
    world = World([Channel(1)])
    world.channels[0].say(at(300))
    world.backfill.load(0, left(at(200)))
    world.backfill.opened()
    world.backfill.known(world)  # type: ignore[arg-type]

    world.backfill.follow()
    await world.backfill.run(world)  # type: ignore[arg-type]

    assert world.dispatcher.taken == [at(300)]


async def test_a_resumed_session_does_not_settle_what_another_process_left() -> None:
    world = World([Channel(1)])
    world.channels[0].say(at(300))
    world.backfill.load(0, left(at(200)))
    world.backfill.opened()
    world.backfill.succeed((), [])
    world.backfill.resumed()

    await world.backfill.run(world)  # type: ignore[arg-type]

    assert world.dispatcher.taken == [at(300)]


async def test_who_goes_while_it_catches_up_leaves_what_it_had_not_taken_yet() -> None:
    """The mark that the next one begins at is the old one until everything is taken."""
    world = World([Channel(1)])
    world.channels[0].say(at(300))
    marks: list[int] = []
    missed = world.dispatcher.missed

    def look(message: Message, me: int, replaces: tuple[int, ...]) -> bool:
        marks.append(json.loads(world.backfill.dump(0))["owed"])
        return missed(message, me, replaces)

    world.dispatcher.missed = look  # type: ignore[method-assign]
    await successor(world, at(200))

    assert marks == [at(200)]
    assert json.loads(world.backfill.dump(0)) == {"heard": at(300), "owed": None, "direct": []}


async def test_what_its_predecessor_had_still_to_look_at_is_looked_at_by_one_who_heard_it() -> None:
    """A standby keeps what it heard for two minutes only."""
    world = World([Channel(1)])
    world.backfill.opened()
    world.backfill.known(world)  # type: ignore[arg-type]
    world.channels[0].say(at(200))
    world.backfill.heard(at(500), None)
    world.backfill.load(0, left(at(500), owed=at(199)))

    world.backfill.follow()
    await world.backfill.run(world)  # type: ignore[arg-type]

    assert world.dispatcher.taken == [at(200)]


async def test_a_message_that_cannot_be_read_is_skipped_and_the_others_are_taken() -> None:
    hall = Channel(10)
    world = World([hall])
    await world.first()
    hall.say(at(110))
    hall.say(at(120), mentions=7)
    hall.say(at(130))

    world.backfill.gap()
    await world.ready()

    assert world.dispatcher.taken == [at(110), at(130)]
    series = "discord_sky_unreadable_total"
    assert world.metrics.registry.get_sample_value(series, {"kind": "message"}) == 1


async def test_a_defect_while_catching_up_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Channel(10)
    world = World([hall])
    await world.first()
    hall.say(at(110))
    world.backfill.gap()

    async def broken() -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(world.dispatcher, "wait_for_capacity", broken)
        with pytest.raises(ZeroDivisionError):
            await world.ready()
    await world.backfill.run(world)  # type: ignore[arg-type]  # as much of a client as is used

    assert world.dispatcher.taken == [at(110)]


async def test_an_answer_that_was_not_taken_is_looked_for_in_its_own_channel_only() -> None:
    there, elsewhere = Channel(10), Channel(11)
    world = World([there, elsewhere])
    await world.first()
    there.say(at(110))
    elsewhere.say(at(111))
    world.backfill.heard(at(111), None)

    world.backfill.look_at(message_of(there.messages[0]))
    owed = json.loads(world.backfill.dump(0))["owed"]
    await world.backfill.run(world)  # type: ignore[arg-type]  # as much of a client as is used

    assert owed == at(110)
    assert world.dispatcher.taken == [at(110)]
    assert elsewhere.asked == []
    assert json.loads(world.backfill.dump(0))["owed"] is None


async def test_where_it_cannot_be_looked_for_it_is_looked_for_again() -> None:
    there = Channel(10, troubles=[OSError()] * 3)
    world = World([there])
    await world.first()
    there.say(at(110))
    world.backfill.heard(at(110), None)

    world.backfill.look_at(message_of(there.messages[0]))
    first = await world.backfill.run(world)  # type: ignore[arg-type]  # as much of a client as is used
    second = await world.backfill.run(world)  # type: ignore[arg-type]

    assert (first, second) == (False, True)
    assert world.dispatcher.taken == [at(110)]


async def test_a_newer_answer_that_was_not_taken_does_not_hide_an_older_one() -> None:
    """The second fails while the channel is read for the first, and the reading fails as well."""

    class Failing(Channel):
        async def history(
            self, limit: int, after: discord.Object, *, oldest_first: bool
        ) -> AsyncIterator[Said]:
            if self.troubles:
                world.backfill.look_at(message_of(self.messages[1]))
            async for each in Channel.history(self, limit, after, oldest_first=oldest_first):
                yield each

    there = Failing(10, troubles=[OSError()] * 3)
    world = World([there])
    await world.first()
    there.say(at(110))
    there.say(at(120))
    world.backfill.heard(at(120), None)

    world.backfill.look_at(message_of(there.messages[0]))
    await world.backfill.run(world)  # type: ignore[arg-type]  # as much of a client as is used
    owed = json.loads(world.backfill.dump(0))["owed"]
    await world.backfill.run(world)  # type: ignore[arg-type]

    assert owed == at(110)
    assert world.dispatcher.taken == [at(110), at(120)]


async def test_a_channel_that_only_its_predecessor_knew_is_read_again_after_a_failure() -> None:
    """A thread, for example, that this session was not told of."""
    there = Channel(10, troubles=[OSError()] * 3)
    world = World([], [there])
    there.say(at(110))
    world.backfill.opened()
    world.backfill.known(world)  # type: ignore[arg-type]  # as much of a client as is used
    world.backfill.succeed((), [message_of(there.messages[0])])

    await world.backfill.run(world)  # type: ignore[arg-type]
    await world.backfill.run(world)  # type: ignore[arg-type]

    assert world.dispatcher.taken == [at(110)]


async def test_nothing_is_read_for_an_old_answer_that_was_asked_for_again_in_vain() -> None:
    """Its question may be a year old, and everything said since would be read."""
    there = Channel(10)
    there.say(at(110))
    world = World([there], window=600)
    await world.first()

    world.backfill.look_at(message_of(there.messages[0]))
    await world.backfill.run(world)  # type: ignore[arg-type]  # as much of a client as is used

    assert there.asked == []


async def test_only_what_is_not_too_old_is_checked_again() -> None:
    now = discord.utils.time_snowflake(discord.utils.utcnow())
    world = World([Channel(10)], window=600)
    await world.first()

    world.backfill.check_again([at(110)])
    old = json.loads(world.backfill.dump(0))["owed"]
    world.backfill.check_again([at(110), now])

    assert old is None
    assert json.loads(world.backfill.dump(0))["owed"] == now


async def test_what_became_due_while_nobody_knew_who_leads_is_read_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran = asyncio.Event()

    async def run(_: object) -> bool:
        ran.set()
        return True

    leads = False
    world = World([Channel(10)])
    world.backfill.known(world)  # type: ignore[arg-type]  # as much of a client as is used
    monkeypatch.setattr(world.backfill, "run", run)
    keeping = asyncio.create_task(world.backfill.keep(lambda: leads))
    world.backfill.check_from(at(110))
    for _ in range(3):
        await asyncio.wait([keeping], timeout=0.01)
    meanwhile = ran.is_set()

    leads = True
    world.backfill.wake()
    await asyncio.wait_for(ran.wait(), 5)
    keeping.cancel()

    assert not meanwhile


def message_of(said: Said) -> Message:
    return converters.to_message(said)  # type: ignore[arg-type]  # as much of it as is read
