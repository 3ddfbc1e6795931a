"""Money outlives a pod: what was spent is known to the next leader."""

import asyncio
import json
from pathlib import Path

from .conftest import FreshStage
from .two_processes import another, two

PRICES = {"SKY_BUDGET__PRICES": '{"gpt-5-mini": {"input": 0, "output": 1000000}}'}


async def test_the_next_pod_of_a_rollout_goes_on_counting(
    fresh: FreshStage, tmp_path: Path
) -> None:
    async with two(fresh, tmp_path, **PRICES) as scene, another(scene) as successor:
        await scene.answer(await scene.call("what does that cost?"))
        spent = await scene.bot.metric("spent", period="day")
        assert spent > 0
        assert await successor.metric("spent", period="day") == 0

        scene.bot.terminate()
        await successor.logged("lease acquired")

        assert await successor.metric("spent", period="day") == spent
        await scene.answer(await scene.call("and that?"))
        assert await successor.metric("spent", period="month") > spent


async def test_a_budget_that_was_spent_stays_spent_after_a_crash(
    fresh: FreshStage, tmp_path: Path
) -> None:
    quick = {"SKY_LEASE__SECONDS": "4", "SKY_BUDGET__DAILY": "1"}
    async with two(fresh, tmp_path, **PRICES, **quick) as scene:
        await scene.answer(await scene.call("the last one that is paid"))
        async with asyncio.timeout(60):
            while not _noted(tmp_path):  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.05)

        scene.bot.kill()
        async with another(scene) as successor:
            await successor.logged("lease acquired")
            await successor.until_metric("spent", 2, period="day")
            refused = await scene.call("is there any money left?")
            seen = await scene.until(refused, lambda seen: bool(seen.parts))

        assert "Today's budget is used up." in seen.text


def _noted(folder: Path) -> bool:
    """Say whether money was noted beside the lock."""
    kept = json.loads((folder / "lease-0.json").read_text())
    return bool(json.loads(kept["notes"].get("money", "{}")))
