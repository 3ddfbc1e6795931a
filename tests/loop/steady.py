"""A steady load of messages to the bot, and the fate of each of them while something happens to it.

`load.py` measures one burst. This goes on while pods are killed and services fail, and judges by
what Discord kept: each question has its whole answer, or a true sentence that says why not, or it
is lost; and it has one answer, or it is doubled. Times are Discord's own stamps, in seconds.
"""

import asyncio
import contextlib
import re
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from bot import errors
from tests.bot.wire.answers import Seen
from tests.loop import state
from tests.loop.discord_server.control import DiscordControl
from tests.loop.discord_server.records import Message
from tests.loop.observe import NotSeen
from tests.loop.openai_server.control import OpenAIControl

STREAMS = "[[chunks=20 delay=0.1]]"  # an answer that the model takes two seconds for
QUICK = "[[chunks=8 delay=0.05]]"
_CHANNELS = 25
_TEXT_CHANNEL = 0  # Discord's number for a server's text channel
_NAME = re.compile(r"\bload-[0-9a-f]{6}-\d{5}\b")
_SMALL_PRINT = re.compile(r"(\n-# [^\n]*)+\Z")
_LOOK = 0.25  # seconds between two looks at what is not answered yet
_BEHIND = 1.0  # seconds: what doubles an answer may come right behind it


def _sentences(kind: type[errors.SkyError] = errors.SkyError) -> Iterator[tuple[str, str]]:
    """Give each failure's label and the sentence that a person reads of it."""
    yield kind.label, kind.sentence
    for below in kind.__subclasses__():
        yield from _sentences(below)


def _bare(content: str) -> str:
    """Leave out the small print under an answer: what the bot remarks on how it came about."""
    return _SMALL_PRINT.sub("", content)


@dataclass(frozen=True)
class Fate:
    """What became of a question. `first` and `whole` are None where that never came."""

    name: str
    asked: float
    answers: int  # messages of the bot's that answer it and are still there
    first: float | None  # its first words were shown
    whole: float | None  # it stood there word for word as the model sent it
    told: str  # the failure that the person was told of, by its label
    shown: str

    @property
    def lost(self) -> bool:
        """Whether the person has neither an answer nor a reason."""
        return self.whole is None and not self.told

    @property
    def doubled(self) -> bool:
        """Whether the person was answered more than once."""
        return self.answers > 1

    @property
    def delay(self) -> float:
        """From the question to the whole answer; infinite where there is none."""
        return float("inf") if self.whole is None else self.whole - self.asked


@dataclass(frozen=True)
class Tally:
    """The sum of many fates."""

    fates: tuple[Fate, ...]

    @property
    def lost(self) -> tuple[Fate, ...]:
        """Those without an answer and without a reason."""
        return tuple(fate for fate in self.fates if fate.lost)

    @property
    def doubled(self) -> tuple[Fate, ...]:
        """Those with more than one."""
        return tuple(fate for fate in self.fates if fate.doubled)

    @property
    def told(self) -> Counter[str]:
        """How many were told of which failure instead of being answered."""
        return Counter(fate.told for fate in self.fates if fate.whole is None and fate.told)

    @property
    def delays(self) -> list[float]:
        """Seconds to each whole answer."""
        return [fate.delay for fate in self.fates if fate.whole is not None]

    def since(self, moment: float, until: float = float("inf")) -> "Tally":
        """Give those that were asked since a moment (and before another)."""
        return Tally(tuple(fate for fate in self.fates if moment <= fate.asked < until))

    def __str__(self) -> str:
        told = "".join(f", {number} told {label}" for label, number in sorted(self.told.items()))
        lost, doubled = len(self.lost), len(self.doubled)
        return (
            f"{len(self.fates)} asked, {len(self.delays)} answered{told}, {lost} lost,"
            f" {doubled} doubled, the slowest after {max(self.delays, default=0):.1f} s"
        )

    def wrong(self) -> list[str]:
        """Say of each that is lost or doubled what Discord shows."""
        return [
            f"{fate.name} asked {time.strftime('%H:%M:%S', time.localtime(fate.asked))}: "
            f"{'lost' if fate.lost else f'{fate.answers} answers'}, shown {fate.shown!r}"
            for fate in self.fates
            if fate.lost or fate.doubled
        ]


@dataclass
class _Question:
    name: str
    asked: float
    parts: dict[str, Message] = field(default_factory=dict)
    told_as: str = ""


