"""Simple stand-ins at the bot's edges: values in, values out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.context.attachments import Unfetched
from bot.domain.errors import MayNotSpeak, PlaceGone, SkyError
from bot.domain.model_request import Citation, Ended, Finish, Image, Text, Usage
from bot.llm.transport import Payload
from bot.moderation.moderation_pipeline import Moderation, ModerationPipeline

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from bot.domain.messages import Message, Picture, Post
    from bot.domain.model_request import Account, ModelEvent, ModelRequest, ProviderEvent, Reduced
    from bot.llm.provider_dialects import Learned
    from bot.observability.metrics import Metrics
    from bot.settings.schema import Settings


class Archive:
    """What Discord's REST API would find; `unseen` are channels that people cannot read."""

    def __init__(self, *messages: Message, unseen: frozenset[int] = frozenset()) -> None:
        self.messages = {message.id: message for message in messages}
        self.asked: list[tuple[int, int]] = []
        self.unseen = unseen

    async def fetch(self, channel_id: int, message_id: int) -> Message | None:
        """Find a message."""
        self.asked.append((channel_id, message_id))
        return self.messages.get(message_id)

    async def recent(self, channel_id: int, before: int, most: int) -> list[Message] | None:
        """List a channel."""
        self.asked.append((channel_id, before))
        there = [m for m in self.messages.values() if m.channel_id == channel_id and m.id < before]
        return sorted(there, key=lambda message: message.id)[-most:]

    async def may_read(self, message: Message, channel_id: int) -> bool:
        """Whether people see a channel."""
        del message
        return channel_id not in self.unseen


class SilentArchive(Archive):
    """A Discord that does not answer."""

    async def fetch(self, channel_id: int, message_id: int) -> Message | None:
        """Wait for ever."""
        await asyncio.Event().wait()
        raise AssertionError((channel_id, message_id))


@dataclass
class FakeFileSource:
    """Files by their address; the others are gone."""

    files: dict[str, bytes] = field(default_factory=dict)
    at_once: int = 0
    most_at_once: int = 0

    async def fetch(self, url: str, most: int) -> bytes:
        """See bot.context.attachments.FileSource."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if url not in self.files:
            raise Unfetched("gone")
        return self.files[url][: most + 1]


@dataclass
class FakeSink:
    """Channels that keep what was said in them."""

    posts: dict[int, Post] = field(default_factory=dict)
    places: dict[int, int] = field(default_factory=dict)  # the channel of each message
    log: list[str] = field(default_factory=list)  # send, edit, typing, in order
    nonces: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)  # raised by the next calls
    refused: set[str] = field(default_factory=set)  # files, threads: there is no permission
    writable: bool = True
    reactions: list[str] = field(default_factory=list)
    said: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def messages(self) -> dict[int, str]:
        """The text of each message."""
        return {number: post.text for number, post in self.posts.items()}

    @property
    def labels(self) -> list[list[str]]:
        """What stands on each message's buttons."""
        return [[button.label for button in post.buttons] for post in self.posts.values()]

    async def send(self, to: Message, post: Post, nonce: str, channel_id: int) -> int:
        """Keep a new message."""
        self._call("send", post)
        self.nonces.append(nonce)
        number = to.id * 1000 + len(self.posts)
        self.posts[number] = post
        self.places[number] = channel_id
        self.said.set()
        return number

    async def edit(
        self, channel_id: int, message_id: int, post: Post, was: Post | None, *, patient: bool
    ) -> None:
        """Replace a message."""
        del patient
        self._call("edit", post)
        if self.places.get(message_id) != channel_id:
            raise PlaceGone
        assert was is None or was == self.posts[message_id]
        self.posts[message_id] = post

    async def delete(self, channel_id: int, message_id: int) -> None:
        """Remove a message."""
        self._call("delete")
        assert self.places.pop(message_id) == channel_id
        del self.posts[message_id]

    async def start_thread(
        self, on: Message, message_id: int, title: str
    ) -> tuple[int, tuple[int, ...]]:
        """Give the thread that hangs on a message its number, as Discord does."""
        self._call(f"thread {title}")
        if "threads" in self.refused or on.guild_id is None:
            raise MayNotSpeak
        return message_id, tuple(n for n, place in self.places.items() if place == message_id)

    async def react(self, to: Message, emoji: str) -> None:
        """Note it."""
        del to
        self._call("react")
        self.reactions.append(emoji)

    def may_write(self, to: Message, *, in_thread: bool = False) -> bool:
        """See MessageSink."""
        del to, in_thread
        return self.writable

    async def typing(self, channel_id: int) -> None:
        """Note it."""
        del channel_id
        self._call("typing")

    def _call(self, name: str, post: Post | None = None) -> None:
        self.log.append(name)
        if self.failures:
            raise self.failures.pop(0)
        if post is not None and post.files and "files" in self.refused:
            raise MayNotSpeak


