"""A busy evening: every question is answered, once, with the model's own words."""

import asyncio

from .scene import Scene

MESSAGES, CHANNELS, A_SECOND = 50, 10, 5


async def test_fifty_questions_in_ten_seconds_are_answered_once_each(scene: Scene) -> None:
    places = scene.elsewhere(CHANNELS)
    people = scene.people
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def ask(number: int) -> str:
        await asyncio.sleep(began + number / A_SECOND - loop.time())
        size = " [[length=2600 fence=1]]" if number % 10 == 0 else ""  # one in ten is long
        slow = " [[chunks=8 delay=0.05]]" if number % 3 == 0 and not size else ""
        question = await scene.call(
            f"question {number}{size}{slow}",
            by=people[number % len(people)],
            where=places[number % CHANNELS],
        )
        await scene.answer(question, seconds=20)
        return question

    questions = await asyncio.gather(*map(ask, range(MESSAGES)))

    counts = await scene.discord.counts()
    for number, question in enumerate(questions):
        (record,) = await scene.records(question)
        seen = await scene.seen(question)
        assert seen.shows(record.text)
        assert len(seen.parts) == (2 if number % 10 == 0 else 1)
        assert len({part.nonce for part in seen.parts}) == len(seen.parts)
    assert counts.nonce_repeats == 0


async def test_the_bot_stays_within_discords_limits_and_speaks_only_what_both_sides_know(
    scene: Scene,
) -> None:
    """After all stories so far, those that overran a channel with people's help included."""
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
