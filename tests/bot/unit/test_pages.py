"""The messages of one answer: their buttons, their number, and where a long one goes on."""

from __future__ import annotations

import asyncio
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.commands.buttons import button
from bot.errors import DiscordDown
from bot.messages import Author, Button, Message, Picture, Post
from bot.reply.pages import Order, Pages
from bot.settings.schema import Reply as Settings
from tests.bot.unit.fakes import FakeOutbox
from tests.bot.wire.stitch import balanced, is_whole

CALL = Message(id=5, channel_id=10, guild_id=1, author=Author(1, "Ada"), text="hello")
WHISPER = Message(id=5, channel_id=10, author=Author(1, "Ada"), text="hello")
LONG = "A sentence of some length, number {}. "
STOP, AGAIN = button("stop", CALL), button("again", CALL)


def long(parts: int) -> str:
    """Make a text that takes about as many messages."""
    return "".join(LONG.format(number) for number in range(50 * parts - 10))


def order(to: Message = CALL, *, replaces: tuple[int, ...] = (), stem: int = 5) -> Order:
    """Order an answer with both buttons."""
    return Order(to, stem, replaces, stop=STOP, again=AGAIN, title="What is long?")


async def shown(
    outbox: FakeOutbox, text: str, settings: Settings | None = None, what: Order | None = None
) -> Pages:
    """Show `text` as it grows, 700 characters at a time, and then whole."""
    pages = Pages(what or order(), outbox, settings or Settings(), lambda: None)
    for end in range(700, len(text), 700):
        await pages.show(text[:end], last=False)
    await pages.show(text, last=True)
    return pages


async def test_stop_stands_below_what_grows_and_again_below_what_is_whole() -> None:
    outbox = FakeOutbox()
    pages = Pages(order(), outbox, Settings(), lambda: None)

    await pages.show("Once upon", last=False)
    growing = outbox.labels
    await pages.show("Once upon a time.", last=True)

    assert (growing, outbox.labels) == ([["Stop"]], [["Again"]])
    assert outbox.log == ["send", "edit"]


async def test_an_answer_that_comes_quickly_is_one_request_with_its_button() -> None:
    outbox = FakeOutbox()

    await shown(outbox, "At once.")

    assert (outbox.log, outbox.labels) == (["send"], [["Again"]])


async def test_only_the_last_message_of_a_long_answer_has_a_button() -> None:
    outbox = FakeOutbox()

    await shown(outbox, long(3))

    assert outbox.labels == [[], [], ["Again"]]
    assert "".join(outbox.messages.values()) == long(3)


async def test_a_text_that_ends_in_white_space_after_a_full_message_keeps_its_button() -> None:
    outbox = FakeOutbox()
    pages = Pages(order(), outbox, Settings(), lambda: None)
    text = "word " * 400

    await pages.show(text + "\n", last=False)
    await pages.show(text + "\n\n\n", last=True)

    assert outbox.labels == [["Again"]]


async def test_from_so_many_messages_on_a_long_answer_is_a_file() -> None:
    outbox = FakeOutbox()

    await shown(outbox, long(5), Settings(long="file", long_from=3))

    first, second = outbox.posts.values()
    assert first.text == long(5)[: len(first.text)]
    assert second.text.endswith("\n-# The whole answer is in the file.")
    assert len(second.text) <= 2000
    assert second.files == (Picture("answer.md", long(5).encode()),)
    assert outbox.labels == [[], ["Again"]]


async def test_an_answer_that_is_not_so_long_is_no_file() -> None:
    outbox = FakeOutbox()

    await shown(outbox, long(2), Settings(long="file", long_from=3))

    assert "".join(outbox.messages.values()) == long(2)
    assert not any(post.files for post in outbox.posts.values())


async def test_where_files_are_refused_a_long_answer_goes_on_in_messages() -> None:
    outbox = FakeOutbox(refused={"files"})

    await shown(outbox, long(5), Settings(long="file", long_from=3))

    assert "".join(outbox.messages.values()) == long(5)
    assert outbox.labels == [[], [], [], [], ["Again"]]


async def test_from_so_many_messages_on_a_long_answer_goes_on_in_a_thread() -> None:
    outbox = FakeOutbox()

    pages = await shown(outbox, long(4), Settings(long="thread", long_from=3))

    thread = pages.sent[0]
    assert [outbox.places[number] for number in pages.sent] == [10, 10, thread, thread]
    assert "".join(outbox.messages.values()) == long(4)
    assert "thread What is long?" in outbox.log


