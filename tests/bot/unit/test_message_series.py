"""The messages of one answer: their buttons, their number, and where a long one goes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import accumulate
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.errors import ContentRefused, DiscordDown, MayNotSpeak, PlaceGone, Unsaid
from bot.domain.messages import Author, Button, Message, Picture, Post
from bot.reply.button_ids import button
from bot.reply.message_series import MOST_MESSAGES, MessageSeries, ReplyTarget
from bot.reply.splitter import LIMIT
from bot.settings.schema import ReplySettings as Settings
from tests.bot.integration.text_integrity import balanced, is_whole
from tests.bot.unit.fakes import FakeSink

CALL = Message(id=5, channel_id=10, guild_id=1, author=Author(1, "Ada"), text="hello")
WHISPER = Message(id=5, channel_id=10, author=Author(1, "Ada"), text="hello")
LONG = "A sentence of some length, number {}. "
STOP, AGAIN = button("stop", CALL), button("again", CALL)


def long(parts: int) -> str:
    """Make a text that takes about as many messages."""
    return "".join(LONG.format(number) for number in range(50 * parts - 10))


def order(
    to: Message = CALL, *, replaces: tuple[int, ...] = (), nonce_base: int = 5
) -> ReplyTarget:
    """Order an answer with both buttons."""
    return ReplyTarget(
        to, nonce_base, replaces, stop=(STOP,), again=(AGAIN,), title="What is long?"
    )


async def shown(
    sink: FakeSink, text: str, settings: Settings | None = None, what: ReplyTarget | None = None
) -> MessageSeries:
    """Show `text` as it grows, 700 characters at a time, and then whole."""
    pages = MessageSeries(what or order(), sink, settings or Settings(), lambda: None)
    pages.know_links(text)
    for end in range(700, len(text), 700):
        await pages.show(text[:end], last=False)
    await pages.show(text, last=True)
    return pages


async def test_stop_stands_below_what_grows_and_again_below_what_is_whole() -> None:
    sink = FakeSink()
    pages = MessageSeries(order(), sink, Settings(), lambda: None)

    await pages.show("Once upon", last=False)
    growing = sink.labels
    await pages.show("Once upon a time.", last=True)

    assert (growing, sink.labels) == ([["Stop"]], [["Again"]])
    assert sink.log == ["send", "edit"]


async def test_an_answer_that_comes_quickly_is_one_request_with_its_button() -> None:
    sink = FakeSink()

    await shown(sink, "At once.")

    assert (sink.log, sink.labels) == (["send"], [["Again"]])


async def test_only_the_last_message_of_a_long_answer_has_a_button() -> None:
    sink = FakeSink()

    await shown(sink, long(3))

    assert sink.labels == [[], [], ["Again"]]
    assert "".join(sink.messages.values()) == long(3)


async def test_a_text_that_ends_in_white_space_after_a_full_message_keeps_its_button() -> None:
    sink = FakeSink()
    pages = MessageSeries(order(), sink, Settings(), lambda: None)
    text = "word " * 400

    await pages.show(text + "\n", last=False)
    await pages.show(text + "\n\n\n", last=True)

    assert sink.labels == [["Again"]]


async def test_from_so_many_messages_on_a_long_answer_is_a_file() -> None:
    sink = FakeSink()

    await shown(sink, long(5), Settings(long="file", long_from=3))

    first, second = sink.posts.values()
    assert first.text == long(5)[: len(first.text)]
    assert second.text.endswith("\n-# The full answer is in the file.")
    assert len(second.text) <= 2000
    assert second.files == (Picture("answer.md", long(5).encode()),)
    assert sink.labels == [[], ["Again"]]


async def test_an_answer_that_is_not_so_long_is_no_file() -> None:
    sink = FakeSink()

    await shown(sink, long(2), Settings(long="file", long_from=3))

    assert "".join(sink.messages.values()) == long(2)
    assert not any(post.files for post in sink.posts.values())


async def test_where_files_are_refused_a_long_answer_goes_on_in_messages() -> None:
    sink = FakeSink(refused={"files"})

    await shown(sink, long(5), Settings(long="file", long_from=3))

    assert "".join(sink.messages.values()) == long(5)
    assert sink.labels == [[], [], [], [], ["Again"]]


async def test_from_so_many_messages_on_a_long_answer_goes_on_in_a_thread() -> None:
    sink = FakeSink()

    pages = await shown(sink, long(4), Settings(long="thread", long_from=3))

    thread = pages.sent[0]
    assert [sink.places[number] for number in pages.sent] == [10, 10, thread, thread]
    assert "".join(sink.messages.values()) == long(4)
    assert "thread What is long?" in sink.log


IN_THREAD = replace(order(), in_thread=True)
THREAD = CALL.id  # as Discord numbers it


async def test_the_whole_answer_is_in_the_thread_on_its_question() -> None:
    sink = FakeSink()

    pages = await shown(sink, long(3), what=IN_THREAD)

    assert set(sink.places.values()) == {THREAD}
    assert pages.began_in == THREAD
    assert sink.log[:2] == ["thread What is long?", "send"]
    assert sink.log.count("thread What is long?") == 1


async def test_an_answer_in_the_thread_takes_the_place_of_the_one_that_is_there() -> None:
    sink = FakeSink()
    before = await shown(sink, long(3), what=IN_THREAD)
    again = replace(IN_THREAD, replaces=tuple(before.sent), nonce_base=6)

    after = await shown(sink, long(2), what=again)

    assert after.sent == before.sent[:2]
    assert list(sink.places) == after.sent


async def test_an_answer_moves_from_the_channel_into_the_thread() -> None:
    sink = FakeSink(refused={"threads"})
    before = await shown(sink, "At once.", what=IN_THREAD)
    assert set(sink.places.values()) == {10}
    sink.refused = set()

    await shown(sink, "Later.", what=replace(IN_THREAD, replaces=tuple(before.sent), nonce_base=6))

    assert set(sink.places.values()) == {THREAD}


@pytest.mark.parametrize(
    ("failures", "where"),
    [
        ([None, MayNotSpeak("locked")], 10),
        ([None, PlaceGone("deleted at once")], 10),
        ([DiscordDown("no thread in time")], 10),
        ([ContentRefused("the title")], THREAD),
        ([ContentRefused("the title"), ContentRefused("any title")], 10),
    ],
)
async def test_where_a_thread_fails_the_answer_is_in_the_channel(
    failures: list[Unsaid | None], where: int
) -> None:
    class Failing(FakeSink):
        def _call(self, name: str, post: Post | None = None) -> None:
            failed = failures.pop(0) if failures else None
            if failed is not None:
                raise failed
            super()._call(name, post)

    sink = Failing()

    pages = await shown(sink, "At once.", what=IN_THREAD)

    assert list(sink.messages.values()) == ["At once."]
    assert pages.began_in == where


async def test_an_answer_that_discord_does_not_take_is_not_tried_in_two_places() -> None:
    class Away(FakeSink):
        def _call(self, name: str, post: Post | None = None) -> None:
            super()._call(name, post)
            if name == "send":
                raise DiscordDown("away")  # which may have taken it

    sink = Away()

    with pytest.raises(DiscordDown):
        await shown(sink, "At once.", what=IN_THREAD)

    assert sink.log.count("send") == 1


async def test_all_messages_of_an_aborted_answer_are_deleted_in_its_thread_too() -> None:
    sink = FakeSink()
    pages = await shown(sink, long(4), Settings(long="thread", long_from=3))
    sink.failures = [DiscordDown("away")]

    await pages.delete()

    assert list(sink.messages) == pages.sent[:1]  # Discord did not take that, and took the others


@pytest.mark.parametrize(("to", "refused"), [(CALL, {"threads"}), (WHISPER, set())])
async def test_where_there_are_no_threads_a_long_answer_goes_on_in_messages(
    to: Message, refused: set[str]
) -> None:
    sink = FakeSink(refused=refused)

    await shown(sink, long(4), Settings(long="thread", long_from=2), order(to))

    assert set(sink.places.values()) == {10}
    assert "".join(sink.messages.values()) == long(4)
    assert len([each for each in sink.log if each.startswith("thread")]) == 1


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 3), (3, 1)])
async def test_an_answer_comes_in_the_place_of_the_earlier_one(before: int, after: int) -> None:
    sink = FakeSink()
    earlier = await shown(sink, long(before))
    redone = long(after).upper()

    pages = await shown(sink, redone, what=order(replaces=tuple(earlier.sent), nonce_base=6))

    assert "".join(sink.messages.values()) == redone
    assert pages.sent[0] == earlier.sent[0]
    assert sink.labels[-1] == ["Again"]
    assert len(set(sink.nonces)) == len(sink.nonces)  # Discord would take one for the other


@pytest.mark.parametrize(("before", "after"), [(3, 5), (5, 3)])
async def test_an_answer_in_a_thread_takes_the_place_of_the_earlier_one_there_too(
    before: int, after: int
) -> None:
    sink, threads = FakeSink(), Settings(long="thread", long_from=2)
    earlier = await shown(sink, long(before), threads)
    redone = long(after).upper()

    pages = await shown(sink, redone, threads, order(replaces=(earlier.sent[0],), nonce_base=6))

    assert "".join(sink.messages.values()) == redone
    assert set(sink.places.values()) == {10, pages.sent[0]}
    assert sink.labels[-1] == ["Again"]


async def test_an_earlier_message_that_was_deleted_is_made_good_by_a_new_one() -> None:
    sink = FakeSink()

    await shown(sink, "Here it is.", what=order(replaces=(4711,), nonce_base=6))

    assert list(sink.messages.values()) == ["Here it is."]


async def test_an_earlier_message_that_could_not_be_reached_is_tried_again() -> None:
    sink = FakeSink()
    earlier = await shown(sink, "Then.")
    pages = MessageSeries(
        order(replaces=tuple(earlier.sent), nonce_base=6), sink, Settings(), lambda: None
    )
    sink.failures = [DiscordDown()]

    with pytest.raises(DiscordDown):
        await pages.show("Now", last=False)
    await pages.show("Now.", last=True)

    assert list(sink.messages.values()) == ["Now."]


PIECES = st.sampled_from(
    [
        "word ",
        "A sentence. ",
        "\n",
        "\n\n",
        "```py\n",
        "```\n",
        "- item\n",
        "<:gull:123456789012345>",
        "👩‍👩‍👧",
    ]
)


@given(
    st.lists(PIECES, min_size=1, max_size=40).map(lambda pieces: "".join(pieces) * 25),
    st.lists(st.integers(1, 2500), max_size=12),
    st.sampled_from(["", "again"]),
)
@settings(max_examples=60, deadline=None)
def test_whatever_grows_however_its_messages_are_the_text(
    text: str, steps: list[int], again: str
) -> None:
    async def grow() -> FakeSink:
        sink = FakeSink()
        earlier = (await shown(sink, long(3))).sent if again else []
        pages = MessageSeries(
            order(replaces=tuple(earlier), nonce_base=6), sink, Settings(), lambda: None
        )
        for end in accumulate(steps):
            await pages.show(text[:end], last=False)
        await pages.show(text, last=True)
        return sink

    sink = asyncio.run(grow())

    messages = list(sink.messages.values())
    assert is_whole(messages, text)
    assert all(len(each) <= 2000 and balanced(each) for each in messages)
    assert [label for labels in sink.labels for label in labels] == (["Again"] if messages else [])


LINKS = "See https://a.example and <https://b.example>, [c](https://c.example). "


@pytest.mark.parametrize(("most", "previews"), [(2, True), (1, False)])
async def test_where_links_would_flood_there_are_no_previews(most: int, *, previews: bool) -> None:
    sink = FakeSink()

    await shown(sink, LINKS, Settings(previews=most))

    assert [post.previews for post in sink.posts.values()] == [previews]


async def test_previews_go_when_the_links_become_too_many() -> None:
    sink = FakeSink()
    pages = MessageSeries(order(), sink, Settings(previews=2), lambda: None)
    pages.know_links(LINKS)

    await pages.show(LINKS, last=False)
    few = [post.previews for post in sink.posts.values()]
    await pages.show(LINKS * 2, last=True)

    assert few == [True]
    assert [post.previews for post in sink.posts.values()] == [False]


@pytest.mark.parametrize(
    ("known", "text", "previews"),
    [
        ("(https://a.example/x), they say", "See https://a.example/x.", True),
        ("https://a.example/x", "See https://a.example/x?secret=words", False),
        ("https://a.example/x", "See https://a.example/x and https://evil.example/", False),
        ("https://a.example/x", "See https://A.example/x", False),
        ("", "See https://evil.example/secret", False),
        ("", "See <https://evil.example/secret>", True),
        ("https://a.example/x", "See https://a.exa", True),
        ("", "No link at all", True),
    ],
)
async def test_only_links_that_are_known_have_previews(
    known: str, text: str, *, previews: bool
) -> None:
    sink = FakeSink()
    pages = MessageSeries(order(), sink, Settings(previews=9), lambda: None)
    pages.know_links(known)

    await pages.show(text, last=False)

    assert [post.previews for post in sink.posts.values()] == [previews]


PICTURE = Picture("gull.png", b"\x89PNG")


@pytest.mark.parametrize("text", ["A gull.", ""])
async def test_a_picture_stands_below_the_answer(text: str) -> None:
    sink = FakeSink()
    pages = MessageSeries(order(), sink, Settings(), lambda: None)

    await pages.show(text, last=False)
    await pages.show(text, last=True, pictures=(PICTURE,))

    assert list(sink.posts.values()) == [Post(text, (AGAIN,), files=(PICTURE,))]


async def test_where_files_are_refused_a_picture_is_owned_up_to() -> None:
    sink = FakeSink(refused={"files"})
    pages = MessageSeries(order(), sink, Settings(), lambda: None)

    await pages.show("A gull.", last=True, pictures=(PICTURE,))

    (text,) = sink.messages.values()
    assert text == "A gull.\n-# I'm not allowed to attach files here, so I can't show what I made."


async def test_a_button_tells_who_asked_what_and_no_more() -> None:
    assert Button("Stop", "sky:stop:1:10:5") == STOP
    assert len(button("again", Message(2**64 - 1, 2**64 - 1, Author(2**64 - 1, ""), "")).id) <= 100


@pytest.mark.parametrize("long_answers", ["parts", "thread", "file"])
@pytest.mark.parametrize("text", ["\n\n".join(["x" * 1100] * 90), "word " * 20_000, "🇩🇪" * 50_000])
async def test_an_answer_has_at_most_sixty_messages_and_the_last_one_a_file(
    text: str, long_answers: Literal["parts", "thread", "file"]
) -> None:
    sink = FakeSink()

    await shown(sink, text, Settings(long=long_answers, long_from=50))

    posts = list(sink.posts.values())
    assert len(posts) <= MOST_MESSAGES
    if posts[-1].files:
        assert posts[-1].files[0].data.decode() == text
        assert posts[-1].text.endswith("-# The full answer is in the file.")
    else:
        assert is_whole([post.text for post in posts], text)


async def test_where_files_are_refused_too_the_sixtieth_message_says_that_it_goes_on() -> None:
    sink = FakeSink(refused={"files"})

    await shown(sink, "\n\n".join(["x" * 1100] * 90))

    posts = list(sink.posts.values())
    assert len(posts) == MOST_MESSAGES
    assert posts[-1].text.endswith(
        "-# My answer is longer, but I'm not allowed to attach files here."
    )
    assert len(posts[-1].text) <= LIMIT
    assert sink.labels[-1] == ["Again"]


FOOTER = "a-model · 10 tokens read and 5 written · 0.0001 USD"


async def footed(
    sink: FakeSink, text: str, settings: Settings | None = None, pictures: tuple[Picture, ...] = ()
) -> list[str]:
    """Show `text` as it grows, and then whole with a line below."""
    pages = MessageSeries(order(), sink, settings or Settings(), lambda: None)
    for end in range(700, len(text), 700):
        await pages.show(text[:end], last=False)
    await pages.show(text, last=True, pictures=pictures, footer=FOOTER)
    return list(sink.messages.values())


@given(
    st.lists(PIECES, min_size=1, max_size=40).map(lambda pieces: "".join(pieces) * 25),
    st.sampled_from(["parts", "file", "thread"]),
)
@settings(max_examples=60, deadline=None)
def test_a_line_below_takes_no_request_of_its_own_and_no_room_of_the_text(
    text: str, way: Literal["parts", "file", "thread"]
) -> None:
    with_line, without = FakeSink(), FakeSink()
    wanted = Settings(long=way, long_from=2)

    below = asyncio.run(footed(with_line, text, wanted))
    asyncio.run(shown(without, text, wanted))

    assert with_line.log == without.log
    assert all(len(each) <= LIMIT for each in below)
    line = f"\n-# {FOOTER}"
    assert not any(line in each for each in below[:-1])
    bare = [each.removesuffix(line) for each in below]
    if way != "file":
        assert bare == list(without.messages.values())
        assert (
            not bare or bare != below or len(bare[-1]) + len(line) > LIMIT or not bare[-1].strip()
        )


@pytest.mark.parametrize("room", [0, 1])
async def test_where_the_last_message_has_no_room_there_is_no_line(room: int) -> None:
    text = "x" * (LIMIT - len(f"\n-# {FOOTER}") + 1 - room)

    shown = await footed(FakeSink(), text)

    assert shown == ([text] if not room else [f"{text}\n-# {FOOTER}"])


async def test_below_an_answer_that_is_a_file_stands_the_line() -> None:
    sink = FakeSink()
    text = long(4)

    messages = await footed(sink, text, Settings(long="file", long_from=2))

    assert messages[-1].endswith(f"The full answer is in the file.\n-# {FOOTER}")
    (file,) = [file for post in sink.posts.values() for file in post.files]
    assert file.data == text.encode()


@pytest.mark.parametrize("long_from", [2, 3])
async def test_where_files_are_refused_the_line_stands_below_all_the_same(long_from: int) -> None:
    refusing = FakeSink(refused={"files"})

    messages = await footed(refusing, long(4), Settings(long="file", long_from=long_from))

    assert messages[-1].endswith(f"\n-# {FOOTER}")
    assert all(len(each) <= LIMIT for each in messages)


async def test_a_picture_alone_has_the_line() -> None:
    assert await footed(FakeSink(), "", pictures=(PICTURE,)) == [f"-# {FOOTER}"]


async def test_a_picture_that_may_not_be_shown_is_owned_up_to_where_the_line_leaves_no_room() -> (
    None
):
    text = "x" * (LIMIT - 70)

    (message,) = await footed(FakeSink(refused={"files"}), text, pictures=(PICTURE,))

    assert len(message) <= LIMIT
    assert message.startswith(text)
    assert FOOTER not in message
