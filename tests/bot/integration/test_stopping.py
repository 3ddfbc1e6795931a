"""SIGTERM: what was taken is finished, nothing more is taken, and the process ends with 0."""

from .conftest import FreshStage
from .scenario import scene as open_scene


async def test_an_answer_that_was_begun_is_finished(fresh: FreshStage) -> None:
    stage = fresh()
    async with open_scene(stage) as scene:
        await scene.bot.ready()
        slow = await scene.call("slow to the end [[length=900 chunks=20 delay=0.08]]")
        await scene.until(slow, lambda seen: bool(seen.parts))

        scene.bot.terminate()
        await scene.bot.probe("/readyz", 503)
        late = await scene.call("too late", where=scene.elsewhere(1)[0])
        code = await scene.bot.ended()

        answer = await scene.answer(slow)
        assert code == 0
        assert (await scene.record(slow)).ending == "completed"
        assert answer.shows((await scene.record(slow)).text)
        assert await scene.silence(late)


async def test_an_idle_bot_stops_at_once(fresh: FreshStage) -> None:
    stage = fresh()
    async with open_scene(stage) as scene:
        await scene.bot.ready()

        scene.bot.terminate()

        assert await scene.bot.ended(seconds=5) == 0
