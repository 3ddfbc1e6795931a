"""What people do and see on a stage, in the words of the stories."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import aiohttp

from tests.servers.discord.control import DiscordControl
from tests.servers.discord.records import Message, World
from tests.servers.discord.seed import CHANNELS
from tests.servers.openai.control import OpenAIControl, Record
from tests.servers.openai.keys import digest
from tests.servers.openai.records import Turn

from .answers import Seen, buttons
from .environment import Stage
from .process import BotProcess

SECONDS = 60.0  # that something may take on a busy machine; what has to be quick is measured
_QUIETLY = (6, 7)  # an interaction's responses without words: later; the message was changed
_marks = count(1)
_places = count()
_stories = count(1)


@dataclass
class Scene:
    """One story's channel, and the people in it.

    Every message carries a mark of its own, "(#12)", by which the model's records of it are found.
    """

    stage: Stage
    discord: DiscordControl
    openai: OpenAIControl
    world: World
    place: str
    _marks: dict[str, str] = field(default_factory=dict)

    @property
    def bot(self) -> BotProcess:
        """The bot's process."""
        return self.stage.bot

    @property
    def people(self) -> list[str]:
        """Everybody's name."""
        return [user.name for user in self.world.users if not user.bot]

    @property
    def me(self) -> str:
        """The bot's mention."""
        return f"<@{self.world.bot.id}>"

    def mention_of(self, name: str) -> str:
        """Give a person's mention."""
        return next(f"<@{user.id}>" for user in self.world.users if user.name == name)

    def elsewhere(self, number: int) -> list[str]:
        """Give as many channels, none of them this story's own, in turn."""
        return [CHANNELS[next(_places) % len(CHANNELS)] for _ in range(number)]

    async def say(
        self,
        text: str,
        *,
        by: str = "Ada",
        where: str | None = None,
        reply_to: str | None = None,
        mention: bool = False,
        files: Sequence[tuple[str, str, bytes]] = (),
        forward: str | None = None,
    ) -> str:
        """Say something, with files or a forwarded message; gives the message's id."""
        mark = f"(#{next(_marks)})"
        self.stage.said.append(text)
        message = await self.discord.say(
            where or self.place,
            f"{text} {mark}",
            by,
            reply_to,
            mention_bot=mention,
            ping=False,
            files=files,
            forward=forward,
        )
        self._marks[message.id] = mark
        return message.id

    async def call(
        self,
        text: str,
        *,
        by: str = "Ada",
        where: str | None = None,
        files: Sequence[tuple[str, str, bytes]] = (),
    ) -> str:
        """Mention the bot, with some words."""
        return await self.say(text, by=by, where=where, mention=True, files=files)

    async def ask(
        self, topic: str, *, by: str = "Ada", where: str | None = None, **options: str | bool
    ) -> str:
        """Use `/sky`; gives the id of the visible response, which quotes the question."""
        mark = f"(#{next(_marks)})"
        self.stage.said.append(topic)
        given = {"topic": f"{topic} {mark}", **options}
        used = await self.discord.invoke("sky", where or self.place, by, given)
        response = await self.responded(used.id)
        self._marks[response.id] = mark
        return response.id

    async def responded(self, interaction_id: str) -> Message:
        """Wait for the response to a command; a command without one in time fails the story."""
        done = await self.discord.wait_interaction(interaction_id, timeout=SECONDS)
        assert done.original is not None, f"no response: {done}"
        return await self.discord.message(done.original)

    async def told(self, command: str, *, by: str = "Ada", **options: str) -> str:
        """Use a command that is answered to that person alone; gives the answer."""
        used = await self.discord.invoke(command, self.place, by, options)
        response = await self.responded(used.id)
        assert response.hidden, f"everybody sees {response.content}"
        return response.content

    async def until_told(self, command: str, words: str, *, by: str = "Ada") -> str:
        """Use a command until its answer contains `words`; gives the answer."""
        said = ""
        try:
            async with asyncio.timeout(SECONDS):
                while words not in (said := await self.told(command, by=by)):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"no {words!r} in {said}") from None
        return said

    async def whisper(self, text: str, *, by: str = "Ada") -> str:
        """Write to the bot alone."""
        return await self.say(text, by=by, where="dm")

    async def press(
        self, message: Message, label: str, *, by: str = "Ada", told: bool = False
    ) -> str:
        """Press a button; gives what only the one who pressed reads, which is waited for if told.

        A press that nobody acknowledges in time fails the story. The last edit of an answer may
        add nothing but Again, so that button is waited for.
        """
        if label == "Again":
            message = await self._complete(message)
        pressed = await self.discord.press(message.id, buttons(message)[label], by)
        done = await self.discord.wait_interaction(pressed.id)
        assert not done.failed, "the application did not respond"
        if told and done.response in _QUIETLY:
            done = await self.discord.wait_interaction(
                pressed.id, lambda i: bool(i.followups), timeout=SECONDS
            )
        said = done.followups[0] if done.followups else done.original
        if said is None or said == message.id:
            return ""
        sentence = await self.discord.message(said)
        assert sentence.hidden
        return sentence.content

    async def _complete(self, message: Message) -> Message:
        """Wait until an answer's last message has its Again button."""
        async with asyncio.timeout(SECONDS), self.discord.events() as events:
            while "Again" not in buttons(message):
                message = await self.discord.message(message.id)
                if "Again" not in buttons(message):
                    await events.event(lambda e: e.kind == "edit", SECONDS)
        return message

    async def seen(self, question: str) -> Seen:
        """Give the answer as it stands: what replies to the question, or to an answer's part."""
        parts: list[Message] = []
        asked = [question]
        for message_id in asked:
            found = [m for m in await self.discord.answers(message_id) if m not in parts]
            parts += found
        return Seen(tuple(sorted(parts, key=lambda part: int(part.id))))

    async def until(
        self, question: str, enough: Callable[[Seen], bool], seconds: float = SECONDS
    ) -> Seen:
        """Wait until the answer satisfies; a failure shows what there was."""
        seen = Seen(())
        try:
            async with asyncio.timeout(seconds), self.discord.events() as events:
                seen = await self.seen(question)
                while not enough(seen):
                    await events.event(lambda e: e.kind in {"message", "edit", "delete"}, seconds)
                    seen = await self.seen(question)
        except TimeoutError:
            shown = [part.content for part in seen.parts]
            raise AssertionError(f"Discord shows no more than {shown}") from None
        return seen

    async def answer(
        self, question: str, seconds: float = SECONDS, *, remarks: bool = False
    ) -> Seen:
        """Wait until Discord shows exactly what the model sent, all of it.

        With `remarks` there may be small print below: history cannot be read while Discord is out.
        """
        mark = self._marks[question]

        def is_done(record: Record) -> bool:
            return self._is_about(record, mark) and record.ending == "completed"

        try:
            record = await self.openai.first(is_done, seconds)
        except TimeoutError:
            attempts = [(r.status, r.ending) for r in await self.records(question)]
            raise AssertionError(f"the model completed no answer: {attempts}") from None

        def shown(seen: Seen) -> bool:
            return (seen.bare if remarks else seen).shows(record.text)

        return await self.until(question, shown, seconds)

    async def answer_of_any(self, question: str, seconds: float = SECONDS) -> Seen:
        """Wait until Discord shows exactly what the model sent, at whichever attempt."""
        try:
            async with asyncio.timeout(seconds), self.discord.events() as events:
                while True:
                    seen = await self.seen(question)
                    records = await self.records(question)
                    whole = [each.text for each in records if each.ending == "completed"]
                    if any(seen.shows(text) for text in whole):
                        return seen
                    await events.event(lambda e: e.kind in {"message", "edit", "delete"}, seconds)
        except TimeoutError:
            raise AssertionError(f"no whole answer to {question}") from None

    async def records(self, question: str) -> list[Record]:
        """Give the model's records of a question, one for each attempt."""
        mark = self._marks[question]
        return [r for r in await self.openai.requests() if self._is_about(r, mark)]

    async def record(self, question: str) -> Record:
        """Give the model's newest record of a question."""
        return (await self.records(question))[-1]

    async def turns(self, question: str) -> list[Turn]:
        """Give the turns that the model was asked, without the instructions."""
        asked = (await self.record(question)).asked
        assert asked is not None
        return [turn for turn in asked.turns if turn.role != "system"]

    @staticmethod
    def _is_about(record: Record, mark: str) -> bool:
        return record.asked is not None and mark in record.asked.last_user_text

    async def fetch(self, url: str) -> bytes:
        """Give the bytes of an attachment."""
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            response.raise_for_status()
            return await response.read()

    async def refused(self, key: str) -> Record:
        """Wait until the model's provider refused a key."""
        return await self.openai.first(
            lambda r: r.status == 401 and r.key == digest(key),  # noqa: PLR2004 - HTTP
            SECONDS,
        )

    async def silence(self, question: str) -> bool:
        """Say whether a message was neither asked of the model nor answered."""
        return not (await self.seen(question)).parts and not await self.records(question)


@asynccontextmanager
async def scene(stage: Stage) -> AsyncIterator[Scene]:
    """Open a scene in a channel of its own, where nobody has said anything yet."""
    async with (
        DiscordControl(stage.servers.discord.control_url) as discord,
        OpenAIControl(stage.servers.openai.control_url) as openai,
    ):
        place = await discord.add_channel(f"story-{next(_stories)}")
        yield Scene(stage, discord, openai, await discord.world(), place.name)
