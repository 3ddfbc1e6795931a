"""Whether a message in a thread goes on with a conversation with the bot."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.context.message_cache import MessageCache
from bot.discord.conversations import Conversations
from bot.domain.errors import DiscordDown, MayNotSpeak
from bot.domain.messages import Author, Location, Message
from bot.settings.schema import AccessSettings, ThreadsSettings
from bot.triggers.access_policy import AccessPolicy
from bot.triggers.match import Ignored, Trigger, TriggerRules, match, may_continue, opens_thread

ME, THREAD, HELP = 7, 50, 10
SKY, ADA, BRAM = Author(ME, "Sky", bot=True), Author(1, "Ada"), Author(2, "Bram")
ROBOT = Author(9, "Robot", bot=True)
RULES = TriggerRules(
    "!sky",
    AccessPolicy(AccessSettings()),
    ThreadsSettings(channels={"help": "on_call", "ideas": "forum", "51": "off"}),
)


def said(number: int, author: Author = ADA, *, opened_by: int = ME) -> Message:
    """Say something in the thread, which hangs in #help."""
    return Message(
        number,
        THREAD,
        author,
        "and then?",
        guild_id=5,
        place=Location(channels=(str(THREAD), str(HELP), "help")),
        thread_of=HELP,
        thread_owner=opened_by,
    )


def starter(asker: int = ADA.id) -> Message:
    """Discord's own message about the one that the thread hangs on."""
    return replace(said(51, SKY), ordinary=False, text="", replied_author_id=asker)


@dataclass
class Archive:
    """A thread's messages; fails as often as it is told to."""

    messages: list[Message] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    asked: int = 0

    async def newest(self, channel_id: int, most: int) -> list[Message]:
        """See ThreadHistory."""
        assert channel_id == THREAD
        self.asked += 1
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        return self.messages[-most:]


def known(archive: Archive, when: str = "alone") -> Conversations:
    """Make what is under test."""
    return Conversations(MessageCache(), archive, when)  # type: ignore[arg-type]  # one of the words


async def test_a_thread_is_read_once_and_then_what_is_heard_counts() -> None:
    archive = Archive([starter(), said(52, SKY), said(60)])
    there = known(archive)

    assert (await there.settle(said(60), ME)).continues
    there.hear(said(61), ME)
    assert (await there.settle(said(61), ME)).continues
    there.hear(said(62, ROBOT), ME)
    there.hear(said(63, BRAM), ME)
    assert not (await there.settle(said(63, BRAM), ME)).continues
    assert not (await there.settle(said(64), ME)).continues
    assert archive.asked == 1
    assert (await there.settle(said(61), ME)).continues  # nobody else had written by then
    there.missed()
    await there.settle(said(65), ME)
    assert archive.asked == 2


async def test_whoever_asked_counts_and_a_deleted_question_does_not() -> None:
    asked = Archive([starter(), said(52, SKY), said(60, BRAM)])
    deleted = Archive([replace(starter(), replied_author_id=None), said(60, BRAM)])

    assert not (await known(asked).settle(said(60, BRAM), ME)).continues
    assert (await known(deleted).settle(said(60, BRAM), ME)).continues


async def test_in_a_post_the_bot_must_have_written_before() -> None:
    post = Archive([said(50, opened_by=1), said(60, opened_by=1), said(61, SKY), said(62)])
    there = known(post)

    assert not (await there.settle(said(60, opened_by=1), ME)).continues
    assert (await there.settle(said(62, opened_by=1), ME)).continues
    assert not (await there.settle(said(62, BRAM, opened_by=1), ME)).continues
    assert (await known(post, "always").settle(said(62, BRAM, opened_by=1), ME)).continues


async def test_what_is_unknown_needs_a_call() -> None:
    """Discord hands out nothing to who may not read, or refuses; an outage is told."""
    away = Archive([starter(), said(60)], [DiscordDown("away")])
    there = known(away)

    assert not (await known(Archive()).settle(said(60), ME)).continues
    forbidden = Archive([said(60)], [MayNotSpeak("no")])
    assert not (await known(forbidden).settle(said(60), ME)).continues
    with pytest.raises(DiscordDown):
        await there.settle(said(60), ME)
    assert (await there.settle(said(60), ME)).continues


