"""`chat`: one conversation in a terminal; each line is handled like a direct message."""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from bot.admission.admission_control import AdmissionControl, AnswerRequest
from bot.admission.hourly_limits import Caller
from bot.answers.pipeline import AnswerPipeline
from bot.cli.main import INSIDE
from bot.context.attachments import AttachmentReader, Downloads
from bot.context.message_cache import MessageCache
from bot.credentials.store import CredentialStore
from bot.domain.errors import (
    NothingSaid,
    OverLimit,
    SkyError,
    UnknownPersona,
)
from bot.domain.messages import EPOCH, Author, Location, Message
from bot.domain.text import is_blank, sanitize
from bot.llm.openai_client import OpenAIModel
from bot.moderation.moderation_pipeline import Moderation, ModerationPipeline
from bot.observability import tasks
from bot.observability.metrics import Metrics
from bot.personas import loader as persona_files
from bot.triggers.match import Trigger, after_command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.context.web_pages import WebPages
    from bot.domain.messages import Picture
    from bot.llm.openai_client import Model
    from bot.personas.persona import PersonaRegistry
    from bot.settings.loading import Loaded
    from bot.settings.schema import Settings


_ME, _YOU, _CHANNEL = 1, 2, 3
_WHEN = re.compile(r"<t:(\d+):R>")


class Nothing:
    """A channel that contains only what was said in this terminal."""

    async def fetch(self, channel_id: int, message_id: int) -> Message | None:
        """See History."""
        del channel_id, message_id
        return None  # as its contract says

    async def recent(self, channel_id: int, before: int, most: int) -> list[Message] | None:
        """See History."""
        del channel_id, before, most
        return []

    async def may_read(self, message: Message, channel_id: int) -> bool:
        """See History. All that there is was said to the person at the terminal."""
        return channel_id == message.channel_id


@dataclass(frozen=True, slots=True)
class ChatServices:
    """See PipelineServices."""

    settings: Settings
    reader: AttachmentReader
    model: Model
    admission: AdmissionControl
    guard: ModerationPipeline
    pages: WebPages | None = None
    cache: MessageCache = field(default_factory=MessageCache)
    history: Nothing = field(default_factory=Nothing)


class TerminalSink:
    """Where an answer appears: piece by piece, pictures as files, remarks below."""

    def __init__(self, out: Callable[[str], object]) -> None:
        self._out = out
        self._pieces: list[str] = []
        self._below: list[str] = []
        self._spoke = self._drew = False  # whether there is a word to see, or a picture

    @property
    def text(self) -> str:
        """See Sink."""
        return "".join(self._pieces)

    @property
    def empty(self) -> bool:
        """Whether there is neither a word nor a picture."""
        return not self._spoke and not self._drew

    def say(self, piece: str) -> None:
        """See Sink."""
        self._pieces.append(piece)
        if self._spoke:
            self._out(piece)
        elif not is_blank(piece):
            self._spoke = True
            self._out(self.text)

    def know_links(self, text: str) -> None:
        """See Sink. A terminal fetches no previews."""

    def show(self, picture: Picture) -> None:
        """See Sink."""
        self._drew = True
        path = Path(tempfile.mkdtemp(prefix="sky-")) / picture.name
        path.write_bytes(picture.data)
        self._below.append(f"The picture is in {path}")

    def remark(self, sentence: str) -> None:
        """See Sink."""
        self._below.append(sentence)

    def end(self) -> None:
        """End the answer: the remarks, in brackets instead of small print, and an empty line."""
        lines = [*(f"[{sentence}]" for sentence in self._below), ""]
        self._out(("\n" if self._spoke else "") + "\n".join(lines) + "\n")


