"""Runs last: what both servers counted over all the stories of the shared bot."""

from .scenario import Scene


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
    assert await unasked_refusals(scene) == []


async def unasked_refusals(scene: Scene) -> list[str]:
    """Give the 400s that no story asked for, by what the provider said."""
    records = await scene.openai.requests()
    played = {"The image could not be read."}  # test_files.py: only the provider finds it broken
    refused = [
        record
        for record in records
        if record.status == 400 and record.fault is None and record.error not in played
    ]
    return [f"{record.path}: {record.error}" for record in refused]