async def test_two_messages_at_once_read_a_thread_once() -> None:
    archive = Archive([starter(), said(60), said(61)])
    there = known(archive)

    found = await asyncio.gather(there.settle(said(60), ME), there.settle(said(61), ME))

    assert [each.continues for each in found] == [True, True]
    assert archive.asked == 1


@given(
    st.lists(st.sampled_from([SKY, ADA, BRAM, ROBOT]), min_size=1, max_size=12),
    st.integers(0, 11),
    st.randoms(use_true_random=False),
)
def test_when_a_thread_is_read_and_in_which_order_messages_come_changes_nothing(
    authors: list[Author], read: int, random: object
) -> None:
    """One process has heard all, another reads it after a restart, in a backfill."""
    messages = [starter(), *(said(60 + n, author) for n, author in enumerate(authors))]

    async def decided() -> tuple[list[bool], list[bool]]:
        first = known(Archive(messages[: read + 1]))
        await first.settle(messages[min(read, len(messages) - 1)], ME)
        later = messages[read + 1 :]
        random.shuffle(later)  # type: ignore[attr-defined]  # hypothesis's own Random
        for each in later:
            first.hear(each, ME)
        second = known(Archive(messages))
        return (
            [(await first.settle(each, ME)).continues for each in messages[1:]],
            [(await second.settle(each, ME)).continues for each in messages[1:]],
        )

    live, after = asyncio.run(decided())
    assert live == after
    for number, message in enumerate(messages[1:], start=1):
        people = {each.author.id for each in messages[1 : number + 1] if not each.author.bot}
        if message.author is ADA:
            assert live[number - 1] == (people == {ADA.id})


POST = replace(
    said(THREAD, BRAM, opened_by=2),
    title="Cork",
    place=Location(channels=(str(THREAD), "11", "ideas")),
)


@pytest.mark.parametrize(
    ("message", "decision"),
    [
        (POST, Trigger("post", "and then?")),
        (replace(POST, author=ROBOT), Ignored("bot")),
        (replace(POST, id=60), Ignored("not_called")),
        (replace(POST, place=Location(channels=("50", "11", "wishes"))), Ignored("not_called")),
        (replace(POST, id=60, continues=True), Trigger("thread", "and then?")),
        (replace(said(60), continues=True), Trigger("thread", "and then?")),
        (
            replace(said(60, BRAM), continues=True, names={ME: "Sky"}),
            Trigger("mention", "and then?"),
        ),
        (replace(said(60), continues=True, ordinary=False), Ignored("system")),
        (said(60), Ignored("not_called")),
    ],
)
def test_new_posts_and_conversations_need_no_call(
    message: Message, decision: Trigger | Ignored
) -> None:
    assert match(message, me=ME, rules=RULES) == decision


@pytest.mark.parametrize(
    ("message", "may"),
    [
        (said(60), True),
        (said(60, opened_by=1), False),  # somebody else's thread
        (said(60, ROBOT), False),
        (replace(said(60), text="!sky why?"), False),  # a call anyway
        (replace(said(60), ordinary=False), False),
        (replace(said(60), place=Location(channels=("50", "10", "pier"))), False),
        (replace(said(60), place=Location(channels=("51", "10", "help"))), False),
        (replace(said(60), thread_of=None), False),
        (POST, False),
        (replace(POST, id=60), True),
    ],
)
def test_only_where_no_call_may_be_needed_a_thread_is_looked_into(
    message: Message,
    *,
    may: bool,
) -> None:
    never = replace(
        RULES, threads=ThreadsSettings(channels={"help": "on_call"}, without_call="never")
    )
    assert may_continue(message, me=ME, rules=RULES) is may
    assert not may_continue(message, me=ME, rules=never)


def test_a_call_in_the_channel_opens_a_thread_and_nothing_else_does() -> None:
    call = replace(said(60), thread_of=None, place=Location(channels=(str(HELP), "help")))
    mention = Trigger("mention", "why?")

    assert opens_thread(call, mention, RULES)
    assert not opens_thread(call, Trigger("ambient", "why?"), RULES)
    assert not opens_thread(said(60), mention, RULES)
    assert not opens_thread(replace(call, guild_id=None, place=Location()), mention, RULES)
    assert not opens_thread(replace(call, place=Location(channels=("3", "pier"))), mention, RULES)
