"""Which model answers, what it is asked with, and what happens while it is down."""

import asyncio
from pathlib import Path

from bot.domain import errors
from tests.servers.openai.control import Fault, FaultKind, ScriptedAnswer

from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene


async def test_an_answer_that_breaks_off_is_gone_on_with(scene: Scene) -> None:
    """The person reads one text; the model was shown what it had said, and went on."""
    words = "the tale of the harbour cat"
    await scene.openai.script(
        ScriptedAnswer(match=words, text="lived on the pier.", chunks=2),
        ScriptedAnswer(match=words, text="Once there was a cat who ", chunks=5, count=1),
    )
    await scene.openai.inject(Fault(kind=FaultKind.RESET, match=words, after=5, count=1))
    before = await scene.bot.metric("model_continued_total")
    question = await scene.call(words)

    seen = await scene.until(question, lambda seen: seen.text.endswith("pier."))

    assert seen.text == "Once there was a cat who lived on the pier."
    _, second = await scene.records(question)
    assert second.asked is not None
    assert second.asked.turns[-1].role == "assistant"
    assert second.asked.turns[-1].text == "Once there was a cat who"
    assert await scene.bot.metric("model_continued_total") == before + 1
    await scene.openai.script()


async def test_a_fallback_answers_while_the_model_is_missing_busy_or_down(
    fresh: FreshStage,
) -> None:
    stage = fresh(SKY_OPENAI__FALLBACK_MODEL="gpt-4.1-mini")
    await stage.bot.ready()
    kinds = (FaultKind.MODEL_NOT_FOUND, FaultKind.RATE_LIMIT, FaultKind.SERVER_ERROR)
    async with open_scene(stage) as scene:
        for kind in kinds:
            await scene.openai.inject(Fault(kind=kind, match=f"despite {kind}", count=1))
        places = scene.elsewhere(len(kinds))
        questions = [
            await scene.call(f"despite {kind}", where=place)
            for kind, place in zip(kinds, places, strict=True)
        ]

        answers = await asyncio.gather(*map(scene.answer, questions))

        for question, answer in zip(questions, answers, strict=True):
            models = [r.asked.model for r in await scene.records(question) if r.asked]
            assert models == ["gpt-5-mini", "gpt-4.1-mini"]
            assert "despite" in answer.text
        assert await stage.bot.metric("model_fallbacks_total") == len(kinds)


async def test_a_model_that_is_down_is_left_in_peace_and_tried_again(fresh: FreshStage) -> None:
    stage = fresh(
        SKY_OPENAI__ATTEMPTS="1",
        SKY_OPENAI__BREAKER_FAILURES="3",
        SKY_OPENAI__BREAKER_SECONDS="1.5",
    )
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        await scene.openai.inject(Fault(kind=FaultKind.UNAVAILABLE, match="anybody there", count=3))
        for _ in range(3):
            question = await scene.call("anybody there?")
            await scene.until(question, lambda seen: errors.ModelDown.sentence in seen.text)

        paused = await scene.call("and now?")
        told = await scene.until(paused, lambda seen: bool(seen.parts))
        breaker = await stage.bot.metric("model_breaker_open", model="gpt-5-mini")
        await asyncio.sleep(1.6)
        again = await scene.call("and in the end?")
        await scene.answer(again)

        waits = [f"Please ask me again in {wait}." for wait in ("2 seconds", "1 second")]
        assert told.text in {f"{errors.ModelPaused.sentence} {wait}" for wait in waits}
        assert await scene.records(paused) == []
        assert breaker == 1
        assert await stage.bot.metric("model_breaker_open", model="gpt-5-mini") == 0
        assert await stage.bot.metric("model_requests_total", outcome="model_paused") == 1


async def test_a_parameter_that_a_model_refuses_is_left_out(
    fresh: FreshStage, tmp_path: Path
) -> None:
    """Both personas have a temperature; gpt-5-mini takes none, and that costs one request once."""
    folder = tmp_path / "personas"
    folder.mkdir()
    for name, model in (("warm", "gpt-4.1"), ("cold", "gpt-5-mini")):
        (folder / f"{name}.toml").write_text(
            f'name = "{name.title()}"\nprompt = "You are the {name} one."\n'
            f'model = "{model}"\ntemperature = 0.4\n'
        )
    stage = fresh(SKY_PERSONAS__DIRECTORY=str(folder))
    await stage.bot.ready()
    async with open_scene(stage) as scene:
        warm = await scene.call("hello [[text=hi]]")
        await scene.answer(warm)
        for command in ("!sky(warm) hello", "!sky(cold) hello", "!sky(cold) once more"):
            await scene.answer(await scene.say(command))
        asked = [r for r in await scene.openai.requests() if r.asked and r.asked.instructions]
        warm_asked = [
            r for r in asked if r.asked and r.asked.instructions.startswith("You are the warm")
        ]
        cold_asked = [
            r for r in asked if r.asked and r.asked.instructions.startswith("You are the cold")
        ]

        assert [(r.asked.model, r.asked.temperature) for r in warm_asked if r.asked] == [
            ("gpt-4.1", 0.4)
        ]
        assert [(r.asked.model, r.asked.temperature) for r in cold_asked if r.asked] == [
            ("gpt-5-mini", None)
        ] * 2
        refused = [r for r in await scene.openai.requests() if "'temperature'" in (r.error or "")]
        assert len(refused) == 1
