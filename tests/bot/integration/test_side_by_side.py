"""Ten people in ten channels at once, and a model that takes its time."""

import asyncio

from tests.servers.openai.records import Record

from .answers import Seen
from .scenario import Scene

PEOPLE = 10
SLOW = "[[chunks=20 delay=0.2]]"  # four seconds, and something to show from the beginning


def secret_of(name: str) -> str:
    """What one of them says, and nobody else."""
    return f"the password of {name} is {name.lower()}-wears-a-hat"


async def everybody(scene: Scene, places: list[str]) -> dict[str, tuple[str, Seen, Record]]:
    """Have all of them ask at the same time; gives question, answer and request by name."""

    async def one(name: str, place: str) -> tuple[str, Seen, Record]:
        question = await scene.call(f"{secret_of(name)} {SLOW}", by=name, where=place)
        answer = await scene.answer(question)
        return question, answer, await scene.record(question)

    asked = await asyncio.gather(*map(one, scene.people[:PEOPLE], places))
    return dict(zip(scene.people, asked, strict=False))


def known(record: Record, people: list[str]) -> set[str]:
    """Whose secrets the model was told with one request, or told in its answer."""
    assert record.asked is not None
    text = "\n".join([*(turn.text for turn in record.asked.turns), record.text])
    return {name for name in people if secret_of(name) in text}


async def test_nobody_waits_for_another(scene: Scene) -> None:
    """Each is asked of the model, and each answer begun, before any of the others is finished."""
    asked = await everybody(scene, scene.elsewhere(PEOPLE))

    records = [record for _, _, record in asked.values()]
    assert len(records) == PEOPLE
    finished = min(record.ended_at or 0 for record in records)
    assert max(record.received_at for record in records) < finished
    first_parts = [answer.parts[0] for _, answer, _ in asked.values()]
    assert max(part.created for part in first_parts) < finished


async def test_nobody_sees_anothers_conversation(scene: Scene) -> None:
    """Not in the answer, not in what the model is told, and not when all go on by replying."""
    places = scene.elsewhere(PEOPLE)
    asked = await everybody(scene, places)

    async def go_on(name: str, place: str) -> Record:
        last = asked[name][1].parts[-1].id
        question = await scene.say("what did I tell you?", by=name, where=place, reply_to=last)
        await scene.answer(question)
        return await scene.record(question)

    later = await asyncio.gather(*map(go_on, asked, places))
    for (name, (_, answer, record)), after, place in zip(asked.items(), later, places, strict=True):
        assert known(record, scene.people) == {name}
        assert known(after, scene.people) == {name}
        assert secret_of(name) in answer.text
        others = [secret_of(other) for other in scene.people if other != name]
        for message in await scene.discord.read(place, limit=4):
            assert not any(secret in message.content for secret in others)