class Steady:
    """The load. `steady` makes one, and it asks from then on until `stop`."""

    def __init__(self, discord: DiscordControl, openai: OpenAIControl) -> None:
        self.discord = discord
        self.openai = openai
        self._sentences = dict(_sentences())
        self._questions: dict[str, _Question] = {}
        self._owner: dict[str, str] = {}
        self._sent: dict[str, list[str]] = defaultdict(list)
        self._done: dict[str, Fate] = {}
        self._news = asyncio.Event()
        self._asking = True
        self.mark = uuid.uuid4().hex[:6]

    def stop(self) -> None:
        """Ask nothing more."""
        self._asking = False

    async def ask(self, channel: str, author: str, pace: str = STREAMS) -> str:
        """Ask one question; return its id."""
        name = f"load-{self.mark}-{len(self._questions):05}"
        text = f"Tell me about {name}. {pace}"
        sent = await self.discord.say(channel, text, author=author)
        question = self._questions.setdefault(sent.id, _Question(name, sent.created))
        question.name, question.asked = name, sent.created
        return sent.id

    async def go_on(self, per_second: float, pace: str) -> None:
        """Ask, over 25 channels and everybody in turn, until stopped."""
        world = await self.discord.world()
        channels = [c.id for c in world.channels if c.kind == _TEXT_CHANNEL][:_CHANNELS]
        people = [user.name for user in world.users if not user.bot]
        began, number = time.monotonic(), 0
        while self._asking:
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            channel = channels[number % len(channels)]
            await self.ask(channel, people[number % len(people)], pace)
            number += 1

    async def watch_discord(self) -> None:
        """Take what the bot says, changes and deletes."""
        async with self.discord.events() as events:
            async for event in events:
                if event.kind in {"message", "edit", "delete"}:
                    self._note(event.kind, Message.of(event.data))

    def _note(self, kind: str, message: Message) -> None:
        if not message.from_sky or message.reply_to is None:
            return
        asked = self._owner.get(message.reply_to, message.reply_to)
        self._owner[message.id] = asked
        question = self._questions.setdefault(asked, _Question("", 0.0))
        question.parts[message.id] = message
        if kind == "delete":
            del question.parts[message.id]
        self._done.pop(asked, None)
        self._news.set()

    async def watch_openai(self) -> None:
        """Take what the model sent in answers that it completed."""
        async for record in self.openai.events():
            if record.asked is not None and record.ending == "completed":
                for name in _NAME.findall(record.asked.last_user_text):
                    self._sent[name].append(record.text)
                    self._news.set()

    def fate(self, question_id: str) -> Fate:
        """Judge a question as it stands."""
        if question_id in self._done:
            return self._done[question_id]
        question = self._questions[question_id]
        parts = tuple(sorted(question.parts.values(), key=lambda part: int(part.id)))
        seen, bare = Seen(parts), Seen(tuple(replace(p, content=_bare(p.content)) for p in parts))
        last = max((part.edited or part.created for part in parts), default=0.0)
        whole = any(seen.shows(text) or bare.shows(text) for text in self._sent[question.name])
        told = [label for label, words in self._sentences.items() if words in seen.text]
        fate = Fate(
            name=question.name,
            asked=question.asked,
            answers=sum(part.reply_to == question_id for part in parts),
            first=min((part.created for part in parts), default=None),
            whole=last if whole else None,
            told=told[0] if told else "",
            shown=seen.text[:200],
        )
        if not fate.lost:
            self._done[question_id] = fate
        return fate

    def tally(self) -> Tally:
        """Judge all."""
        own = [each for each, question in self._questions.items() if question.name]
        return Tally(tuple(self.fate(each) for each in own))

    async def answered(self, after: float, seconds: float, whole_since: float = 0.0) -> float:
        """Wait until something that was asked after a moment is answered; return when it was.

        Answers that were whole before WHOLE_SINCE do not count. Raises NotSeen.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    fates = self.tally().since(after).fates
                    whole = [fate.whole for fate in fates if fate.whole is not None]
                    if late := [moment for moment in whole if moment >= whole_since]:
                        return min(late)
                    await self._something()
        raise NotSeen("the bot answers again", "kubelet", seconds)

    async def _something(self) -> None:
        """Wait until Discord or the model has something new."""
        self._news.clear()
        await self._news.wait()

    async def settled(self, quiet: float = 30.0, seconds: float = 600.0) -> Tally:
        """Wait until every question has a fate, or Discord was quiet for QUIET seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.tally().lost:
                    async with asyncio.timeout(quiet):
                        await self._something()
                    await asyncio.sleep(_LOOK)  # let more come: each look judges all that is open
        await asyncio.sleep(_BEHIND)
        return self.tally()


@asynccontextmanager
async def watching(
    discord_url: str = f"http://{state.DISCORD_CONTROL}",
    openai_url: str = f"http://{state.OPENAI_CONTROL}",
) -> AsyncIterator[Steady]:
    """Watch Discord and the model within the block; `ask` by yourself."""
    async with (
        DiscordControl(discord_url) as discord,
        OpenAIControl(openai_url) as openai,
        asyncio.TaskGroup() as group,
    ):
        load = Steady(discord, openai)
        tasks = [group.create_task(load.watch_discord()), group.create_task(load.watch_openai())]
        await asyncio.sleep(_LOOK)  # until both streams are open
        try:
            yield load
        finally:
            for task in tasks:
                task.cancel()


@asynccontextmanager
async def steady(per_second: float = 5.0, pace: str = STREAMS) -> AsyncIterator[Steady]:
    """Ask so many questions a second over 25 channels, until `stop` or the end of the block."""
    async with watching() as load, asyncio.TaskGroup() as group:
        asking = group.create_task(load.go_on(per_second, pace))
        try:
            yield load
        finally:
            load.stop()
            asking.cancel()
