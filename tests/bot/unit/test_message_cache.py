"""What the bot remembers of what it heard."""

from __future__ import annotations

from bot.context.message_cache import MessageCache
from bot.domain.messages import Author, Message

ADA = Author(1, "Ada")


def said(number: int, text: str = "x", channel: int = 10) -> Message:
    return Message(id=number, channel_id=channel, author=ADA, text=text)


def test_only_so_many_messages_are_remembered() -> None:
    cache = MessageCache(room=3)
    for number in range(1, 6):
        cache.put(said(number))

    assert [number for number in range(1, 6) if cache.get(number)] == [3, 4, 5]


def test_a_channel_that_was_heard_for_long_enough_needs_no_request() -> None:
    cache = MessageCache()
    for number in (1, 2, 3):
        cache.hear(said(number))
    cache.hear(said(9, channel=11))

    assert cache.recent(10, before=4, most=4) is None
    assert [m.id for m in cache.recent(10, before=4, most=2) or ()] == [2, 3]
    assert [m.id for m in cache.recent(10, before=3, most=2) or ()] == [1, 2]


def test_a_channel_that_was_listed_once_needs_no_request_until_something_may_be_missed() -> None:
    cache = MessageCache()
    cache.hear(said(3))
    cache.follow(10, [said(1), said(2)])

    assert [m.id for m in cache.recent(10, before=4, most=9) or ()] == [1, 2, 3]
    cache.missed()
    assert cache.recent(10, before=4, most=9) is None


def test_what_was_deleted_or_edited_is_recalled_as_it_is_now() -> None:
    cache = MessageCache()
    cache.follow(10, [said(1), said(2), said(3)])

    cache.forget(2)
    cache.put(said(3, "edited"))

    assert [(m.id, m.text) for m in cache.recent(10, 9, 9) or ()] == [(1, "x"), (3, "edited")]


def test_an_answer_in_parts_is_one_message_of_the_channel() -> None:
    cache = MessageCache()
    cache.follow(10, [])

    cache.put_answer([5, 6], said(5, "both parts"))

    assert [m.text for m in cache.recent(10, 9, 9) or ()] == ["both parts"]
    assert cache.get(6) == cache.get(5)
