"""Runs last: what both servers counted over all the stories of the shared bot."""

from .scene import Scene


async def test_the_bot_stays_within_discords_limits_and_speaks_only_what_both_sides_know(
    scene: Scene,
) -> None:
    """After all stories so far."""
    await scene.answer(await scene.call("one more"))

    discord = await scene.discord.counts()
    openai = await scene.openai.counts()

    assert discord.unknown == {}
    assert discord.rate_limited == {}
    assert discord.unauthorized == 0
    assert openai.by_endpoint.get("unknown", 0) == 0
    assert openai.by_status.get("400", 0) == await injected_refusals(scene)


async def injected_refusals(scene: Scene) -> int:
    """Count the 400s that a story asked for."""
    records = await scene.openai.requests()
    return sum(record.status == 400 and record.fault is not None for record in records)
