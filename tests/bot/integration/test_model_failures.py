"""Every way in which the model fails: one true sentence for the person, and the next call works.

All of them are provoked at once, each in a channel of its own, so the waits overlap.
"""

import asyncio
from dataclasses import dataclass

import pytest

from bot.domain import errors
from tests.servers.openai.control import Fault, FaultKind, Record

from .answers import Seen
from .environment import Stage
from .scenario import Scene
from .scenario import scene as open_scene


@dataclass(frozen=True)
class Case:
    """A fault, the sentence it is told by, and whether some of the answer was there before."""

    fault: str
    told: type[errors.SkyError]
    partial: bool = False


CASES = (
    Case("unauthorized", errors.KeyRefused),
    Case("forbidden", errors.ModelMissing),
    Case("model_not_found", errors.ModelMissing),
    Case("context_length", errors.TooMuchText),
    Case("rate_limit retry_after=0.2", errors.ModelBusy),
    Case("quota", errors.QuotaSpent),
    Case("server_error", errors.ModelDown),
    Case("unavailable", errors.ModelDown),
    Case("bad_gateway", errors.ModelDown),
    Case("timeout", errors.ModelSlow),
    Case("drop", errors.ModelDown),
    Case("stall after=0", errors.ModelSlow),
    Case("malformed after=0", errors.ModelDown),
    Case("error_event after=0", errors.ModelDown),
    Case("failed after=0", errors.ModelDown),
    Case("content_filter after=0", errors.Filtered),
    Case("cut after=0", errors.ModelDown),
    Case("stall", errors.CutShort, partial=True),
    Case("cut", errors.CutShort, partial=True),
    Case("reset", errors.CutShort, partial=True),
    Case("malformed", errors.CutShort, partial=True),
    Case("error_event", errors.CutShort, partial=True),
    Case("error_object", errors.CutShort, partial=True),
    Case("failed", errors.CutShort, partial=True),
    Case("content_filter", errors.Filtered, partial=True),
    Case("incomplete", errors.OutOfRoom, partial=True),
)


@dataclass(frozen=True)
class Outcome:
    """What the person saw of the failure, and of what they asked next."""

    failed: Seen
    sent: str
    requests: int
    metric: float
    next_answer: Seen


async def provoke(stage: Stage) -> dict[str, Outcome | BaseException]:
    """Play all cases side by side; one that goes wrong fails its own test only."""
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        places = scene.elsewhere(len(CASES))
        done = await asyncio.gather(
            *(one(scene, case, place) for case, place in zip(CASES, places, strict=True)),
            return_exceptions=True,
        )
    return {case.fault: outcome for case, outcome in zip(CASES, done, strict=True)}


async def one(scene: Scene, case: Case, place: str) -> Outcome:
    """Fail once, then ask again in the same channel."""
    question = await scene.call(f"fail [[fault={case.fault}]]", where=place)
    failed = await scene.until(question, lambda seen: case.told.sentence in seen.text)
    records = await scene.records(question)
    metric = await scene.bot.metric("model_requests_total", outcome=case.told.label)
    again = await scene.call("and now?", where=place)
    return Outcome(failed, records[-1].text, len(records), metric, await scene.answer(again))


def come_true(outcome: Outcome | BaseException) -> Outcome:
    """Give the outcome, or fail with what went wrong."""
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


@pytest.fixture(scope="module")
def outcomes(stage: Stage) -> dict[str, Outcome | BaseException]:
    """All cases, played once for all tests of this file."""
    return asyncio.run(provoke(stage))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.fault)
def test_the_person_reads_one_true_sentence_and_the_next_call_works(
    outcomes: dict[str, Outcome | BaseException], case: Case
) -> None:
    outcome = come_true(outcomes[case.fault])
    seen = outcome.failed

    assert len(seen.parts) == 1
    assert seen.text.count(case.told.sentence) == 1
    if case.partial:
        assert outcome.sent
        assert seen.text.startswith(outcome.sent.strip())
        assert len(seen.text) < len(outcome.sent) + len(case.told.sentence) + 20
    else:
        assert seen.text == case.told.sentence
    assert outcome.next_answer.parts
    assert outcome.metric >= 1


def test_what_may_pass_is_tried_again_and_what_may_not_is_not(
    outcomes: dict[str, Outcome | BaseException],
) -> None:
    """What broke off is continued once; here that breaks off as well, and is owned up to.

    A refused key is tried again whenever another question shows that it is good after all, as
    those beside it do here: test_rotation.py has that story. What is too much text is asked with
    less of it, as long as there is less: test_conversation.py has that one.
    """
    for case in CASES:
        if case.told in {errors.KeyRefused, errors.TooMuchText}:
            continue
        retried = issubclass(case.told, errors.Retried)
        retried = retried or (case.partial and case.told is errors.CutShort)
        assert come_true(outcomes[case.fault]).requests == (2 if retried else 1), case.fault


async def test_a_provider_that_says_when_to_come_back_is_taken_at_its_word(scene: Scene) -> None:
    async def overloaded(kind: FaultKind, place: str) -> list[Record]:
        words = f"come back after {kind}"
        await scene.openai.inject(Fault(kind=kind, match=words, count=1, retry_after=1.2))
        question = await scene.call(words, where=place)
        await scene.answer(question)
        return await scene.records(question)

    kinds = (FaultKind.RATE_LIMIT, FaultKind.UNAVAILABLE)
    for records in await asyncio.gather(*map(overloaded, kinds, scene.elsewhere(len(kinds)))):
        refused, answered = records
        assert refused.ended_at is not None
        assert answered.received_at - refused.ended_at >= 1.15  # unasked it would be 1 at most
