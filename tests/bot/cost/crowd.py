"""People in many servers who ask at a steady rate, and what became of each question.

Every time is taken in the servers: when Discord's wrote the event to the gateway, when OpenAI's had
read the request and when it sent the first text, when Discord's took the first message of the
answer and the last change.
"""

import asyncio
import math
import statistics
import time
from dataclasses import dataclass
from itertools import count

from tests.bot.integration.answers import Seen
from tests.servers.discord.control import DiscordControl
from tests.servers.discord.records import Counts, Message
from tests.servers.openai.control import OpenAIControl
from tests.servers.openai.records import Record

# Twenty pieces over a second: shown as one message and one edit, as most answers are.
_ANSWER = "[[chunks=20 delay=0.05 length=600]]"
LONG_ANSWER = "[[chunks=100 delay=0.05 length=1800]]"  # the same pace for 5 s
_PATIENCE = 60.0  # for the last answer of those that were too many
_marks = count(1)


@dataclass(frozen=True)
class Load:
    """What became of the questions: milliseconds and seconds, one for each that had it."""

    asked: int
    reactions: tuple[float, ...]  # ms from the event written to the request read
    answers: tuple[float, ...]  # s from the event written to the answer complete
    first_words: tuple[float, ...]  # ms from the model's first text to the first message
    requests: tuple[int, ...]  # of each answer: its messages and their edits
    all_requests: int  # to Discord, with typing and history
    refused: int  # of these, with a 429

    def reaction(self, percentile: float) -> float:
        """Give a percentile of the reactions: the smallest that so many are not above."""
        return _percentile(self.reactions, percentile)

    def first_word(self, percentile: float) -> float:
        """Give a percentile of the first words; that of 0 is the smallest."""
        return _percentile(self.first_words, percentile)

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


def _percentile(figures: tuple[float, ...], percentile: float) -> float:
    ordered = sorted(figures)
    at = max(1, math.ceil(len(ordered) * percentile / 100))
    return ordered[at - 1] if ordered else math.inf


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

    async def ask(self, number: int, per_second: float, answer: str = _ANSWER) -> Load:
        """Ask NUMBER questions at a steady rate, and wait until all are answered or none comes."""
        await self._openai.forget()
        before = await self._discord.counts()
        questions: dict[str, str] = {}
        began = time.monotonic()

        async def say(position: int) -> None:
            await asyncio.sleep(began + position / per_second - time.monotonic())
            turn, mark = next(self._turn), f"(#{next(_marks)})"
            place = self._places[turn % len(self._places)]
            # A step that shares no factor with the numbers of people here: nobody asks twice soon.
            people = self._people[place]
            person = people[turn * 7919 % len(people)]
            text = f"What is the weather over the harbour like today {mark}? {answer}"
            questions[(await self._discord.say(place, text, person)).id] = mark

        await asyncio.gather(*map(say, range(number)))
        return await self._outcome(questions, before)

    async def _outcome(self, questions: dict[str, str], before: Counts) -> Load:
        deadline = time.monotonic() + _PATIENCE
        complete: dict[str, tuple[Message, ...]] = {}
        records: dict[str, Record] = {}
        while len(complete) < len(questions) and time.monotonic() < deadline:
            await asyncio.sleep(1)
            records = {_mark(r): r for r in await self._openai.requests()}
            for question, mark in questions.items():
                record = records.get(mark)
                if question not in complete and record and record.ending == "completed":
                    parts = await self._discord.answers(question)
                    if Seen(parts).shows(record.text):
                        complete[question] = parts
        heard = {question: await self._heard(question) for question in questions}
        reactions = [
            1000 * (read - heard[question])
            for question, mark in questions.items()
            if mark in records and (read := records[mark].read_at) is not None
        ]
        answers = [max(map(_changed, parts)) - heard[each] for each, parts in complete.items()]
        first_words = [
            1000 * (min(part.created for part in parts) - at)
            for question, parts in complete.items()
            if (at := records[questions[question]].first_text_at) is not None
        ]
        requests = [sum(1 + part.revision for part in parts) for parts in complete.values()]
        after = await self._discord.counts()
        return Load(
            len(questions),
            tuple(reactions),
            tuple(answers),
            tuple(first_words),
            tuple(requests),
            sum(after.requests.values()) - sum(before.requests.values()),
            sum(after.rate_limited.values()) - sum(before.rate_limited.values()),
        )

    async def _heard(self, question: str) -> float:
        written = (await self._discord.message(question)).written
        return math.inf if written is None else written


def _changed(part: Message) -> float:
    return part.edited or part.created


def _mark(record: Record) -> str:
    """Find the mark of the question in a record; empty where there is none."""
    text = record.asked.last_user_text if record.asked else ""
    _, found, rest = text.rpartition("(#")
    return f"(#{rest.partition(')')[0]})" if found else ""
