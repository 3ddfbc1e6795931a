"""People in many servers who ask at a steady rate, and what became of each question.

Every time is taken in the servers: when Discord's wrote the event to the gateway, when OpenAI's had
read the request, when Discord's took the last change of the answer.
"""

import asyncio
import math
import statistics
import time
from dataclasses import dataclass
from itertools import count

from tests.bot.integration.answers import Seen
from tests.servers.discord.control import DiscordControl
from tests.servers.discord.records import Message
from tests.servers.openai.control import OpenAIControl
from tests.servers.openai.records import Record

# Twenty pieces over a second: shown as one message and one edit, as most answers are.
_ANSWER = "[[chunks=20 delay=0.05 length=600]]"
_PATIENCE = 60.0  # for the last answer of those that were too many
_marks = count(1)


@dataclass(frozen=True)
class Load:
    """What became of the questions: milliseconds and seconds, one for each that had it."""

    asked: int
    reactions: tuple[float, ...]  # ms from the event written to the request read
    answers: tuple[float, ...]  # s from the event written to the answer complete

    def reaction(self, percentile: float) -> float:
        """Give a percentile of the reactions: the smallest that so many are not above."""
        ordered = sorted(self.reactions)
        return ordered[math.ceil(len(ordered) * percentile / 100) - 1] if ordered else math.inf

    def within(self, seconds: float) -> int:
        """Count the answers that were complete in time."""
        return sum(each <= seconds for each in self.answers)

    def __str__(self) -> str:
        slowest = max(self.answers, default=math.inf)
        middle = statistics.median(self.reactions) if self.reactions else math.inf
        return (
            f"{len(self.answers)} of {self.asked} answered, p50 {middle:.1f} ms,"
            f" p99 {self.reaction(99):.1f} ms, slowest answer {slowest:.2f} s"
        )


class Crowd:
    """Everybody, with one channel in each server to talk in."""

    def __init__(self, discord: DiscordControl, openai: OpenAIControl) -> None:
        self._discord = discord
        self._openai = openai
        self._places: list[str] = []
        self._people: dict[str, list[str]] = {}  # by the channel that they can write in
        self._turn = count()

    async def gather(self) -> None:
        """Learn who and what there is."""
        world = await self._discord.world()
        first = {c.guild_id: c.id for c in reversed(world.channels) if c.guild_id}
        self._places = list(first.values())
        if len(self._places) == 1:
            self._places = [c.id for c in world.channels if c.guild_id]
        # People who were made with a server are called after it; the others are in the first one.
        names = {str(guild["id"]): str(guild["name"]) for guild in world.guilds}
        made_with: dict[str, list[str]] = {}
        for user in world.users:
            if not user.bot:
                made_with.setdefault(user.name.rpartition(" ")[0], []).append(user.id)
        for channel in world.channels:
            if channel.guild_id:
                named = made_with.get(names[channel.guild_id])
                self._people[channel.id] = named or made_with[""]

    async def ask(self, number: int, per_second: float) -> Load:
        """Ask NUMBER questions at a steady rate, and wait until all are answered or none comes."""
        await self._openai.forget()
        questions: dict[str, str] = {}
        began = time.monotonic()

        async def say(position: int) -> None:
            await asyncio.sleep(began + position / per_second - time.monotonic())
            turn, mark = next(self._turn), f"(#{next(_marks)})"
            place = self._places[turn % len(self._places)]
            # A step that shares no factor with the numbers of people here: nobody asks twice soon.
            people = self._people[place]
            person = people[turn * 7919 % len(people)]
            text = f"What is the weather over the harbour like today {mark}? {_ANSWER}"
            questions[(await self._discord.say(place, text, person)).id] = mark

        await asyncio.gather(*map(say, range(number)))
        return await self._outcome(questions)

    async def _outcome(self, questions: dict[str, str]) -> Load:
        deadline = time.monotonic() + _PATIENCE
        complete: dict[str, float] = {}
        records: dict[str, Record] = {}
        while len(complete) < len(questions) and time.monotonic() < deadline:
            await asyncio.sleep(1)
            records = {_mark(r): r for r in await self._openai.requests()}
            for question, mark in questions.items():
                record = records.get(mark)
                if question not in complete and record and record.ending == "completed":
                    done = await self._completed(question, record.text)
                    if done is not None:
                        complete[question] = done
        heard = {question: await self._heard(question) for question in questions}
        reactions = [
            1000 * (read - heard[question])
            for question, mark in questions.items()
            if mark in records and (read := records[mark].read_at) is not None
        ]
        answers = [done - heard[question] for question, done in complete.items()]
        return Load(len(questions), tuple(reactions), tuple(answers))

    async def _heard(self, question: str) -> float:
        written = (await self._discord.message(question)).written
        return math.inf if written is None else written

    async def _completed(self, question: str, text: str) -> float | None:
        """Tell when Discord took the last change of an answer that is whole; None if it is not."""
        parts = await self._discord.answers(question)
        if not Seen(parts).shows(text):
            return None
        return max(map(_changed, parts))


def _changed(part: Message) -> float:
    return part.edited or part.created


def _mark(record: Record) -> str:
    """Find the mark of the question in a record; empty where there is none."""
    text = record.asked.last_user_text if record.asked else ""
    _, found, rest = text.rpartition("(#")
    return f"(#{rest.partition(')')[0]})" if found else ""
