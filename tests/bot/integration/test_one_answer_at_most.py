"""The most that one answer can cost: bounded by the request, reserved before it starts."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.servers.openai.records import Fault, FaultKind, Record, Turn, UsageKind

from .answers import Seen, buttons
from .conftest import FreshStage
from .scenario import Scene
from .scenario import scene as open_scene

SCOUT = 'name = "Scout"\nprompt = "You are Scout."\ntools = ["web_search"]\n'
A_TOKEN = json.dumps({"gpt-5-mini": {"input": 0, "output": 1_000_000}})  # 1 for each token
FREE = json.dumps({"gpt-5-mini": {"input": 0, "output": 0}})


def scouted(tmp_path: Path) -> str:
    """Write a persona that searches the web; gives the folder."""
    folder = tmp_path / "personas"
    folder.mkdir()
    (folder / "scout.toml").write_text(SCOUT)
    return str(folder)


async def test_searches_at_once_exceed_the_budget_by_at_most_one_answers_searches(
    fresh: FreshStage, tmp_path: Path
) -> None:
    stage = fresh(
        SKY_PERSONAS__DIRECTORY=scouted(tmp_path),
        SKY_BUDGET__PRICES=FREE,
        SKY_BUDGET__DAILY="0.10",
        SKY_BUDGET__SEARCH="0.05",
        SKY_LIMITS__SEARCHES="2",
        SKY_OPENAI__MODEL="gpt-5-mini",
        SKY_WORK__CATCH_UP_SECONDS="0",
    )
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        asked = "!sky(scout) how are gulls? [[search=1 calls=4 text=Well. first=0.5]]"

        for _ in range(8):
            await scene.say(asked, where=scene.elsewhere(1)[0])
        await scene.bot.until_metric("turned_away_total", 7)
        await scene.bot.until_metric("spent", 0.05, 30, period="day")

        assert await scene.bot.metric("spent", period="day") == pytest.approx(0.10)
        assert await scene.bot.metric("overrun_money_total") == 0
        requests = [r.asked for r in await scene.openai.requests() if r.asked is not None]
        assert {each.max_tool_calls for each in requests if each.tools} == {2}


@pytest.mark.parametrize("kind", list(UsageKind))
@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_an_answer_whose_usage_is_not_told_is_estimated_and_the_budget_is_reached(
    fresh: FreshStage, api: str, kind: UsageKind
) -> None:
    stage = fresh(
        SKY_BUDGET__PRICES=A_TOKEN,
        SKY_BUDGET__DAILY="60",
        SKY_OPENAI__MODEL="gpt-5-mini",
        SKY_OPENAI__API=api,
        SKY_WORK__CATCH_UP_SECONDS="0",
    )
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        text = ("four score tokens, " * 16).strip()
        question = await scene.call(f'[[usage={kind.value} text="{text}"]]')
        await scene.answer(question)

        refused = await scene.call("is there any left?", by="Bram")
        await scene.bot.until_metric("turned_away_total", 1, 30, reason="over_limit_day")

        spent, counted = await scene.bot.metric("spent", period="day"), len(text) / 4
        assert 0.7 * counted <= spent <= 1.3 * counted
        assert not await scene.records(refused)


async def test_requests_that_fall_silent_are_charged_by_an_estimate(fresh: FreshStage) -> None:
    prices = json.dumps({"gpt-5-mini": {"input": 1_000_000, "output": 0}})
    stage = fresh(
        SKY_BUDGET__PRICES=prices,
        SKY_BUDGET__DAILY="1000000",
        SKY_OPENAI__MODEL="gpt-5-mini",
        SKY_OPENAI__SILENCE_SECONDS="0.5",
        SKY_OPENAI__ATTEMPTS="2",
        SKY_WORK__CATCH_UP_SECONDS="0",
    )
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        await scene.openai.inject(Fault(kind=FaultKind.TIMEOUT, match="silence", count=2))

        question = await scene.call("what is silence?")
        seen = await scene.until(question, lambda seen: "took too long" in seen.text)

        sent = [turn for record in await scene.records(question) for turn in _turns(record)]
        counted = sum(len(turn.text) / 4 for turn in sent)
        assert seen.parts
        assert 0.7 * counted <= await scene.bot.metric("spent", period="day") <= 1.3 * counted


def _turns(record: Record) -> tuple[Turn, ...]:
    return record.asked.turns if record.asked else ()


async def test_again_pressed_eight_times_at_once_is_one_answer_and_one_call(
    fresh: FreshStage,
) -> None:
    stage = fresh(SKY_LIMITS__USER_PER_HOUR="3", SKY_WORK__CATCH_UP_SECONDS="0")
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        question = await scene.call("tell me [[text=once first=0.5]]")
        seen = await again_shown(scene, question)

        await asyncio.gather(
            *(
                scene.discord.press(seen.parts[0].id, buttons(seen.parts[0])["Again"], "Ada")
                for _ in range(8)
            )
        )
        await scene.bot.until_metric("presses_total", 8, 30, button="again")
        await again_shown(scene, question)

        assert len(await scene.records(question)) == 2
        assert await scene.bot.metric("presses_total", button="again", outcome="done") == 1
        assert await scene.bot.metric("presses_total", button="again", outcome="writing") == 7
        await scene.answer(await scene.call("and this is the third of three"))


async def test_again_for_eight_answers_at_once_reserves_the_money_of_each(
    fresh: FreshStage,
) -> None:
    stage = fresh(
        SKY_BUDGET__PRICES=A_TOKEN,
        SKY_BUDGET__DAILY="20",
        SKY_OPENAI__MODEL="gpt-5-mini",
        SKY_WORK__CATCH_UP_SECONDS="0",
    )
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        asked: list[str] = []
        for place in scene.elsewhere(8):
            asked.append(await scene.call("[[text=a first=0.7]]", where=place))
            await again_shown(scene, asked[-1])
        shown = [(await scene.seen(each)).parts[0] for each in asked]
        assert await scene.bot.metric("spent", period="day") < 20

        await asyncio.gather(
            *(scene.discord.press(each.id, buttons(each)["Again"], "Ada") for each in shown)
        )
        await scene.bot.until_metric("presses_total", 8, 30, button="again")

        assert await scene.bot.metric("presses_total", button="again", outcome="done") == 1
        assert await scene.bot.metric("presses_total", button="again", outcome="over_limit") == 7


async def test_again_that_is_refused_for_want_of_room_is_no_call_of_the_hour(
    fresh: FreshStage,
) -> None:
    stage = fresh(
        SKY_LIMITS__USER_PER_HOUR="2",
        SKY_WORK__IN_FLIGHT="1",
        SKY_WORK__WAITING="0",
        SKY_WORK__CATCH_UP_SECONDS="0",
    )
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        question = await scene.call("tell me [[text=once]]")
        seen = await again_shown(scene, question)
        long = await scene.call("at length [[length=900 chunks=80 delay=0.1]]", by="Bram")
        early = await scene.until(long, lambda seen: bool(seen.parts))

        refused = [await scene.press(seen.parts[0], "Again", told=True) for _ in range(3)]
        await scene.discord.press(early.parts[0].id, buttons(early.parts[0])["Stop"], "Bram")
        await scene.bot.until_metric("answers_total", 1, 30, outcome="stopped")
        pressed = await scene.press(seen.parts[0], "Again")

        assert all("asking at once" in each for each in refused)
        assert pressed == ""
        await scene.bot.until_metric("answers_total", 2, 30, outcome="complete")


async def again_shown(scene: Scene, question: str) -> Seen:
    """Wait until an answer is whole and has its Again button."""
    return await scene.until(
        question, lambda seen: bool(seen.parts) and "Again" in buttons(seen.parts[-1])
    )
