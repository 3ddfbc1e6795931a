"""Limits and money: told once, with when to come back, then silence; and what operators see."""

import asyncio
import json
import re
import time
from datetime import UTC, datetime

from tests.servers.discord.control import DiscordControl

from .answers import buttons
from .conftest import FreshStage
from .process import BotProcess
from .scenario import Scene
from .scenario import scene as open_scene
from .servers import Servers

BACK = re.compile(r"Try again <t:(\d+):R>\.$")


async def quiet(bot: BotProcess, scope: str, calls: int) -> None:
    """Wait until so many calls were turned away by a limit."""
    await bot.until_metric("turned_away_total", calls, reason=f"over_limit_{scope}")


async def told(scene: Scene, question: str) -> float:
    """Wait for the sentence; gives the time at which the bot is back."""
    seen = await scene.until(question, lambda seen: bool(seen.parts))
    found = BACK.search(seen.text)
    assert found, seen.text
    assert seen.parts[0].components == ()
    return float(found[1])


async def test_a_flood_of_one_person_is_answered_up_to_the_limit_told_once_then_met_with_silence(
    fresh: FreshStage,
) -> None:
    stage = fresh(SKY_LIMITS__USER_PER_HOUR="2")
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        for place in scene.elsewhere(2):
            await scene.answer(await scene.call("one of two", where=place))

        flood = [await scene.call(f"and another, {n}") for n in range(12)]
        await quiet(scene.bot, "user", 12)

        back = await told(scene, flood[0])
        assert 3500 < back - time.time() <= 3601
        others = await scene.call("am I held up by that?", by="Bram")
        await scene.answer(others)
        assert [await scene.silence(each) for each in flood[1:]] == [True] * 11
        assert await scene.records(flood[0]) == []
        assert await scene.bot.metric("limited_total", scope="user") == 12


async def test_a_command_of_somebody_over_the_limit_is_answered_to_them_alone_each_time(
    fresh: FreshStage,
) -> None:
    stage = fresh(SKY_LIMITS__USER_PER_HOUR="1", SKY_WORK__CATCH_UP_SECONDS="0")
    async with open_scene(stage) as scene:
        await scene.bot.logged("commands synced")
        await scene.answer(await scene.ask("the one that I have", by="Bram"))

        for topic in ("one too many", "and another"):
            said = await scene.told("sky", by="Bram", topic=topic)
            back = BACK.search(said)
            assert back is not None, said
            assert 3500 < float(back[1]) - time.time() <= 3601
        said = await scene.told("sky", by="Bram", topic="in another's voice", persona="sky")
        assert BACK.search(said)

        await scene.answer(await scene.ask("am I held up by that?"))
        shown = [each for each in await scene.discord.read(scene.place) if not each.hidden]
        assert not [each for each in shown if "one too many" in each.content]
        await told(scene, await scene.call("and without a command?", by="Bram"))


async def test_a_flood_of_commands_leaves_no_question_without_an_end(fresh: FreshStage) -> None:
    """All are asked before the first one counts: what was shown is answered, or told why not."""
    stage = fresh(SKY_LIMITS__USER_PER_HOUR="1", SKY_WORK__CATCH_UP_SECONDS="0")
    async with open_scene(stage) as scene:
        await scene.bot.logged("commands synced")
        used = await asyncio.gather(
            *(scene.discord.invoke("sky", scene.place, "Bram", {"topic": "me"}) for _ in range(6))
        )

        shown = [await scene.responded(each.id) for each in used]

        for each in shown:
            if not each.hidden:
                await scene.until(each.id, lambda seen: bool(seen.parts))


async def test_a_channels_limit_is_told_once_to_the_channel(fresh: FreshStage) -> None:
    stage = fresh(SKY_LIMITS__CHANNEL_PER_HOUR="1")
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        await scene.answer(await scene.call("the only one here"))

        first = await scene.call("one too many", by="Bram")
        second = await scene.call("two too many", by="Chiyo")
        await quiet(scene.bot, "channel", 2)

        await told(scene, first)
        assert await scene.silence(second)
        elsewhere = await scene.call("here it goes on", where=scene.elsewhere(1)[0])
        await scene.answer(elsewhere)


