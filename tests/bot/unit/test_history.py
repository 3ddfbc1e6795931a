"""From a call back to what led to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.context import history
from bot.context.history import History, MessageChain, read_history
from bot.context.message_cache import MessageCache
from bot.domain.messages import Author, Message
from bot.settings.schema import ConversationSettings as Limits
from tests.bot.unit.fakes import Archive, SilentArchive

ADA, SKY = Author(1, "Ada"), Author(7, "Sky", bot=True)
GENERAL, THREAD, SECRET = 10, 100, 66


def said(number: int, text: str = "x", replies_to: int | None = None, **more: int) -> Message:
    place = more.pop("channel_id", GENERAL)
    return Message(
        id=number,
        channel_id=place,
        guild_id=5,
        author=ADA,
        text=text,
        replies_to=replies_to,
        thread_of=more.pop("thread_of", None),
        replies_in=more.pop("replies_in", None),
    )


async def followed(
    call: Message, archive: History, *, cache: MessageCache | None = None, most: int = 10
) -> MessageChain:
    return await read_history(call, cache or MessageCache(), archive, Limits(history=most))


def ids(found: MessageChain) -> list[int]:
    return [message.id for message in found.messages]


async def test_the_chain_of_replies_is_followed_to_its_beginning() -> None:
    archive = Archive(said(1), said(2, replies_to=1), said(3, replies_to=2), said(4))

    found = await followed(said(9, replies_to=3), archive)

    assert ids(found) == [3, 2, 1]
    assert not found.cut


async def test_what_was_seen_is_not_asked_for_again() -> None:
    archive, cache = Archive(said(1)), MessageCache()

    await followed(said(2, replies_to=1), archive, cache=cache)
    await followed(said(3, replies_to=1), archive, cache=cache)

    assert archive.asked == [(GENERAL, 1)]


async def test_a_reply_to_any_part_of_an_answer_means_the_whole_answer() -> None:
    cache = MessageCache()
    cache.put_answer([20, 21], replace(said(20, "part one, part two"), author=SKY))
    cache.put(said(21, "part two"))

    found = await followed(said(30, replies_to=21), Archive(), cache=cache)

    assert found.messages[0].text == "part one, part two"


async def test_a_chain_of_more_than_forty_is_cut() -> None:
    archive = Archive(*(said(n, replies_to=n - 1 or None) for n in range(1, 60)))

    found = await followed(said(60, replies_to=59), archive)

    assert ids(found) == list(range(59, 20, -1))
    assert found.cut


async def test_a_deleted_message_ends_the_chain_and_is_asked_for_once() -> None:
    archive, cache = Archive(), MessageCache()

    found = await followed(said(3, replies_to=2), archive, cache=cache)
    again = await followed(said(4, replies_to=2), archive, cache=cache)

    assert (ids(found), found.cut, ids(again), again.cut) == ([], True, [], True)
    assert archive.asked == [(GENERAL, 2)]


async def test_a_discord_that_does_not_answer_costs_a_moment_and_not_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "_SECONDS", 0.01)

    found = await followed(said(3, replies_to=2), SilentArchive())

    assert (ids(found), found.cut) == ([], True)


async def test_where_no_chain_leads_the_channels_newest_are_read_and_listed_once() -> None:
    archive = Archive(*map(said, range(1, 6)), said(6, channel_id=11))
    cache = MessageCache()

    found = await followed(said(9), archive, cache=cache, most=3)
    cache.hear(said(10))
    again = await followed(said(11), archive, cache=cache, most=3)

    assert ids(found) == [5, 4, 3]
    assert ids(again) == [10, 5, 4]
    assert archive.asked == [(GENERAL, 9)]


async def test_the_channel_is_not_read_where_the_settings_say_no() -> None:
    archive = Archive(said(1))

    assert ids(await followed(said(9), archive, most=0)) == []
    assert archive.asked == []


async def test_a_threads_chain_goes_on_at_the_message_that_the_thread_hangs_on() -> None:
    archive = Archive(
        said(1),
        said(THREAD, replies_to=1),
        said(101, channel_id=THREAD, thread_of=GENERAL),
    )
    call = said(102, replies_to=101, channel_id=THREAD, thread_of=GENERAL)

    assert ids(await followed(call, archive)) == [101, THREAD, 1]


async def test_in_a_thread_without_a_chain_its_messages_and_their_starter_are_read() -> None:
    archive = Archive(said(THREAD), said(101, channel_id=THREAD, thread_of=GENERAL))

    found = await followed(said(102, channel_id=THREAD, thread_of=GENERAL), archive)

    assert ids(found) == [101, THREAD]


async def test_a_chain_ends_where_the_caller_cannot_see_and_that_is_remarked() -> None:
    secret = said(1, channel_id=SECRET)
    archive = Archive(secret, unseen=frozenset({SECRET}))
    cache = MessageCache()
    cache.put(secret)

    for known in (MessageCache(), cache):
        call = said(9, replies_to=1, replies_in=SECRET)
        found = await followed(call, archive, cache=known)
        # Where the message says it is and where it is are both asked.
        lied = await followed(said(9, replies_to=1), Archive(unseen=frozenset({SECRET})))

        assert (ids(found), found.cut) == ([], True)
        assert found.remarks == ["I left out messages from a channel that you can't see."]
        assert ids(lied) == []


async def test_a_link_to_a_message_is_read_where_the_caller_can_read_it() -> None:
    archive = Archive(
        said(1, channel_id=11), said(2, channel_id=SECRET), unseen=frozenset({SECRET})
    )
    base = "https://discord.com/channels/5"
    call = said(9, f"see {base}/11/1 and {base}/{SECRET}/2 and {base}/11/404")

    found = await followed(call, archive)

    assert [message.id for message in found.linked] == [1]
    assert len(found.remarks) == 1
    assert "did not read a message that you link to" in found.remarks[0]
    assert (SECRET, 2) not in archive.asked


async def test_a_link_into_another_server_is_not_read() -> None:
    archive = Archive(said(1, channel_id=11))

    found = await followed(said(9, "https://discord.com/channels/6/11/1"), archive)

    assert found.linked == []
    assert archive.asked == [(GENERAL, 9)]


async def test_nothing_is_read_where_the_caller_may_not_read_the_history() -> None:
    cache = MessageCache()
    cache.follow(GENERAL, [said(1), said(2)])
    archive = Archive(said(1), said(2), unseen=frozenset({GENERAL}))

    for call in (said(9), said(9, replies_to=1)):
        for known in (MessageCache(), cache):
            found = await followed(call, archive, cache=known)

            assert (found.messages, found.meant) == ([], [])
            assert found.remarks == [
                "I left out the earlier messages here: you may not be allowed to read them."
            ]
    assert archive.asked == []


async def test_a_message_that_cannot_be_read_is_left_out_and_said_to_be() -> None:
    odd = replace(said(2), readable=False)
    archive = Archive(said(1), odd, said(3))

    listed = await followed(said(9), archive)
    replied = await followed(said(9, replies_to=2), archive)

    assert ids(listed) == [3, 1]
    assert ids(replied) == []
    for found in (listed, replied):
        assert found.remarks == ["I left out a message that I could not read."]
