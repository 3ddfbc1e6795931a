"""A steady load of messages to the bot, and the outcome of each while something happens to it.

`load.py` measures one burst. This goes on while pods are killed and services fail, and judges by
what Discord kept: each question has its whole answer, or a true sentence that says why not, or it
is lost; and it has one answer, or it is doubled. Times are Discord's own stamps, in seconds.
"""

import asyncio
import contextlib
import re
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bot.discord import commands
from tests.bot.integration.answers import Seen
from tests.loop.people.observe import NotSeen
from tests.loop.scenarios.outcome import Fate, Tally, sentences
from tests.loop.supervisor import state
from tests.servers.discord.control import DiscordControl
from tests.servers.discord.records import Interaction, Message
from tests.servers.discord.snowflake import made_at
from tests.servers.openai.control import OpenAIControl

STREAMS = "[[chunks=20 delay=0.1]]"  # an answer that the model takes two seconds for
QUICK = "[[chunks=8 delay=0.05]]"
_CHANNELS = 25
_TEXT_CHANNEL = 0  # Discord's number for a server's text channel
_NAME = re.compile(r"\bload-[0-9a-f]{6}-\d{5}\b")
_NOT_ACKNOWLEDGED = "not_acknowledged"  # Discord says so itself: "The application did not respond"
_NO_ANSWER = ("open", "refused", "gone")  # endings of the stand-in's records
_LOOK = 0.25  # seconds between two looks at what is not answered yet
_BEHIND = 1.0  # seconds: what doubles an answer may come right behind it


@dataclass
class _Question:
    name: str
    asked: float
    parts: dict[str, Message] = field(default_factory=dict)
    channel: str = ""
    told_as: str = ""
    acknowledged: float | None = None  # seconds after the command


