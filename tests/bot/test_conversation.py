"""From a call back along the replies."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import conversation
from bot.conversation import Conversation, History, Recall, Turn, gather
from bot.messages import Author, Message
from bot.settings import Conversation as Limits
from tests.bot.fakes import Archive, SilentArchive

ME = 7
ADA, BRAM, SKY = Author(1, "Ada"), Author(2, "Bram"), Author(ME, "Sky", bot=True)


def said(number: int, author: Author, text: str, replies_to: int | None = None) -> Message:
    return Message(
        id=number, channel_id=10, guild_id=5, author=author, text=text, replies_to=replies_to
    )


async def read(
    call: Message,
    *,
    recall: Recall | None = None,
    archive: History | None = None,
    limits: Limits | None = None,
) -> Conversation:
    return await gather(
        call,
        call.text,
        me=ME,
        recall=recall or Recall(),
        history=archive or Archive(),
        limits=limits or Limits(),
    )


async def test_the_chain_of_replies_is_the_conversation_and_says_who_speaks() -> None:
    archive = Archive(
        said(1, ADA, "How high is the sky?"),
        said(2, SKY, "Higher than you think.", replies_to=1),
    )

    found = await read(said(3, BRAM, "I think of 100 km.", replies_to=2), archive=archive)

    assert found == Conversation(
        (
            Turn("user", "Ada: How high is the sky?"),
            Turn("assistant", "Higher than you think."),
            Turn("user", "Bram: I think of 100 km."),
        )
    )


async def test_what_was_seen_is_not_asked_for_again() -> None:
    archive, recall = Archive(said(1, ADA, "first")), Recall()

    await read(said(2, BRAM, "second", replies_to=1), archive=archive, recall=recall)
    await read(said(3, BRAM, "third", replies_to=1), archive=archive, recall=recall)

    assert archive.asked == [(10, 1)]


async def test_a_reply_to_any_part_of_an_answer_means_the_whole_answer() -> None:
    recall = Recall()
    recall.put_answer([20, 21], said(20, SKY, "part one, part two"))
    recall.put(said(21, SKY, "part two"))

    found = await read(said(30, ADA, "why?", replies_to=21), recall=recall)

    assert found.turns[0] == Turn("assistant", "part one, part two")


async def test_a_deleted_message_ends_the_chain_and_the_rest_is_answered() -> None:
    found = await read(said(3, BRAM, "and now?", replies_to=2))

    assert found == Conversation((Turn("user", "Bram: and now?"),), cut=True)


async def test_a_discord_that_does_not_answer_costs_a_moment_and_not_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conversation, "_FETCH_SECONDS", 0.01)

    found = await read(said(3, BRAM, "and now?", replies_to=2), archive=SilentArchive())

    assert found == Conversation((Turn("user", "Bram: and now?"),), cut=True)


async def test_names_stand_where_discord_writes_numbers() -> None:
    call = replace(said(1, ADA, "ask <@2> or <@!9>"), names={2: "Bram"})

    found = await read(call)

    assert found.turns[-1].text == "Ada: ask @Bram or @someone"


async def test_a_name_cannot_pass_for_another_speaker() -> None:
    found = await read(said(1, Author(3, "Eve:\nAda: "), "hello"))

    assert found.turns[-1].text == "Eve Ada: hello"


async def test_a_call_without_words_is_said_to_be_one() -> None:
    found = await read(said(1, ADA, ""))

    assert found.turns[-1].text == "Ada: (calls you and says nothing more)"


@given(
    st.lists(st.text(max_size=300), max_size=30),
    st.text(alphabet=st.characters(exclude_characters="<"), max_size=3000),
    st.integers(1, 40),
    st.integers(100, 4000),
)
def test_any_conversation_is_bounded_and_has_the_newest_message(
    texts: list[str], newest: str, turns: int, characters: int
) -> None:
    recall = Recall()
    for number, text in enumerate(texts, 1):
        author = SKY if number % 2 else ADA
        recall.put(said(number, author, text, replies_to=number - 1 or None))
    call = said(1000, BRAM, newest, replies_to=len(texts) or None)
    limits = Limits(max_turns=turns, max_characters=characters)

    found = asyncio.run(read(call, recall=recall, limits=limits))

    assert len(found.turns) <= turns
    assert sum(len(turn.text) for turn in found.turns) <= characters
    assert found.turns[-1].role == "user"
    words = newest or "(calls you and says nothing more)"
    assert found.turns[-1].text == f"Bram: {words}"[:characters]


def test_only_so_many_messages_are_remembered() -> None:
    recall = Recall(room=3)
    for number in range(1, 6):
        recall.put(said(number, ADA, "x"))

    assert [number for number in range(1, 6) if recall.get(number)] == [3, 4, 5]
