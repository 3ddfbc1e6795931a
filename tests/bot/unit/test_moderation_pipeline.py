"""Between people and the model."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bot.domain.errors import (
    AnswerWithheld,
    BannedWord,
    CutShort,
    ModelDown,
    QuestionWithheld,
    SkyError,
    Unchecked,
)
from bot.domain.model_request import Usage
from bot.moderation.moderation_pipeline import Moderation, ModerationPipeline
from bot.observability.metrics import Metrics
from bot.settings.schema import SafetySettings
from tests.bot.unit.fakes import FakeJudge

if TYPE_CHECKING:
    from collections.abc import Callable

SENTENCE = "The sky over the harbour turned slowly from grey to blue while the last gulls went. "


def guard(judge: FakeJudge, **settings: object) -> ModerationPipeline:
    safety, metrics = SafetySettings.model_validate(settings), Metrics()
    return ModerationPipeline(safety, Moderation(judge, safety, metrics), metrics)


def free(usage: Usage) -> None:
    """Charge nothing."""
    assert usage.moderated > 0


def break_off(failure: Exception | None) -> None:
    if failure is not None:
        raise failure


async def said(
    guarded: ModerationPipeline,
    pieces: list[str],
    failure: Exception | None = None,
    charge: Callable[[Usage], object] = free,
) -> tuple[str, Exception | None]:
    """Let a model say the pieces; gives what people see of it, and what went wrong."""
    seen: list[str] = []
    try:
        async with guarded.around(seen.append, charge) as say:
            for piece in pieces:
                say(piece)
                await asyncio.sleep(0)
            break_off(failure)
    except Exception as error:  # noqa: BLE001  # whatever comes is looked at
        return "".join(seen), error
    return "".join(seen), None


async def test_without_settings_nothing_is_asked_and_links_are_unmasked() -> None:
    judge = FakeJudge()
    guarded = guard(judge)

    await guarded.admit("anything", free)

    assert await said(guarded, ["see [a](", "https://b)"]) == ("see [a] (https://b)", None)
    assert judge.asked == []


async def test_a_question_with_a_banned_word_is_not_asked() -> None:
    with pytest.raises(BannedWord):
        await guard(FakeJudge(), banned_words=["heck"]).admit("what the Heck", free)


async def test_a_banned_word_is_hidden_before_the_moderation_reads_it() -> None:
    judge = FakeJudge()

    seen, failed = await said(
        guard(judge, banned_words=["heck"], moderation="output"), ["what the he", "ck"]
    )

    assert (seen, failed, judge.asked) == ("what the •••", None, ["what the •••"])


async def test_a_flagged_question_is_not_asked() -> None:
    guarded = guard(FakeJudge(), moderation="input")

    await guarded.admit("a good question", free)
    with pytest.raises(QuestionWithheld):
        await guarded.admit("a flagged question", free)
    assert await said(guarded, ["flagged"]) == ("flagged", None)


async def test_an_answer_is_shown_as_far_as_it_passes() -> None:
    good, bad = [SENTENCE] * 4, ["this is flagged. ", *[SENTENCE] * 3]

    seen, failed = await said(guard(FakeJudge(), moderation="both"), [*good, *bad, "never seen"])

    assert isinstance(failed, AnswerWithheld)
    assert seen.startswith(SENTENCE * 3)
    assert "flagged" not in seen


async def test_what_the_moderation_reads_is_charged_for_questions_and_answers() -> None:
    charged: list[Usage] = []
    guarded = guard(FakeJudge(), moderation="both", moderation_model="judge")

    await guarded.admit(SENTENCE, charged.append)
    (question,) = charged
    await said(guarded, [SENTENCE] * 8, charge=charged.append)

    assert question == Usage("judge", moderated=question.moderated)
    assert sum(each.moderated for each in charged[1:]) >= 8 * question.moderated


async def test_what_stands_before_is_read_with_what_follows() -> None:
    judge = FakeJudge(word="two halves")

    seen, failed = await said(
        guard(judge, moderation="output"), [SENTENCE * 3 + "two ", "halves " + SENTENCE * 3]
    )

    assert isinstance(failed, AnswerWithheld)
    assert "halves" not in seen


async def test_a_moderation_that_is_down_stops_everything_unless_the_settings_say_otherwise() -> (
    None
):
    strict = guard(FakeJudge(failure=ModelDown()), moderation="both")
    easy = guard(FakeJudge(failure=ModelDown()), moderation="both", moderation_down="allow")

    with pytest.raises(Unchecked):
        await strict.admit("hello", free)
    seen, failed = await said(strict, ["hello"])
    assert (seen, type(failed)) == ("", Unchecked)
    await easy.admit("hello", free)
    assert await said(easy, ["hello"]) == ("hello", None)


@pytest.mark.parametrize("moderation", ["off", "output"])
@pytest.mark.parametrize("failure", [CutShort(), ValueError("a defect")])
async def test_what_was_said_before_a_failure_is_shown_and_the_failure_is_what_it_was(
    moderation: str, failure: Exception
) -> None:
    seen, failed = await said(guard(FakeJudge(), moderation=moderation), ["half an ans"], failure)

    assert failed is failure
    assert seen == "half an ans" or not isinstance(failure, SkyError)


async def test_earlier_messages_are_checked_once_and_together() -> None:
    judge = FakeJudge()
    guarded = guard(judge, moderation="input")

    assert await guarded.withheld(["a calm word", "another"], free) == frozenset()
    assert await guarded.withheld(["a calm word", "another", "a third"], free) == frozenset()

    assert judge.asked == ["a calm word\n\nanother", "a third"]


async def test_of_earlier_messages_only_the_flagged_ones_are_withheld() -> None:
    judge = FakeJudge()
    guarded = guard(judge, moderation="input", banned_words=["heck"])
    texts = ["a calm word", "a flagged word", "what the heck", "another"]

    assert await guarded.withheld(texts, free) == {1, 2}
    asked = len(judge.asked)
    assert await guarded.withheld(texts, free) == {1, 2}

    assert len(judge.asked) == asked
    assert not any("heck" in text for text in judge.asked)


async def test_without_moderation_earlier_messages_are_held_to_the_banned_words() -> None:
    judge = FakeJudge()
    guarded = guard(judge, banned_words=["heck"])

    assert await guarded.withheld(["fine", "oh heck"], free) == {1}
    assert judge.asked == []


async def test_a_question_that_could_not_be_checked_is_not_taken_for_a_flagged_one_later() -> None:
    judge = FakeJudge(failure=ModelDown("away"))
    guarded = guard(judge, moderation="input", moderation_down="refuse")
    with pytest.raises(Unchecked):
        await guarded.admit("a calm word", free)
    judge.failure = None

    assert await guarded.withheld(["a calm word"], free) == frozenset()


async def test_what_was_let_through_unchecked_is_checked_once_the_moderation_is_back() -> None:
    judge = FakeJudge(failure=ModelDown("away"))
    guarded = guard(judge, moderation="input", moderation_down="allow")
    await guarded.admit("a flagged word", free)
    assert await guarded.withheld(["another flagged word"], free) == frozenset()
    judge.failure = None

    texts = ["a flagged word", "another flagged word", "a calm word"]
    assert await guarded.withheld(texts, free) == {0, 1}