class ChatSession:
    """The conversation so far, and the persona that answers."""

    def __init__(
        self, means: ChatServices, personas: PersonaRegistry, out: Callable[[str], object]
    ) -> None:
        self._means = means
        self._personas = personas
        self._out = out
        self._numbers = count(1)
        self._last: Message | None = None  # what was answered last
        self._answer: int | None = None  # and the answer, which the next message replies to
        self.persona = personas.at(Location())

    def name(self, persona: str) -> None:
        """Switch to another persona; raises UnknownPersona."""
        self.persona = self._personas.named(persona)

    def everybody(self) -> str:
        """List the personas."""
        there = "".join(f"  {key:<16} {persona.name}\n" for key, persona in self._personas)
        return f"{there}Now answers {self.persona.name}.\n"

    def forget(self) -> None:
        """Begin a new conversation."""
        self._last = self._answer = None

    async def say(self, words: str) -> None:
        """Send a message, and show the answer."""
        message = Message(
            self._next_id(), _CHANNEL, Author(_YOU, "You"), words, replies_to=self._answer
        )
        await self._answer_to(message)

    async def again(self) -> None:
        """Answer the last message again."""
        if self._last is None:
            self._out("Nothing was answered yet.\n")
        else:
            await self._answer_to(self._last)

    async def _answer_to(self, message: Message) -> None:
        page = TerminalSink(self._out)
        before = self._means.admission.ledger.spent("day")
        try:
            over = self._means.admission.admit(
                Caller(message.author.id, message.channel_id, message.guild_id)
            )
            if over is not None:
                raise OverLimit(over.scope, over.until)
            await self._think(self._call(message), page)
            if page.empty:
                raise NothingSaid
            spent = self._means.admission.ledger.spent("day")
            currency = self._means.settings.budget.currency
            page.remark(f"{self.persona.name}: {spent - before:.4f} {currency}, {spent:.4f} in all")
        except SkyError as error:
            page.remark(_in_a_terminal(error))
        finally:
            self._remember(message, page.text)
            page.end()

    async def _think(self, call: AnswerRequest, page: TerminalSink) -> None:
        reservation = self._means.admission.reserve(call)
        try:
            await AnswerPipeline(call, self._means, page, reservation).run()
        finally:
            reservation.end()

    def _next_id(self) -> int:
        """Make an id as Discord does; it contains the time that the model is shown."""
        return (int(time.time() * 1000) - EPOCH << 22) + next(self._numbers)

    def _call(self, message: Message) -> AnswerRequest:
        command = self._means.settings.discord.command
        asked = after_command(message.text, command) or Trigger("direct", message.text)
        persona, refused = self.persona, None
        if asked.persona is not None:
            try:
                persona = self._personas.named(asked.persona)
            except UnknownPersona as error:
                refused = error
        return AnswerRequest(
            message,
            asked.prompt,
            _ME,
            time.monotonic(),
            persona=persona,
            image=asked.image,
            refused=refused,
        )

    def _remember(self, message: Message, text: str) -> None:
        self._last = message
        if text:
            self._means.cache.put(message)
            self._answer = self._next_id()
            answer = replace(
                message,
                id=self._answer,
                author=Author(_ME, self.persona.name, bot=True),
                text=text,
                replies_to=message.id,
            )
            self._means.cache.put(answer)


def _in_a_terminal(error: SkyError) -> str:
    """What a person reads, with times written out, and what the operator's log would say."""

    def local(found: re.Match[str]) -> str:
        return f"at {datetime.fromtimestamp(int(found[1]), UTC).astimezone():%H:%M on %d %B}"

    detail = f" ({error.label}: {error})" if str(error) else f" ({error.label})"
    return _WHEN.sub(local, error.sentence) + detail


_PROMPT = "> "