class Steady:
    """The load. `steady` makes one, and it asks from then on until `stop`."""

    def __init__(self, people: DiscordControl, openai: OpenAIControl) -> None:
        self.discord = people
        self.openai = openai
        self._sentences = dict(sentences())
        self._questions: dict[str, _Question] = {}
        self._owner: dict[str, str] = {}
        self._invoked: dict[str, _Question] = {}  # by the interaction's id
        self._of_command: dict[str, str] = {}  # a command's visible response, and the command
        self._number = 0
        self._sent: dict[str, list[str]] = defaultdict(list)
        self._broken: dict[str, list[str]] = defaultdict(list)
        self._done: dict[str, Fate] = {}
        self._news = asyncio.Event()
        self._asking = True
        self.mark = uuid.uuid4().hex[:6]

    def stop(self) -> None:
        """Ask nothing more."""
        self._asking = False

    async def ask(self, channel: str, author: str, pace: str = STREAMS) -> str:
        """Ask one question; return its id."""
        name = f"load-{self.mark}-{self._next():05}"
        text = f"Tell me about {name}. {pace}"
        sent = await self.discord.say(channel, text, author=author)
        question = self._questions.setdefault(sent.id, _Question(name, sent.created))
        question.name, question.asked, question.channel = name, sent.created, sent.channel_id
        return sent.id

    async def command(self, channel: str, author: str, pace: str = STREAMS) -> str:
        """Ask one question by the slash command; return the interaction's id.

        Its visible response quotes the question, and is what the answer replies to.
        """
        name = f"load-{self.mark}-{self._next():05}"
        text = f"Tell me about {name}. {pace}"
        invoked = await self.discord.invoke(commands.ASK, channel, author, {commands.TOPIC: text})
        asked = made_at(int(invoked.id))
        self._invoked[invoked.id] = _Question(name, asked)
        self._note_interaction(await self.discord.interaction(invoked.id))
        return invoked.id

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _note_interaction(self, interaction: Interaction) -> None:
        """Record the outcome of a command: a response, or Discord's notice that there was none."""
        question = self._invoked.get(interaction.id)
        if question is None:
            return
        question.told_as = _NOT_ACKNOWLEDGED if interaction.failed else ""
        question.acknowledged = interaction.acknowledged_after
        if interaction.original is not None and interaction.original not in self._of_command:
            self._of_command[interaction.original] = interaction.id
            heard = self._questions.get(interaction.original)
            question.parts = heard.parts if heard else question.parts
            self._questions[interaction.original] = question
        self._news.set()

    async def go_on(
        self,
        per_second: float,
        pace: str,
        channels: Sequence[str] = (),
        people: Sequence[str] = (),
        *,
        by_command: bool = False,
    ) -> None:
        """Ask, over CHANNELS (ids; else 25) and PEOPLE (else all) in turn, until stopped."""
        ask = self.command if by_command else self.ask
        world = await self.discord.world()
        text = [c.id for c in world.channels if c.kind == _TEXT_CHANNEL][:_CHANNELS]
        channels = channels or text
        people = people or [user.name for user in world.users if not user.bot]
        began, number = time.monotonic(), 0
        while self._asking:
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            channel = channels[number % len(channels)]
            await ask(channel, people[number % len(people)], pace)
            number += 1

    async def watch_discord(self) -> None:
        """Record what the bot sends, edits and deletes."""
        async with self.discord.events() as events:
            async for event in events:
                if event.kind in {"message", "edit", "delete"}:
                    self._note(event.kind, Message.of(event.data))
                elif event.kind == "interaction":
                    self._note_interaction(Interaction.of(event.data))

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
        """Record what the model sent, in completed answers and in those that broke off."""
        async for record in self.openai.events():
            if record.asked is not None and record.ending not in _NO_ANSWER:
                kept = self._sent if record.ending == "completed" else self._broken
                for name in _NAME.findall(record.asked.last_user_text):
                    kept[name].append(record.text)
                    self._news.set()

    def _texts(self, name: str) -> Iterator[str]:
        """Return every text that is a whole answer: one that broke off may be continued."""
        for text in self._sent[name]:
            yield text
            for begun in self._broken[name]:
                yield begun + text
                yield begun + text.lstrip(" ")

    def acknowledged(self) -> list[float]:
        """Give the seconds after which each command was acknowledged that was."""
        found = (question.acknowledged for question in self._invoked.values())
        return [seconds for seconds in found if seconds is not None]

    def fate(self, question_id: str) -> Fate:
        """Return the outcome of a question so far."""
        if question_id not in self._done:
            fate = self._judge(question_id, self._questions[question_id])
            if fate.lost:
                return fate
            self._done[question_id] = fate
        return self._done[question_id]

    def _judge(self, question_id: str, question: _Question) -> Fate:
        parts = tuple(sorted(question.parts.values(), key=lambda part: int(part.id)))
        seen = Seen(parts)
        bare = seen.bare
        last = max((part.edited or part.created for part in parts), default=0.0)
        texts = self._texts(question.name)
        whole = any(seen.shows(text) or bare.shows(text) for text in texts)
        told = [label for label, words in self._sentences.items() if words in seen.text]
        told += [question.told_as] if question.told_as else []
        return Fate(
            name=question.name,
            asked=question.asked,
            answers=sum(part.reply_to == question_id for part in parts),
            first=min((part.created for part in parts), default=None),
            whole=last if whole else None,
            told=told[0] if told else "",
            shown=seen.text[:200],
            channel=question.channel,
            peer=next((part.peer for part in parts), ""),
        )

    def tally(self) -> Tally:
        """Return the outcomes of all questions."""
        own = [each for each, question in self._questions.items() if question.name]
        # Commands that have no response yet, or never will have one.
        silent = set(self._invoked) - set(self._of_command.values())
        without = [self._judge(each, self._invoked[each]) for each in silent]
        return Tally((*(self.fate(each) for each in own), *without))

    async def answered(
        self,
        after: float,
        seconds: float,
        whole_since: float = 0.0,
        within: Collection[str] = (),
    ) -> float:
        """Wait until something that was asked after a moment is answered; return when it was.

        Answers that were whole before WHOLE_SINCE do not count; with WITHIN, only those in these
        channels do. Raises NotSeen.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    fates = self.tally().since(after).fates
                    here = [fate for fate in fates if not within or fate.channel in within]
                    whole = [fate.whole for fate in here if fate.whole is not None]
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
        DiscordControl(discord_url) as people,
        OpenAIControl(openai_url) as openai,
        asyncio.TaskGroup() as group,
    ):
        load = Steady(people, openai)
        tasks = [group.create_task(load.watch_discord()), group.create_task(load.watch_openai())]
        await asyncio.sleep(_LOOK)  # until both streams are open
        try:
            yield load
        finally:
            for task in tasks:
                task.cancel()


@asynccontextmanager
async def steady(
    per_second: float = 5.0, pace: str = STREAMS, *, by_command: bool = False
) -> AsyncIterator[Steady]:
    """Ask so many questions a second over 25 channels, until `stop` or the end of the block."""
    async with watching() as load, asyncio.TaskGroup() as group:
        asking = group.create_task(load.go_on(per_second, pace, by_command=by_command))
        try:
            yield load
        finally:
            load.stop()
            asking.cancel()
