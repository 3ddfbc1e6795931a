"""Text into messages while it is being written."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import (
    ContentRefused,
    CutShort,
    DiscordDown,
    Interrupted,
    MayNotSpeak,
    ModelDown,
    NothingSaid,
    PlaceGone,
    SkyError,
)
from bot.domain.messages import Author, Message, Post
from bot.reply.edit_rates import EditRate
from bot.reply.message_series import ReplyTarget, nonce
from bot.reply.stream import ReplyStream
from bot.settings.schema import ReplySettings as Timing
from tests.bot.unit.fakes import FakeSink

if TYPE_CHECKING:
    from collections.abc import Iterable

CALL = Message(id=5, channel_id=10, guild_id=1, author=Author(1, "Ada"), text="hello")
AT_ONCE = Timing(first_words_seconds=0, edit_seconds=1)


class Quick(EditRate):
    """Edits every few milliseconds."""

    def edit_gap(self, channel_id: int) -> float:
        """See EditRate."""
        return super().edit_gap(channel_id) / 200


async def deliver(
    sink: FakeSink,
    pieces: Iterable[str],
    *,
    failure: Exception | None = None,
    timing: Timing = AT_ONCE,
    gap: float = 0.0,
) -> tuple[SkyError | None, list[str]]:
    """Deliver `pieces`, `gap` seconds apart; returns what failed and the messages there are."""
    reply = ReplyStream(ReplyTarget(CALL, CALL.id), sink, Quick(1), timing, lambda: None)

    async def write() -> None:
        for piece in pieces:
            reply.say(piece)
            await asyncio.sleep(gap)
        if failure is not None:
            raise failure

    failed = await reply.deliver(write())
    return failed, list(sink.messages.values())


async def test_who_asked_nothing_is_told_of_no_failure() -> None:
    async def fail() -> None:
        raise ModelDown

    sink = FakeSink()
    reply = ReplyStream(ReplyTarget(CALL, CALL.id), sink, Quick(1), AT_ONCE, lambda: None)
    reply.remark("I read only the last 3 messages.")

    failed = await reply.deliver(fail(), ambient=True)

    assert isinstance(failed, ModelDown)
    assert sink.messages == {}


async def test_an_answer_that_comes_quickly_is_one_message_and_one_request() -> None:
    sink = FakeSink()

    failed, messages = await deliver(sink, ["Good ", "morning."], timing=Timing())

    assert (failed, messages, sink.log) == (None, ["Good morning."], ["send"])


async def shown_first(*pieces: str) -> str:
    """Say `pieces` one after the other, until something is shown; returns that."""
    sink = FakeSink()
    reply = ReplyStream(ReplyTarget(CALL, CALL.id), sink, EditRate(60), AT_ONCE, lambda: None)
    shown: list[str] = []

    async def write() -> None:
        for piece in pieces:
            reply.say(piece)
            for _ in range(50):  # so that whatever is to be done for it is done
                await asyncio.sleep(0)
            if sink.said.is_set():
                break
        await sink.said.wait()
        shown.extend(sink.messages.values())

    await reply.deliver(write())
    return shown[0]


@pytest.mark.parametrize(
    ("pieces", "first"),
    [
        (["Un", "believ", "able", ", ", "Ada"], "Unbelievable, "),
        (["**", "Cal", "m** ", "sea"], "**Calm** "),
        (["1", ". ", "Sal", "t\n", "2. "], "1. Salt\n"),
        (["नम", "स्", "ते ", "दुनिया"], "नमस्ते "),
        (["안녕", "하세요", "! ", "에이다"], "안녕하세요! "),
        (["你", "好", "世", "界"], "你好"),
        (["สวั", "สดี", "ครับ"], "สวัสดี"),
        (["```py", "thon\n", "x ", "= 1"], "```python\nx \n```"),
        (["<@", "123> ", "ho", "ld on"], "<@123> hold on"),
        (["https", "://ex", "ample.org/a ", "is ", "it"], "https://example.org/a is "),
    ],
    ids=["word", "bold", "list", "Hindi", "Korean", "Chinese", "Thai", "fence", "mention", "link"],
)
async def test_the_first_that_is_shown_is_a_word_and_no_part_of_one(
    monkeypatch: pytest.MonkeyPatch, pieces: list[str], first: str
) -> None:
    monkeypatch.setattr("bot.reply.stream._WORD_WITHIN", 60)

    assert await shown_first(*pieces) == first


async def test_part_of_a_word_is_shown_if_the_model_stops_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.reply.stream._WORD_WITHIN", 0.01)

    assert await shown_first("Un", "believ") == "Unbeliev"


async def test_what_has_no_words_is_shown_when_there_is_much_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.reply.stream._WORD_WITHIN", 60)

    assert await shown_first(*["3.14159265358979 "] * 4) == "3.14159265358979 " * 4


async def test_near_a_channels_limit_a_short_answer_is_one_request_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.reply.edit_rates._NEAR_GAP", 60)
    rate = Quick(1)
    logs: list[list[str]] = []

    for _ in range(6):
        sink = FakeSink()
        reply = ReplyStream(ReplyTarget(CALL, CALL.id), sink, rate, AT_ONCE, lambda: None)

        async def write(reply: ReplyStream = reply, sink: FakeSink = sink) -> None:
            reply.say("Good ")
            if len(logs) < 4:
                await sink.said.wait()
            reply.say("morning.")

        assert await reply.deliver(write()) is None
        assert list(sink.messages.values()) == ["Good morning."]
        logs.append(sink.log)

    assert logs == [["send", "edit"]] * 4 + [["send"]] * 2


async def test_a_slow_answer_is_shown_early_and_grows() -> None:
    sink = FakeSink()

    _, messages = await deliver(sink, ["Good ", "morning", ", ", "Ada", "."], gap=0.02)

    assert messages == ["Good morning, Ada."]
    assert sink.log[0] == "send"
    assert "edit" in sink.log


async def test_a_long_answer_goes_on_in_further_messages_each_with_its_own_nonce() -> None:
    sink = FakeSink()
    text = "A sentence of some length. " * 200

    _, messages = await deliver(sink, [text[at : at + 100] for at in range(0, len(text), 100)])

    assert "".join(messages) == text
    assert sink.nonces == ["5-0", "5-1", "5-2"]


async def test_messages_that_were_filled_do_not_change_any_more() -> None:
    sink = FakeSink()
    text = "```python\n" + "print('hello')\n" * 400 + "```"
    pieces = [text[at : at + 60] for at in range(0, len(text), 60)]

    _, messages = await deliver(sink, pieces, gap=0.003)

    assert all(len(message) <= 2000 for message in messages)
    assert all(message.startswith("```python\n") for message in messages)
    assert sum(message.count("print('hello')") for message in messages) == 400


async def test_a_failure_before_the_first_word_is_told_in_a_sentence() -> None:
    failed, messages = await deliver(FakeSink(), [], failure=ModelDown())

    assert isinstance(failed, ModelDown)
    assert messages == [ModelDown.sentence]


async def test_a_failure_in_the_middle_is_told_below_what_was_said() -> None:
    _, messages = await deliver(FakeSink(), ["Once upon a"], failure=CutShort())

    assert messages == [f"Once upon a\n-# {CutShort.sentence}"]


async def test_a_failure_inside_a_fence_is_told_outside_of_it() -> None:
    _, messages = await deliver(FakeSink(), ["```py\nx = 1"], failure=CutShort())

    assert messages == [f"```py\nx = 1\n```\n-# {CutShort.sentence}"]


@pytest.mark.parametrize("gap", [0, 0.01])
@pytest.mark.parametrize(
    "pieces",
    [[], [" ", "\n"], [" " * 300] * 15, ["\u200b"], ["\u2060" * 900] * 5, ["\u3164", "\ufe0f"]],
    ids=["none", "white", "three messages of spaces", "zero width", "three messages", "fillers"],
)
async def test_an_answer_that_shows_nothing_is_said_to_be_one(
    pieces: list[str], gap: float
) -> None:
    failed, messages = await deliver(FakeSink(), pieces, gap=gap)

    assert isinstance(failed, NothingSaid)
    assert messages == [NothingSaid.sentence]


async def test_words_are_shown_however_much_that_is_invisible_comes_first() -> None:
    failed, messages = await deliver(FakeSink(), ["\u200b" * 1000] * 5 + ["There."], gap=0.003)

    assert failed is None
    assert [message.strip("\u200b") for message in messages] == ["There."]


async def test_a_failed_edit_in_between_is_made_good_by_the_next() -> None:
    sink = FakeSink(failures=[DiscordDown(), DiscordDown()])

    _, messages = await deliver(sink, ["Good ", "morning", "."], gap=0.03)

    assert messages == ["Good morning."]


@pytest.mark.parametrize("failure", [MayNotSpeak(), PlaceGone()])
async def test_the_model_is_not_kept_busy_when_nobody_can_be_told(failure: Exception) -> None:
    sink = FakeSink(failures=[failure])

    with pytest.raises(type(failure)):
        await asyncio.wait_for(deliver(sink, ["word "] * 100, gap=0.05), timeout=1)


async def test_an_interrupted_answer_says_so_and_keeps_what_was_said() -> None:
    sink = FakeSink()
    reply = ReplyStream(ReplyTarget(CALL, CALL.id), sink, Quick(1), AT_ONCE, lambda: None)

    async def write() -> None:
        reply.say("Once upon a time")
        await asyncio.Event().wait()

    delivery = asyncio.create_task(reply.deliver(write()))
    await sink.said.wait()
    reply.interrupt()
    failed = await delivery

    assert isinstance(failed, Interrupted)
    assert list(sink.messages.values()) == [f"Once upon a time\n-# {Interrupted.sentence}"]


async def test_typing_is_shown_while_the_model_thinks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.reply.stream._TYPING_AFTER", 0.01)
    sink = FakeSink()
    reply = ReplyStream(ReplyTarget(CALL, CALL.id), sink, Quick(1), AT_ONCE, lambda: None)

    async def write() -> None:
        await asyncio.sleep(0.05)
        reply.say("There.")

    await reply.deliver(write())

    assert sink.log == ["typing", "send"]


def test_a_nonce_is_short_enough_for_the_largest_id_and_many_parts() -> None:
    assert len(nonce(2**64 - 1, 9999)) <= 25


async def test_an_edit_whose_words_are_refused_is_like_one_that_was_lost() -> None:
    sink = FakeSink(failures=[ContentRefused()])

    failed, messages = await deliver(sink, ["Good ", "morning", "."], gap=0.03)

    assert (failed, messages) == (None, ["Good morning."])


async def test_an_answer_whose_words_are_refused_to_the_end_says_so_below_what_stands() -> None:
    class Censored(FakeSink):
        async def edit(
            self, channel_id: int, message_id: int, post: Post, was: Post | None, *, patient: bool
        ) -> None:
            if "kraken" in post.text:
                raise ContentRefused
            await super().edit(channel_id, message_id, post, was, patient=patient)

    failed, messages = await deliver(Censored(), ["A calm sea", ", a kraken", "."], gap=0.05)

    assert isinstance(failed, ContentRefused)
    assert messages == [f"A calm sea\n-# {ContentRefused.sentence}"]
