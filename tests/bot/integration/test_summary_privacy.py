"""No text that somebody may not read gets into their summary, wherever they ask for one.

The random servers and the judgement are those of test_nobody_reads_through_the_bot. Requests are
forged, because Discord's own client would not offer such channels. Every summary asks first what it
may cost, and in some plans the person's roles are changed before they press the button.
"""

import asyncio
from collections import Counter
from typing import Any

from hypothesis import given

from .answers import buttons
from .conftest import FreshStage
from .environment import Stage
from .scenario import Scene
from .scenario import scene as open_scene
from .summaries import SETTINGS, response
from .test_nobody_reads_through_the_bot import EXAMPLES, PLANS, SERVERS, Plan, Played, judge, told

HERE, CHANNEL, HOURS, MENU = "here", "channel", "hours", "menu"


def test_a_summary_holds_nothing_that_its_reader_may_not_read(fresh: FreshStage) -> None:
    stage = fresh(**{**SETTINGS, "SKY_SUMMARY__ASK_FROM": "0"})
    rightly, refused = 0, 0

    @SERVERS
    @given(plan=PLANS)
    def every_plan(plan: Plan) -> None:
        nonlocal rightly, refused
        read, turned_away = asyncio.run(_one(stage, plan))
        rightly += read
        refused += turned_away

    every_plan()
    print(f"{EXAMPLES} servers: {rightly} secrets told rightly, {refused} summaries refused")
    assert rightly
    assert refused


async def _one(stage: Stage, plan: Plan) -> tuple[int, int]:
    await stage.bot.ready()
    await stage.bot.logged("commands synced")
    async with open_scene(stage) as scene:
        played = Played(scene, plan, threads=False)
        await played.build()
        rightly, refused = 0, 0
        for person, where, about, _ in plan.asked:
            for way in (HERE, CHANNEL, HOURS, MENU):
                secrets = await _summarized(scene, played, (person, where, about), way)
                rightly += secrets.total()
                refused += not secrets
        return rightly, refused


async def _summarized(
    scene: Scene, played: Played, asked: tuple[int, int, int], way: str
) -> Counter[str]:
    """Let somebody ask for a summary and confirm it; gives the secrets that the model was told."""
    person, where, about = asked
    place, target = [played.hall, *played.places][where], played.places[about - 1]
    by, before = played.name(f"user {person}"), await told(scene)
    if not place.may_view(person, played.roles[person]):
        return Counter()
    used = await scene.discord.invoke(
        "summary", place.where, by, data=await _forged(scene, way, target.id, target.message)
    )
    (shown,) = await response(scene, used.id)
    assert await told(scene) == before, "nothing is asked of the model before it is confirmed"
    if "Summarize" in buttons(shown):
        if played.plan.later == "again":
            await played.change_roles(person, frozenset({0, 1, 2}) - played.roles[person])
        pressed = await scene.discord.press(shown.id, buttons(shown)["Summarize"], by)
        await response(scene, pressed.id)
    secrets = await told(scene) - before
    judge(played, person, secrets, f"summary, {way}")
    return secrets


async def _forged(scene: Scene, way: str, channel: str, message: str) -> dict[str, Any]:
    name = "Summarize from here" if way == MENU else "summary"
    commands = (await scene.discord.world()).commands
    command = next(each for each in commands if each["name"] == name)
    data = {"id": command["id"], "name": name, "type": command["type"]}
    if way == MENU:
        found = {"id": message, "channel_id": channel, "content": "", "type": 0}
        return data | {"target_id": message, "resolved": {"messages": {message: found}}}
    options: list[dict[str, Any]] = []
    options += [{"name": "channel", "type": 7, "value": channel}] if way != HERE else []
    options += [{"name": "hours", "type": 4, "value": 2}] if way == HOURS else []
    return data | {"options": options}