@pytest.mark.parametrize(("to", "refused"), [(CALL, {"threads"}), (WHISPER, set())])
async def test_where_there_are_no_threads_a_long_answer_goes_on_in_messages(
    to: Message, refused: set[str]
) -> None:
    outbox = FakeOutbox(refused=refused)

    await shown(outbox, long(4), Settings(long="thread", long_from=2), order(to))

    assert set(outbox.places.values()) == {10}
    assert "".join(outbox.messages.values()) == long(4)
    assert len([each for each in outbox.log if each.startswith("thread")]) == 1


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 3), (3, 1)])
async def test_an_answer_comes_in_the_place_of_the_earlier_one(before: int, after: int) -> None:
    outbox = FakeOutbox()
    earlier = await shown(outbox, long(before))
    anew = long(after).upper()

    pages = await shown(outbox, anew, what=order(replaces=tuple(earlier.sent), stem=6))

    assert "".join(outbox.messages.values()) == anew
    assert pages.sent[0] == earlier.sent[0]
    assert outbox.labels[-1] == ["Again"]
    assert len(set(outbox.nonces)) == len(outbox.nonces)  # Discord would take one for the other


@pytest.mark.parametrize(("before", "after"), [(3, 5), (5, 3)])
async def test_an_answer_in_a_thread_takes_the_place_of_the_earlier_one_there_too(
    before: int, after: int
) -> None:
    outbox, threads = FakeOutbox(), Settings(long="thread", long_from=2)
    earlier = await shown(outbox, long(before), threads)
    anew = long(after).upper()

    pages = await shown(outbox, anew, threads, order(replaces=(earlier.sent[0],), stem=6))

    assert "".join(outbox.messages.values()) == anew
    assert set(outbox.places.values()) == {10, pages.sent[0]}
    assert outbox.labels[-1] == ["Again"]


async def test_an_earlier_message_that_was_deleted_is_made_good_by_a_new_one() -> None:
    outbox = FakeOutbox()

    await shown(outbox, "Here it is.", what=order(replaces=(4711,), stem=6))

    assert list(outbox.messages.values()) == ["Here it is."]


async def test_an_earlier_message_that_could_not_be_reached_is_tried_again() -> None:
    outbox = FakeOutbox()
    earlier = await shown(outbox, "Then.")
    pages = Pages(order(replaces=tuple(earlier.sent), stem=6), outbox, Settings(), lambda: None)
    outbox.failures = [DiscordDown()]

    with pytest.raises(DiscordDown):
        await pages.show("Now", last=False)
    await pages.show("Now.", last=True)

    assert list(outbox.messages.values()) == ["Now."]


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
    async def grow() -> FakeOutbox:
        outbox = FakeOutbox()
        earlier = (await shown(outbox, long(3))).sent if again else []
        pages = Pages(order(replaces=tuple(earlier), stem=6), outbox, Settings(), lambda: None)
        for end in accumulate(steps):
            await pages.show(text[:end], last=False)
        await pages.show(text, last=True)
        return outbox

    outbox = asyncio.run(grow())

    messages = list(outbox.messages.values())
    assert is_whole(messages, text)
    assert all(len(each) <= 2000 and balanced(each) for each in messages)
    assert [label for labels in outbox.labels for label in labels] == (
        ["Again"] if messages else []
    )


LINKS = "See https://a.example and <https://b.example>, [c](https://c.example). "


@pytest.mark.parametrize(("most", "previews"), [(2, True), (1, False)])
async def test_where_links_would_flood_there_are_no_previews(most: int, *, previews: bool) -> None:
    outbox = FakeOutbox()

    await shown(outbox, LINKS, Settings(previews=most))

    assert [post.previews for post in outbox.posts.values()] == [previews]


async def test_previews_go_when_the_links_become_too_many() -> None:
    outbox = FakeOutbox()
    pages = Pages(order(), outbox, Settings(previews=2), lambda: None)

    await pages.show(LINKS, last=False)
    few = [post.previews for post in outbox.posts.values()]
    await pages.show(LINKS * 2, last=True)

    assert few == [True]
    assert [post.previews for post in outbox.posts.values()] == [False]


PICTURE = Picture("gull.png", b"\x89PNG")


@pytest.mark.parametrize("text", ["A gull.", ""])
async def test_a_picture_stands_below_the_answer(text: str) -> None:
    outbox = FakeOutbox()
    pages = Pages(order(), outbox, Settings(), lambda: None)

    await pages.show(text, last=False)
    await pages.show(text, last=True, pictures=(PICTURE,))

    assert list(outbox.posts.values()) == [Post(text, (AGAIN,), files=(PICTURE,))]


async def test_where_files_are_refused_a_picture_is_owned_up_to() -> None:
    outbox = FakeOutbox(refused={"files"})
    pages = Pages(order(), outbox, Settings(), lambda: None)

    await pages.show("A gull.", last=True, pictures=(PICTURE,))

    (text,) = outbox.messages.values()
    assert text == "A gull.\n-# I may not attach files here, so I cannot show what I made."


async def test_a_button_tells_who_asked_what_and_no_more() -> None:
    assert Button("Stop", "sky:stop:1:10:5") == STOP
    assert len(button("again", Message(2**64 - 1, 2**64 - 1, Author(2**64 - 1, ""), "")).id) <= 100