async def test_a_servers_limit_counts_all_its_channels_and_no_other_server(
    fresh: FreshStage, servers: Servers
) -> None:
    async with DiscordControl(servers.discord.control_url) as discord:
        await discord.add_guild("Delta", channels=3)
        await discord.add_guild("Estuary", channels=1)
    stage = fresh(SKY_LIMITS__SERVER_PER_HOUR="2")
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        await scene.answer(await scene.call("one of two here", where="delta-0"))
        await scene.answer(await scene.call("two of two here", by="Bram", where="delta-1"))

        first = await scene.call("one too many", by="Chiyo", where="delta-2")
        second = await scene.call("two too many", by="Dara", where="delta-2")
        await quiet(scene.bot, "server", 2)

        back = await told(scene, first)
        assert 3500 < back - time.time() <= 3601
        assert "This server has reached its hourly limit" in (await scene.seen(first)).text
        assert await scene.silence(second)
        await scene.answer(await scene.call("here it goes on", where="estuary-0"))
        await scene.answer(await scene.whisper("and here, where no server is"))


async def test_joining_in_unasked_stops_first_so_that_who_calls_is_answered(
    fresh: FreshStage,
) -> None:
    stage = fresh(
        SKY_AMBIENT__CHANNELS="parlour = 1",
        SKY_AMBIENT__QUIET_SECONDS="0",
        SKY_LIMITS__CHANNEL_PER_HOUR="2",
        SKY_LIMITS__RESERVE="0.5",
    )
    async with open_scene(stage) as scene:
        parlour = await scene.discord.add_channel("parlour")
        await scene.bot.until_metric("speaking", 1)
        await scene.answer(await scene.say("nobody asked for that", where=parlour.name))

        ignored = await scene.say("nor for that", where=parlour.name)
        await quiet(scene.bot, "channel", 1)
        called = await scene.call("but for this, please", where=parlour.name)

        await scene.answer(called)
        assert await scene.silence(ignored)
        await scene.discord.remove_channel(parlour.name)


async def test_a_spent_budget_is_told_once_with_when_it_is_full_again(fresh: FreshStage) -> None:
    prices = {"gpt-5-mini": {"input": 0, "output": 1_000_000}}  # 1 for each token
    stage = fresh(
        SKY_BUDGET__PRICES=json.dumps(prices),
        SKY_BUDGET__DAILY="20",
        SKY_OPENAI__MODEL="gpt-5-mini",
    )
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        text = "four score tokens, " * 16
        asked = await scene.call(f'[[text="{text.strip()}"]]')
        await scene.answer(asked)
        spent = await scene.bot.metric("spent", period="day")

        refused = await scene.call("is there any left?", by="Bram")
        again = await scene.call("and now?")
        await quiet(scene.bot, "day", 2)

        back = await told(scene, refused)
        assert back % 86_400 == 0  # midnight, UTC
        assert 0 < back - time.time() <= 86_400
        assert await scene.silence(again)
        assert spent == await scene.bot.metric("spent", period="month") > 20
        assert await scene.bot.metric("budget", period="day") == 20
        assert await scene.bot.metric("spent_money_total", model="gpt-5-mini") == spent


