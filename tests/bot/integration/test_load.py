"""A busy evening: every question is answered, once, with the model's own words."""

import asyncio

from .scenario import Scene

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
        await scene.answer(question)
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