@dataclass
class FakeModel:
    """A model that says `text`, then waits for `released` if that is given, then fails or ends."""

    text: str = "An answer."
    failure: Exception | None = None
    released: asyncio.Event | None = None
    usage: Usage = field(default_factory=lambda: Usage("a-model", input=10, output=5))
    pictures: tuple[Picture, ...] = ()
    sources: tuple[str, ...] = ()
    reduced: tuple[Reduced, ...] = ()
    asked: list[ModelRequest] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def stream(
        self, request: ModelRequest, account: Account
    ) -> AsyncGenerator[ModelEvent, None]:
        """See bot.llm.openai_client.Model."""
        self.asked.append(request)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.text:
                yield Text(self.text)
            for picture in self.pictures:
                yield Image(picture)
            for source in self.sources:
                yield Citation(source)
            for reduced in self.reduced:
                yield reduced
            if self.released is not None:
                await self.released.wait()
            if self.failure is not None:
                raise self.failure
        finally:
            self.at_once -= 1
            account.charge(self.usage)


class FakeClient:
    """A client of a provider whose answers a test makes up: see ScriptedApi."""

    async def post(self, path: str, **options: object) -> FakeClient:
        """Have sent a request."""
        del path, options
        return self

    async def aclose(self) -> None:
        """See httpx2.Response."""


class ScriptedApi:
    """A provider of which a subclass says what it does with each request."""

    def payload(self, request: ModelRequest, learned: Learned, output: int) -> Payload:
        """See bot.llm.provider_apis.ProviderApi."""
        del learned, output
        return Payload("/", {}, pictures=bool(request.pictures))

    async def act(self, request: ModelRequest) -> AsyncGenerator[ProviderEvent | SkyError, None]:
        """Give events; an error is raised."""
        yield complete(Usage(str(request.model), input=1, output=1))

    async def read(
        self, response: object, request: ModelRequest, model: str
    ) -> AsyncGenerator[ProviderEvent, None]:
        """See bot.llm.provider_apis.ProviderApi."""
        del response, model
        async for event in self.act(request):
            if isinstance(event, SkyError):
                raise event
            yield event


def complete(usage: Usage) -> Ended:
    """Give the end of an answer that is complete."""
    return Ended(Finish.COMPLETE, "stop", usage)


@dataclass
class FakeJudge:
    """A moderation that flags what has `word` in it, or fails."""

    word: str = "flagged"
    failure: SkyError | None = None
    asked: list[str] = field(default_factory=list)

    async def flagged(self, text: str, model: str) -> bool:
        """See bot.moderation.moderation_pipeline.ModerationClient."""
        del model
        self.asked.append(text)
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return self.word in text


def open_guard(settings: Settings, metrics: Metrics) -> ModerationPipeline:
    """Make the guard of these settings, with a moderation that flags nothing unless it says so."""
    return ModerationPipeline(
        settings.safety, Moderation(FakeJudge(), settings.safety, metrics), metrics
    )
