"""Turns in, text out, whichever way the provider is asked: one client, one key that may change.

A stream that just ends is not an answer: the library reports a cut connection as the end, so each
way's own mark of completion is required. A request is tried again only while no text has come,
because what a person has read cannot be taken back.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, Protocol

from bot import llm_errors
from bot.errors import CredentialMissing, CutShort, KeyRefused, ModelSlow, Retried, SkyError
from bot.llm_streams import Api, Chat, Responses

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai import AsyncOpenAI

    from bot.llm_streams import Ask
    from bot.messages import Picture
    from bot.metrics import Metrics
    from bot.settings import OpenAI
    from bot.usage import Usage

log = logging.getLogger(__name__)

_OTHER_KEY_SECONDS = 2.0  # a rotated key is in the file sooner; a person is waiting
_ROTATION_SECONDS = 150.0  # since the first refusal, where Key Vault is asked for another
_EXCHANGES = 5  # of keys, for one question
_LONGEST_PAUSE = 8.0


def unseen(picture: Picture) -> None:
    """Drop a picture: whoever asks for none is shown none."""
    del picture


class Model(Protocol):
    """The face of every provider."""

    async def answer(
        self,
        ask: Ask,
        say: Callable[[str], object],
        show: Callable[[Picture], object] = unseen,
    ) -> Usage:
        """Hand each piece of text to `say`, each picture to `show`; return what that used up.

        Raises if something misses: the error's `usage` is then what is known.
        """


class Key(Protocol):
    """What the provider is shown: credentials.Credential, or a token of Entra's."""

    @property
    def patient(self) -> bool:
        """Whether somebody is asked for another while it is refused."""

    @property
    def needed_for(self) -> float:
        """Seconds since there is no usable value."""

    async def current(self) -> str:
        """Give the value now; raises CredentialMissing."""

    def accept(self, value: str) -> None:
        """Note that the provider accepted `value`."""

    def refuse(self, value: str) -> None:
        """Note that the provider refused `value`."""

    async def another(self, than: str | None, timeout: float) -> bool:  # noqa: ASYNC109  # see Credential
        """Wait until there is a value, and one that is not `than`; False if none came in time."""


class OpenAIModel:
    """A provider that speaks OpenAI's protocol, through one client for the life of the process."""

    def __init__(self, settings: OpenAI, key: Key, metrics: Metrics) -> None:
        self._settings = settings
        self._key = key
        self._metrics = metrics
        self._client: AsyncOpenAI | None = None
        self._warming: asyncio.Task[AsyncOpenAI] | None = None
        self._api: Api = Responses(settings) if settings.api == "responses" else Chat(settings)

    @property
    def loaded(self) -> bool:
        """Whether the client is there, so that a question goes out at once."""
        return self._client is not None

    async def warm(self) -> AsyncOpenAI:
        """Load the library and make the client, in a thread: half a second's work at full speed."""
        if self._client is None:
            if self._warming is None:
                self._warming = asyncio.create_task(asyncio.to_thread(self._make))
            self._client = await asyncio.shield(self._warming)
        return self._client

    def _make(self) -> AsyncOpenAI:
        import httpx2  # noqa: PLC0415  # see warm
        from openai import AsyncOpenAI, DefaultAioHttpClient  # noqa: PLC0415

        settings = self._settings
        timeout = httpx2.Timeout(settings.silence_seconds, connect=settings.connect_seconds)
        return AsyncOpenAI(
            api_key="each request carries its own",
            base_url=settings.base_url,
            max_retries=0,  # ours know about spent money, rotated keys and what was said already
            timeout=timeout,
            # The same client on aiohttp's parser, which is in C: half the CPU for each event. It
            # goes direct, as discord.py does: HTTPS_PROXY is for Azure. SSL_CERT_FILE counts.
            http_client=DefaultAioHttpClient(
                timeout=timeout, trust_env=False, verify=httpx2.create_ssl_context()
            ),
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def answer(
        self,
        ask: Ask,
        say: Callable[[str], object],
        show: Callable[[Picture], object] = unseen,
    ) -> Usage:
        """See Model. Raises the errors of the tree's Retried and Told branches."""
        del show
        spoken = _Spoken(say)
        try:
            async with asyncio.timeout(self._settings.answer_seconds):
                return await self._try(ask, spoken)
        except TimeoutError:
            self._metrics.model.labels("too_long").inc()
            raise CutShort if spoken.since else ModelSlow from None

    async def _try(self, ask: Ask, spoken: _Spoken) -> Usage:
        client = await self.warm()
        attempt = exchanges = 0  # a key that is exchanged costs no attempt
        while True:
            used, began = "", time.monotonic()
            try:
                used = await self._key.current()
                with llm_errors.mapped():
                    usage = await self._api.answer(client, used, ask, spoken.say)
            except CredentialMissing as error:
                failed: SkyError = KeyRefused(str(error))
            except SkyError as error:
                failed = error
            else:
                self._count("complete", spoken, began)
                self._metrics.tokens.labels("input").inc(usage.input)
                self._metrics.tokens.labels("output").inc(usage.output)
                self._key.accept(used)
                return usage
            self._count(failed.label, spoken, began)
            if not isinstance(failed, Retried):
                raise failed
            if spoken.since:
                raise CutShort(failed.label) from failed
            if isinstance(failed, KeyRefused) and exchanges < _EXCHANGES:
                exchanges += 1
                await self._exchange(failed, used)
                continue
            attempt += 1
            if attempt == self._settings.attempts:
                raise failed
            await self._pause(failed, attempt)

    async def _exchange(self, failed: KeyRefused, used: str) -> None:
        """Wait for another key than the one that was refused; raises `failed` if none comes.

        Whoever asks while a key is being rotated is answered, a little later; when a key has long
        been dead, nobody waits for it any more.
        """
        if used:
            self._key.refuse(used)
        patience = _ROTATION_SECONDS - self._key.needed_for if self._key.patient else 0.0
        if not await self._key.another(used or None, max(patience, _OTHER_KEY_SECONDS)):
            raise failed

    async def _pause(self, failed: Retried, attempt: int) -> None:
        """Wait as long as makes sense before the next attempt; raises `failed` if none does."""
        pause = failed.after or random.uniform(0.5, 1) * 0.5 * 2**attempt  # noqa: S311  # jitter
        if pause > _LONGEST_PAUSE:
            raise failed
        log.warning("asking again", extra={"error": failed.label, "attempt": attempt})
        await asyncio.sleep(pause)

    def _count(self, outcome: str, spoken: _Spoken, began: float) -> None:
        self._metrics.model.labels(outcome).inc()
        if spoken.since:
            self._metrics.first_text.observe(spoken.since - began)


class _Spoken:
    """Passes text on, and knows since when there is some."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self.since = 0.0

    def say(self, text: str) -> None:
        if text:
            self.since = self.since or time.monotonic()
            self._say(text)