class ChatCommand:
    """The objects of the bot that a terminal needs, and the loop that they live in."""

    def __init__(
        self,
        loaded: Loaded,
        environ: Mapping[str, str],
        out: Callable[[str], object],
        draft: Path | None = None,
    ) -> None:
        settings, metrics = loaded.settings, Metrics()
        personas, mistaken = persona_files.of(loaded, draft)
        self._out = out
        self._runner = asyncio.Runner()
        self._access = CredentialStore(settings, environ, metrics)
        self._model = OpenAIModel(settings.openai, self._access.key, metrics)
        self._downloads = Downloads()
        for sentence in [*loaded.unknown, *mistaken]:
            out(f"settings: {sentence}\n")
        reader = AttachmentReader(self._downloads, settings.files)
        guard = ModerationPipeline(
            settings.safety, Moderation(self._model, settings.safety, metrics), metrics
        )
        pages = _web_pages(settings, metrics) if settings.links.pages else None
        means = ChatServices(
            settings, reader, self._model, AdmissionControl(settings, metrics), guard, pages
        )
        self.talk = ChatSession(means, personas, out)

    def look_for_key(self) -> None:
        """Raise BadSettings if there is no key and no source that could provide one."""
        self._access.require_key()

    def run(self, ask: Callable[[str], str]) -> None:
        """Take lines from `ask` until it raises EOFError, or somebody quits."""
        with self._runner:
            keepers = self._runner.run(self._begin())
            self._out(f"{self.talk.persona.name} is ready. /help lists the commands.\n")
            try:
                while self._take(_text(ask(_PROMPT))):
                    pass
            except (EOFError, KeyboardInterrupt):
                self._out("\n")
            self._runner.run(self._end(keepers))

    async def _begin(self) -> list[asyncio.Task[None]]:
        """Read the key from the vault, if one is configured, while an answer is awaited."""
        return [tasks.start(keeper.run(), "vault_poller") for keeper in self._access.keepers[1:]]

    async def _end(self, keepers: list[asyncio.Task[None]]) -> None:
        for task in keepers:
            task.cancel()
        await self._model.close()
        await self._downloads.close()
        await self._access.close()

    def _take(self, line: str) -> bool:
        """Do what a line says; False to quit."""
        command, _, rest = line.partition(" ")
        match command:
            case "":
                pass
            case "/quit":
                return False
            case "/help":
                self._out(f"{INSIDE}\n")
            case "/new":
                self.talk.forget()
            case "/persona":
                self._persona(rest.strip())
            case "/again":
                self._answer(None)
            case _ if command.startswith("/"):
                self._out(f"There is no {command}.\n{INSIDE}\n")
            case _:
                self._answer(line)
        return True

    def _persona(self, name: str) -> None:
        try:
            if name:
                self.talk.name(name)
            self._out(self.talk.everybody())
        except UnknownPersona as error:
            self._out(f"{error.sentence}\n")

    def _answer(self, words: str | None) -> None:
        talking = self.talk.again() if words is None else self.talk.say(words)
        try:
            self._runner.run(talking)
        except KeyboardInterrupt:  # the answer is stopped, not the conversation
            self._out("\n")


def _web_pages(settings: Settings, metrics: Metrics) -> WebPages:
    """Load what reads pages, where that is on."""
    from bot.context.parser_process import ParserProcess  # noqa: PLC0415
    from bot.context.web_pages import WebPages  # noqa: PLC0415

    return WebPages(settings.links, ParserProcess(), metrics)


def _text(line: str) -> str:
    """Return a line as valid text, whatever bytes the terminal sent."""
    return sanitize(line).strip()


def run_chat(
    loaded: Loaded,
    environ: Mapping[str, str],
    persona: str | None,
    out: Callable[[str], object],
    ask: Callable[[str], str],
) -> bool:
    """Talk until somebody quits; False if there is no such persona.

    `persona` is a name, or a persona's file; raises BadSettings if that has a mistake, or if there
    is no key for the model.
    """
    draft = Path(persona) if persona and persona.endswith(".toml") else None
    chat = ChatCommand(loaded, environ, out, draft)
    try:
        if persona is not None:
            chat.talk.name(draft.stem if draft else persona)
    except UnknownPersona as error:
        out(f"{error.sentence}\n")
        return False
    chat.look_for_key()
    chat.run(ask)
    return True