async def test_many_who_ask_at_once_do_not_pass_the_budget_by_more_than_one_answer(
    fresh: FreshStage,
) -> None:
    prices = {"gpt-5-mini": {"input": 0, "output": 1_000_000}}  # 1 for each token
    stage = fresh(
        SKY_BUDGET__PRICES=json.dumps(prices),
        SKY_BUDGET__DAILY="20",
        SKY_OPENAI__MODEL="gpt-5-mini",
        SKY_WORK__CATCH_UP_SECONDS="0",
    )
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        asked = '[[text="ten tokens, and that is all of it." chunks=8 delay=0.7]]'
        calls = await asyncio.gather(
            *(scene.call(asked, by=scene.people[n % 5]) for n in range(30))
        )
        await quiet(scene.bot, "set_aside", 29)
        await scene.openai.first(
            lambda record: record.asked is not None and asked in record.asked.last_user_text
        )

        (answered,) = [each for each in calls if await scene.records(each)]
        await scene.answer(answered)
        refused = [each for each in calls if each != answered and not await scene.silence(each)]
        (back,) = [await told(scene, each) for each in refused]
        assert 0 < back - time.time() <= 61
        assert "reserved for answers" in (await scene.seen(refused[0])).text
        assert 0 < await scene.bot.metric("spent", period="day") < 20

        await scene.answer(await scene.call("now that it is written, there is some left"))


async def test_a_spent_months_budget_holds_until_the_next_month_whatever_the_day_allows(
    fresh: FreshStage,
) -> None:
    prices = {"gpt-5-mini": {"input": 0, "output": 1_000_000}}  # 1 for each token
    stage = fresh(
        SKY_BUDGET__PRICES=json.dumps(prices),
        SKY_BUDGET__DAILY="1000",
        SKY_BUDGET__MONTHLY="20",
        SKY_OPENAI__MODEL="gpt-5-mini",
    )
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        text = "four score tokens, " * 16
        await scene.answer(await scene.call(f'[[text="{text.strip()}"]]'))
        assert 20 < await scene.bot.metric("spent", period="month") < 1000

        refused = await scene.call("is there any left this month?", by="Bram")
        again = await scene.call("and now, perhaps?")
        await quiet(scene.bot, "month", 2)

        back = datetime.fromtimestamp(await told(scene, refused), UTC)
        assert "This month's budget is used up." in (await scene.seen(refused)).text
        assert (back.day, back.hour, back.minute, back.second) == (1, 0, 0, 0)
        assert 0 < back.timestamp() - time.time() <= 31 * 86_400
        assert await scene.silence(again)
        assert await scene.records(refused) == []
        assert await scene.bot.metric("budget", period="month") == 20


async def test_one_more_than_may_wait_is_told_to_come_back_and_then_is_answered(
    fresh: FreshStage,
) -> None:
    """One answer is being written, one question waits: a third is more than this bot takes on."""
    stage = fresh(SKY_WORK__IN_FLIGHT="1", SKY_WORK__WAITING="1")
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        written = await scene.call("at length [[length=900 chunks=80 delay=0.1]]", by="Ada")
        early = await scene.until(written, lambda seen: bool(seen.parts))
        waits = await scene.call("after that, please", by="Bram")
        await scene.bot.until_metric("answers_waiting", 1)

        refused = await scene.call("and me?", by="Chiyo")
        seen = await scene.until(refused, lambda seen: bool(seen.parts))

        assert seen.text == ("Too many people are asking at once. Please try again in a minute.")
        assert seen.parts[0].components == ()
        assert await scene.silence(waits)
        assert await scene.bot.metric("answers_in_flight") == 1
        assert await scene.bot.metric("turned_away_total", reason="too_busy") == 1

        await scene.discord.press(early.parts[0].id, buttons(early.parts[0])["Stop"], "Ada")
        await scene.answer(waits)
        await scene.answer(await scene.call("and me, later?", by="Chiyo"))
        assert await scene.records(refused) == []


async def test_a_model_without_a_price_is_counted_at_the_dearest_and_shown(
    fresh: FreshStage,
) -> None:
    stage = fresh(SKY_OPENAI__MODEL="gpt-6-sol")
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        question = await scene.call("what do you cost?")
        await scene.answer(question)

        # At least: a bot that is new also answers what an earlier story left without an answer.
        assert await scene.bot.metric("unpriced_answers_total", model="gpt-6-sol") >= 1
        assert await scene.bot.metric("unpriced_answers_total", model="gpt-5-mini") == 0
        assert await scene.bot.metric("spent", period="day") > 0
