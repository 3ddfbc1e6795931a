"""A provider's dialect, and the bot's pipeline in front of it: what a person reads of an answer.

The pipeline, the client and the money are the bot's own; the provider is the OpenAI test server on
a real socket. Only Discord is left out, because what is asked here has nothing to do with it.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bot.admission.admission_control import AdmissionControl, AnswerRequest
from bot.answers.pipeline import AnswerPipeline
from bot.context.attachments import AttachmentReader, OpenedFile
from bot.context.message_cache import MessageCache
from bot.domain.errors import NothingSaid, SkyError
from bot.domain.messages import Attachment, Author, Message
from bot.llm.openai_client import OpenAIModel
from bot.moderation.moderation_pipeline import Moderation, ModerationPipeline
from bot.observability.metrics import Metrics
from bot.personas import persona as personas
from bot.settings.schema import Settings
from tests.servers.openai import dialect
from tests.servers.openai.control import DialectChoice, OpenAIControl, Record
from tests.servers.openai.pictures import DOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bot.domain.messages import Picture
    from tests.servers.openai.launch import Running

ME, CHANNEL = 1, 3
OUTPUT = 400  # tokens of an answer, at most
PRICE = {"input": 1.0, "output": 1.0}  # for a million tokens


class Key:
    """A key that stays what it is."""

    patient = False
    needed_for = 1000.0

    def __init__(self, value: str) -> None:
        self._value = value

    async def current(self) -> str:
        """See bot.llm.retries.Key."""
        return self._value

    def accept(self, value: str, asked: float) -> None:
        """See bot.llm.retries.Key."""

    def refuse(self, value: str) -> None:
        """See bot.llm.retries.Key."""

    async def another(self, than: str | None, timeout: float) -> bool:  # noqa: ASYNC109
        """See bot.llm.retries.Key."""
        del than, timeout
        return False


class Files(AttachmentReader):
    """Opens every attachment as a grey dot."""

    def __init__(self) -> None:
        """Need nothing."""

    @contextlib.asynccontextmanager
    async def opened(self, wanted: Sequence[Attachment]) -> AsyncIterator[dict[str, OpenedFile]]:
        """See bot.context.attachments.AttachmentReader."""
        picture = f"data:image/png;base64,{DOT}"
        yield {each.url: OpenedFile(each.name, picture=picture) for each in wanted}


class NoHistory:
    """A channel of which nothing is known but what is in the cache."""

    async def fetch(self, channel_id: int, message_id: int) -> Message | None:
        """See bot.context.history.History."""

    async def recent(self, channel_id: int, before: int, most: int) -> list[Message] | None:
        """See bot.context.history.History."""
        del channel_id, before, most
        return []

    async def may_read(self, message: Message, channel_id: int) -> bool:
        """See bot.context.history.History."""
        return message.channel_id == channel_id


@dataclass
class Page:
    """What a person reads: the answer, what stands below it, and how it ended."""

    text: str = ""
    below: list[str] = field(default_factory=list)
    failed: SkyError | None = None
    pictures: list[Picture] = field(default_factory=list)

    def say(self, piece: str) -> None:
        """See bot.answers.pipeline.Sink."""
        self.text += piece

    def show(self, picture: Picture) -> None:
        """See bot.answers.pipeline.Sink."""
        self.pictures.append(picture)

    def know_links(self, text: str) -> None:
        """See Sink. A page fetches no previews."""

    def remark(self, sentence: str) -> None:
        """See bot.answers.pipeline.Sink."""
        self.below.append(sentence)


@dataclass(frozen=True)
class PipelineServices:
    """See bot.answers.pipeline.PipelineServices."""

    settings: Settings
    model: OpenAIModel
    admission: AdmissionControl
    guard: ModerationPipeline
    reader: Files = field(default_factory=Files)
    cache: MessageCache = field(default_factory=MessageCache)
    history: NoHistory = field(default_factory=NoHistory)
    pages: None = None


class Provider:
    """One process's bot in front of one provider: what it learns, it keeps."""

    def __init__(
        self, server: Running, control: OpenAIControl, name: str, **openai: object
    ) -> None:
        """`name` is a dialect's; with `/responses` behind it, that API is used."""
        name, _, api = name.partition("/")
        self.dialect = dialect.load(name)
        self.control = control
        self._name = name
        # a model that sees no pictures
        self.blind = next(each for each in self.dialect.models if not each.pictures).names[0]
        self._number = 1000 << 22
        self.metrics = Metrics()
        key = server.key_file.read_text().strip()
        self.key = Key(key)
        settings = Settings.model_validate(
            {
                "openai": {
                    "base_url": server.url,
                    "api": api or "chat",
                    "model": self.blind,
                    "max_output_tokens": OUTPUT,
                    "attempts": 2,
                    **openai,
                },
                "budget": {"daily": 1000, "prices": {"any": PRICE}},
                "conversation": {"max_tokens": 100_000},
            }
        )
        self.model = OpenAIModel(settings.openai, self.key, self.metrics)
        self.services = PipelineServices(
            settings,
            self.model,
            AdmissionControl(settings, self.metrics),
            ModerationPipeline(
                settings.safety, Moderation(self.model, settings.safety, self.metrics), self.metrics
            ),
        )

    @property
    def thinker(self) -> str:
        """A model that reasons."""
        return next(group for group in self.dialect.models if group.reasons).names[0]

    async def speak(self, **differs: object) -> None:
        """Let the server speak the dialect, in an installation that differs so."""
        await self.control.speak(DialectChoice.model_validate({"name": self._name, **differs}))

    async def ask(
        self,
        words: str,
        *,
        before: Sequence[tuple[int, str]] = (),
        pictures: int = 0,
        image: bool = False,
        **persona: object,
    ) -> Page:
        """Ask, after what others said before; who is 1 is the bot itself."""
        previous = None
        for author, text in before:
            previous = self._message(author, text, previous)
            self.services.cache.put(previous)
        files = tuple(Attachment(f"{n}.png", 9, f"https://files/{n}") for n in range(pictures))
        question = replace(self._message(2, words, previous), attachments=files)
        who = replace(personas.DEFAULT, **{"model": self.blind, **persona})  # type: ignore[arg-type]
        call = AnswerRequest(question, words, ME, time.monotonic(), persona=who, image=image)
        page, admission = Page(), self.services.admission
        reservation = admission.reserve(call)
        try:
            await AnswerPipeline(call, self.services, page, reservation).run()
            page.failed = None if page.text.strip() or page.pictures else NothingSaid()
        except SkyError as error:
            page.failed = error
        finally:
            reservation.end()
        return page

    def _message(self, author: int, text: str, previous: Message | None) -> Message:
        self._number += 1 << 22
        replies_to = previous.id if previous else None
        name = "Sky" if author == ME else f"Person {author}"
        who = Author(author, name, bot=author == ME)
        return Message(self._number, CHANNEL, who, text, replies_to=replies_to)

    async def requests(self, words: str) -> list[Record]:
        """Give the requests about a question, as the server saw them."""
        return await self.control.requests(words)

    @property
    def statuses(self) -> dict[str, float]:
        """How many requests had which outcome, by the metric; but for refused parameters."""
        found = {}
        for family in self.metrics.model.collect():
            for sample in family.samples:
                refused = sample.labels.get("outcome") == "request_refused"
                if sample.name.endswith("_total") and not refused:
                    found[sample.labels["outcome"]] = sample.value
        return found

    @property
    def spent(self) -> float:
        """Tokens that were charged; all cost the same here."""
        return self.services.admission.ledger.spent("day") * 1_000_000

    async def close(self) -> None:
        """Close its connections."""
        await self.model.close()
