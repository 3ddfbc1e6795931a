"""The parts that need no socket."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.servers.discord import intents, permissions
from tests.servers.discord.counts import LEDGER, Counts
from tests.servers.discord.errors import ApiError
from tests.servers.discord.event_log import KEPT, EventLog
from tests.servers.discord.faults import Faults
from tests.servers.discord.limits import Limits, Rule
from tests.servers.discord.mentions import resolve
from tests.servers.discord.model import Channel, Message, Overwrite
from tests.servers.discord.seed import populate
from tests.servers.discord.sessions import Session
from tests.servers.discord.settings import Settings
from tests.servers.discord.snowflake import Snowflakes, at, made_at
from tests.servers.discord.world import MESSAGES_PER_CHANNEL, World

ADA, BOT = 111111111111111111, 222222222222222222


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@given(
    limit=st.integers(1, 10),
    per=st.floats(0.1, 60),
    steps=st.lists(st.floats(0, 10), max_size=60),
)
def test_no_window_lets_more_through_than_its_limit(
    limit: int, per: float, steps: list[float]
) -> None:
    clock = Clock()
    limits = Limits(clock, Rule("global", 10_000, 1.0))
    rule = Rule("r", limit, per)
    windows: dict[float, int] = {}
    for step in steps:
        clock.now += step
        verdict = limits.take(rule, "major")
        assert verdict is not None
        ends = round(clock.now + verdict.reset_after, 6)
        windows[ends] = windows.get(ends, 0) + verdict.allowed
        assert 0 < verdict.reset_after <= per + 1e-9
        assert 0 <= verdict.remaining < limit or not verdict.allowed

    assert all(count <= limit for count in windows.values())


@given(limit=st.integers(1, 10), per=st.floats(0.1, 60))
def test_who_waits_as_long_as_told_may_pass(limit: int, per: float) -> None:
    clock = Clock()
    limits = Limits(clock, Rule("global", 10_000, 1.0))
    rule = Rule("r", limit, per)
    verdicts = [limits.take(rule, "") for _ in range(limit + 1)]
    assert [verdict.allowed for verdict in verdicts if verdict] == [True] * limit + [False]

    refused = verdicts[-1]
    assert refused is not None
    clock.now += refused.reset_after + 1e-6
    again = limits.take(rule, "")

    assert again is not None
    assert again.allowed


def test_buckets_of_two_channels_are_apart_and_exempt_requests_do_not_count() -> None:
    limits = Limits(Clock(), Rule("global", 3, 1.0))
    rule = Rule("r", 1, 5.0)

    assert [limits.take(rule, place) is not None for place in "ab"] == [True, True]
    assert limits.take(None, "", exempt=True) is None
    assert limits.take(None, "") is None
    over = limits.take(None, "")
    assert over is not None
    assert (over.scope, over.allowed) == ("global", False)


@given(st.lists(st.floats(1.5e9, 2e9), min_size=1, max_size=50))
def test_ids_only_grow_whatever_the_clock_does(times: list[float]) -> None:
    source = iter(times)
    ids = Snowflakes(lambda: next(source))

    made = [ids.next() for _ in times]

    assert made == sorted(set(made))
    assert abs(made_at(made[0]) - times[0]) < 0.002


def test_an_id_holds_its_time() -> None:
    assert made_at(at(1_790_000_000.5)) == 1_790_000_000.5
    assert at(1420070400.0) == 0


@pytest.mark.parametrize(
    ("allowed", "users", "everyone"),
    [
        (None, (ADA, BOT), True),
        ({"parse": []}, (), False),
        ({"parse": ["users"]}, (ADA,), False),
        ({"parse": ["everyone"], "users": [str(ADA), "5"]}, (ADA,), True),
        ({"parse": [], "replied_user": True}, (BOT,), False),
    ],
)
def test_pings_are_those_that_are_allowed(
    allowed: dict[str, object] | None, users: tuple[int, ...], *, everyone: bool
) -> None:
    pings = resolve(f"@everyone <@{ADA}> <@333333333333333333>", {ADA, BOT}, allowed, BOT)

    assert (pings.users, pings.everyone) == (users, everyone)


def test_contradicting_allowed_mentions_are_refused() -> None:
    with pytest.raises(ApiError, match="50035"):
        resolve("x", {ADA}, {"parse": ["users"], "users": [str(ADA)]}, None)


def test_a_member_s_overwrite_beats_everyone_s() -> None:
    world = World()
    populate(world)
    guild = next(iter(world.guilds.values()))
    channel = world.channels[guild.channels[0]]
    send = permissions.BITS["send_messages"]
    channel.overwrites = [Overwrite(guild.id, 0, deny=send)]
    assert not world.may(channel, "send_messages")

    channel.overwrites.append(Overwrite(world.bot.id, 1, allow=send))

    assert world.may(channel, "send_messages")
    assert world.may(channel, "send_messages", guild.owner_id)
    assert not world.may(channel, "send_messages", world.users[guild.owner_id + 1].id)
    with pytest.raises(KeyError, match="fly"):
        permissions.bits(["fly"])


def test_a_channel_forgets_its_oldest_messages() -> None:
    world = World()
    channel = world.channels[1] = Channel(1, 0, "long")
    for number in range(MESSAGES_PER_CHANNEL + 10):
        world.add(Message(world.ids.next(), 1, world.bot.id, str(number)))

    assert len(channel.messages) == MESSAGES_PER_CHANNEL
    assert world.history(channel, 1)[0].content == str(MESSAGES_PER_CHANNEL + 9)
    assert len(world._where) == MESSAGES_PER_CHANNEL


def test_the_ledger_and_the_feed_are_bounded() -> None:
    counts, feed = Counts(), EventLog()
    for number in range(LEDGER + 5):
        counts.asked(number)
    counts.answered(2, 1)
    counts.answered(LEDGER, 1)
    for _ in range(KEPT + 5):
        feed.put("x", {})

    assert len(counts.ledger) == LEDGER
    assert counts.answers()[str(LEDGER)] == ["1"]
    with feed.reader(since=0) as queue:
        assert queue.qsize() == KEPT


@given(st.lists(st.integers(0, 40), max_size=8))
def test_a_resume_replays_exactly_what_came_after(seen: list[int]) -> None:
    session = Session("s", "t", 0, (0, 1))
    for number in range(40):
        session.push("X", str(number))

    for seq in seen:
        missed = session.missed(seq)
        assert missed is not None
        assert [json.loads(each)["s"] for each in missed] == list(range(seq + 1, 41))


def test_a_session_that_forgot_cannot_be_resumed() -> None:
    session = Session("s", "t", 0, (0, 1))
    for _ in range(3000):
        session.push("X", "{}")

    assert session.missed(0) is None
    assert session.missed(3000) == []
    assert len(session.missed(2990) or ()) == 10


def test_faults_strike_in_order_and_run_out() -> None:
    clock = Clock()
    faults = Faults(clock)
    faults.add({"where": "rest", "kind": "status", "status": 500, "count": 1})
    faults.add({"where": "rest", "kind": "status", "route": "GET *", "seconds": 5})

    struck = [faults.match("rest", each) for each in ("GET /a", "GET /a", "POST /a")]

    assert [each.status if each else None for each in struck] == [500, 503, None]
    clock.now += 6
    assert faults.match("rest", "GET /a") is None
    assert faults.active == {}


def test_settings_refuse_what_they_do_not_know() -> None:
    assert Settings().changed({"ack_seconds": 1.5}).ack_seconds == 1.5
    with pytest.raises(ValueError, match="unknown setting 'speed'"):
        Settings().changed({"speed": 1})
    with pytest.raises(ValueError, match="non-negative"):
        Settings().changed({"ack_seconds": True})


def test_every_privileged_intent_is_known() -> None:
    assert intents.PRIVILEGED & ~intents.KNOWN == 0
    assert intents.application_flags(intents.PRIVILEGED) == 1 << 13 | 1 << 15 | 1 << 19
