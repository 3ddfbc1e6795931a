"""A steady load of messages to the bot in its pod, and what became of each; the pod's figures.

The load is bounded in count and time and goes to the Discord stand-in on this machine only.
"""

import asyncio
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.bot.integration.answers import Seen
from tests.loop.people.observe import Observer
from tests.loop.supervisor import state
from tests.servers.discord.control import DiscordControl
from tests.servers.discord.records import Message
from tests.servers.discord.stream import Stream
from tests.servers.openai.control import OpenAIControl

_CHANNELS = 25
_TEXT_CHANNEL = 0  # Discord's number for a server's text channel
_LONG_EVERY = 8  # Every eighth answer is longer than one message of Discord's.
_SHORT = "[[chunks=8 delay=0.05]]"
_LONG = "[[chunks=20 delay=0.05 length=5000 fence=1]]"
_QUIET = 30.0  # So long without any news from Discord, and the load is over.
_MIB = 2**20


@dataclass(frozen=True)
class Outcome:
    """What became of a load. `seconds` is from the first message to the last answer's last edit."""

    asked: int
    answered: int
    exact: int
    seconds: float
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class Figures:
    """The bot's process, by its own metrics: resident memory, and CPU time since its start."""

    resident_mib: float
    cpu_seconds: float


async def messages(
    count: int = 200, per_second: float = 10, *, enough: asyncio.Event | None = None
) -> Outcome:
    """Send COUNT messages to the bot over 25 channels and wait until each has its answer.

    Once ENOUGH is set no more are sent.
    An answer counts as exact if its messages are word for word what the OpenAI stand-in sent for
    it, well-formed, whole, and nothing twice.
    """
    mark = uuid.uuid4().hex[:8]
    async with (
        DiscordControl(f"http://{state.DISCORD_CONTROL}") as discord,
        OpenAIControl(f"http://{state.OPENAI_CONTROL}") as openai,
        discord.events() as events,
    ):
        world = await discord.world()
        channels = [c.id for c in world.channels if c.kind == _TEXT_CHANNEL][:_CHANNELS]
        people = [user.name for user in world.users if not user.bot]
        began = time.monotonic()
        asked: dict[str, str] = {}
        answers = _Answers(asked)
        watching = asyncio.create_task(answers.watch(events))
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            if enough is not None and enough.is_set():
                break
            name = f"{mark}-{number:03}"
            pace = _LONG if number % _LONG_EVERY == 0 else _SHORT
            sent = await discord.say(
                channels[number % len(channels)],
                f"Tell me about {name}. {pace}",
                author=people[number % len(people)],
            )
            asked[sent.id] = name
        await answers.complete(openai)
        watching.cancel()
        return await answers.outcome(openai, began)


class _Answers:
    """The bot's messages, by the question they belong to."""

    def __init__(self, asked: dict[str, str]) -> None:
        self._asked = asked
        self._parts: dict[str, dict[str, Message]] = defaultdict(dict)
        self._owner: dict[str, str] = {}
        self._news = asyncio.Event()
        self._last = time.monotonic()

    async def watch(self, events: Stream) -> None:
        """Take every message and edit of the bot's."""
        async for event in events:
            if event.kind not in {"message", "edit"}:
                continue
            message = Message.of(event.data)
            if not message.bot or message.reply_to is None:
                continue
            question = self._owner.get(message.reply_to, message.reply_to)
            self._owner[message.id] = question
            self._parts[question][message.id] = message
            self._last = time.monotonic()
            self._news.set()

    def seen(self, question: str) -> Seen:
        """Return a question's answer as it stands."""
        parts = self._parts[question].values()
        return Seen(tuple(sorted(parts, key=lambda part: int(part.id))))

    async def _wrong(self, openai: OpenAIControl) -> dict[str, str]:
        """Return why each answer that is not exact is not."""
        texts: dict[str, list[str]] = defaultdict(list)
        for record in await openai.requests():
            if record.asked is not None and record.ending == "completed":
                texts[record.asked.last_user_text].append(record.text)
        wrong = {}
        for question, name in self._asked.items():
            sent = [text for asked, all_of in texts.items() if name in asked for text in all_of]
            if not self._parts[question]:
                wrong[question] = f"{name}: no answer"
            elif not any(self.seen(question).shows(text) for text in sent):
                wrong[question] = f"{name}: {_difference(self.seen(question), sent)}"
        return wrong

    async def complete(self, openai: OpenAIControl) -> None:
        """Wait until each question has its exact answer, or Discord has been quiet for long."""
        while await self._wrong(openai):
            self._news.clear()
            try:
                async with asyncio.timeout(_QUIET):
                    await self._news.wait()
                    await asyncio.sleep(0.5)  # Let more come: each look reads all the records.
            except TimeoutError:
                return

    async def outcome(self, openai: OpenAIControl, began: float) -> Outcome:
        """Sum up."""
        wrong = await self._wrong(openai)
        return Outcome(
            asked=len(self._asked),
            answered=sum(1 for question in self._asked if self._parts[question]),
            exact=len(self._asked) - len(wrong),
            seconds=self._last - began,
            wrong=tuple(wrong.values()),
        )


def _difference(answer: Seen, sent: list[str]) -> str:
    """Say what is wrong with an answer: its last characters tell a remark from a missing end."""
    return (
        f"the answer is not what one of {len(sent)} requests got: "
        f"{len(answer.parts)} messages, {len(answer.text)} characters that end in "
        f"{answer.text[-80:]!r}, well-formed: {answer.well_formed}; "
        f"sent were {[(len(each), each[-40:]) for each in sent]}"
    )


async def metrics(address: str) -> dict[str, float]:
    """Return the bot's metrics by name with labels as written; ADDRESS is the pod's IP."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}:8080/metrics") as response,
    ):
        families = text_string_to_metric_families(await response.text())
        return {
            sample.name
            + "".join(f",{k}={v}" for k, v in sorted(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }


async def pod_figures(seen: Observer) -> Figures:
    """Read memory and CPU from the one Ready pod's metrics."""
    found = await metrics(seen.pod().address)
    return Figures(
        resident_mib=found["process_resident_memory_bytes"] / _MIB,
        cpu_seconds=found["process_cpu_seconds_total"],
    )
