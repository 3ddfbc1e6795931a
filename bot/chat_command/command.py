"""The command: reads lines, hands them on, ends in order."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from bot.chat_command.arguments import INSIDE
from bot.chat_command.talk import Means, Talk
from bot.conversation.downloads import Downloads
from bot.conversation.files import Reader
from bot.credentials.access import Access
from bot.credentials.entra_key import EntraKey
from bot.errors import BadSettings, CredentialMissing, UnknownPersona
from bot.limits.allowance import Allowance
from bot.llm.model import OpenAIModel
from bot.metrics import Metrics
from bot.observability import tasks
from bot.personas import files as persona_files
from bot.safety.guard import Guard
from bot.safety.moderation import Moderation
from bot.well_formed import well_formed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.settings.loading import Loaded

_PROMPT = "> "


class Chat:
    """The objects of the bot that a terminal needs, and the loop that they live in."""

    def __init__(
        self,
        loaded: Loaded,
        environ: Mapping[str, str],
        out: Callable[[str], object],
        draft: Path | None = None,
    ) -> None:
        settings, metrics = loaded.settings, Metrics()
        cast, mistaken = persona_files.of(loaded, draft)
        self._out = out
        self._runner = asyncio.Runner()
        self._access = Access(settings, environ, metrics)
        self._model = OpenAIModel(settings.openai, self._access.key, metrics)
        self._downloads = Downloads()
        for sentence in [*loaded.unknown, *mistaken]:
            out(f"settings: {sentence}\n")
        reader = Reader(self._downloads, settings.files)
        guard = Guard(settings.safety, Moderation(self._model, settings.safety, metrics), metrics)
        means = Means(settings, reader, self._model, Allowance(settings, metrics), guard)
        self.talk = Talk(means, cast, out)

    def look_for_key(self) -> None:
        """Raise BadSettings where there is no key, and nobody who could be asked for one."""
        key = self._access.key
        if isinstance(key, EntraKey) or key.patient:
            return
        key.fall_back()
        try:
            _ = key.value
        except CredentialMissing as error:
            raise BadSettings([str(error)]) from None

    def run(self, ask: Callable[[str], str]) -> None:
        """Take lines from `ask` until it raises EOFError, or somebody quits."""
        with self._runner:
            keepers = self._runner.run(self._begin())
            self._out(f"{self.talk.persona.name} listens. /help says what else there is.\n")
            try:
                while self._take(_text(ask(_PROMPT))):
                    pass
            except (EOFError, KeyboardInterrupt):
                self._out("\n")
            self._runner.run(self._end(keepers))

    async def _begin(self) -> list[asyncio.Task[None]]:
        """Ask a vault for the key where there is one; it is asked while an answer is awaited."""
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


def _text(line: str) -> str:
    """Give a line as a model can be sent it, whatever bytes came from the terminal."""
    return well_formed(line).strip()


def run(
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
    chat = Chat(loaded, environ, out, draft)
    try:
        if persona is not None:
            chat.talk.name(draft.stem if draft else persona)
    except UnknownPersona as error:
        out(f"{error.sentence}\n")
        return False
    chat.look_for_key()
    chat.run(ask)
    return True
