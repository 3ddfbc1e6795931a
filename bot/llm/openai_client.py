"""Turns in, text out, whichever way the provider is asked: one client, one key that may change."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

from bot.domain.errors import (
    CutShort,
    KeyRefused,
    ModelBusy,
    ModelDown,
    ModelMissing,
    ModelPaused,
    ModelSlow,
    SkyError,
)
from bot.llm import provider_errors
from bot.llm.apis import ChatCompletionsApi, ProviderApi, ResponsesApi
from bot.llm.breaker import Breaker
from bot.llm.request import RetryingRequest, StreamRecorder, exchange
from bot.observability import tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai import AsyncOpenAI

    from bot.domain.messages import Picture
    from bot.domain.model_request import Account, ModelRequest
    from bot.llm.request import Key
    from bot.observability.metrics import Metrics
    from bot.settings.schema import OpenAISettings

log = logging.getLogger(__name__)


_JUDGE_SECONDS = 10.0
_JUDGED = 20_000  # characters of one text of the moderation's
_HELPED_BY_ANOTHER = (ModelBusy, ModelDown, ModelSlow, ModelPaused, ModelMissing)


class Model(Protocol):
    """The face of every provider."""

    async def answer(
        self,
        ask: ModelRequest,
        say: Callable[[str], object],
        show: Callable[[Picture], object],
        cite: Callable[[str], object],
        account: Account,
    ) -> None:
        """Hand each piece of text to `say`, each picture to `show`; raises if something misses.

        `cite` is handed the address of each page that the answer rests on, as often as it does.
        Every request that is made for it is charged to `account`, however it ends.
        """


class OpenAIModel:
    """A provider that speaks OpenAI's protocol, through one client for the life of the process."""

    def __init__(self, settings: OpenAISettings, key: Key, metrics: Metrics) -> None:
        self._settings = settings
        self._key = key
        self._metrics = metrics
        self._client: AsyncOpenAI | None = None
        self._warming: asyncio.Task[AsyncOpenAI] | None = None
        self._api: ProviderApi = (
            ResponsesApi(settings) if settings.api == "responses" else ChatCompletionsApi(settings)
        )
        self._breakers: dict[str, Breaker] = {}

    @property
    def loaded(self) -> bool:
        """Whether the client is there, so that a question goes out at once."""
        return self._client is not None

    async def warm(self) -> AsyncOpenAI:
        """Load the library and make the client, in a thread: half a second's work at full speed."""
        if self._client is None:
            if self._warming is None:
                self._warming = tasks.start(asyncio.to_thread(self._make), "load_model_client")
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
        ask: ModelRequest,
        say: Callable[[str], object],
        show: Callable[[Picture], object],
        cite: Callable[[str], object],
        account: Account,
    ) -> None:
        """See Model. Raises the errors of the tree's Retried and Told branches."""
        recorder = StreamRecorder(say, show, cite)
        try:
            async with asyncio.timeout(self._settings.answer_seconds):
                await self._ask_models(ask, recorder, account)
        except TimeoutError:
            self._metrics.model.labels("too_long").inc()
            error: SkyError = CutShort("took too long") if recorder.since else ModelSlow()
            raise error from None

    async def flagged(self, text: str, model: str) -> bool:
        """See moderation.Judge: the provider's own moderation."""
        while True:
            key = await self._key.current()
            try:
                return await self._judge(text, model, key)
            except KeyRefused as failed:
                await exchange(self._key, failed, key)

    async def _judge(self, text: str, model: str, key: str) -> bool:
        client = await self.warm()
        options: Any = {
            "headers": {"Authorization": f"Bearer {key}"},
            "timeout": _JUDGE_SECONDS,
            "max_retries": 1,
        }
        texts = [text[at : at + _JUDGED] for at in range(0, len(text), _JUDGED)]
        with provider_errors.mapped():
            body = {"input": texts, "model": model}
            answer = await client.post("/moderations", body=body, options=options, cast_to=object)
        results = provider_errors.part(answer, "results") or ()
        if len(results) != len(texts):
            raise ModelDown("a moderation without results")
        return any(provider_errors.part(each, "flagged") for each in results)

    async def _ask_models(
        self, ask: ModelRequest, recorder: StreamRecorder, account: Account
    ) -> None:
        """Ask the model, and then the fallback if another one may help and nothing was said yet."""
        settings = self._settings
        first, fallback = ask.model or settings.model, settings.fallback_model
        if fallback is not None and fallback != first:
            try:
                await self._asking(ask, recorder, first, account, attempts=1)
            except _HELPED_BY_ANOTHER as failed:
                most = ask.ceiling(fallback, settings.max_output_tokens)
                if recorder.since or not account.covers(most):
                    raise
                log.warning("asking the fallback model", extra={"error": failed.label})
                self._metrics.fallbacks.inc()
                first = fallback
            else:
                return
        await self._asking(ask, recorder, first, account, attempts=settings.attempts)

    async def _asking(
        self,
        ask: ModelRequest,
        recorder: StreamRecorder,
        model: str,
        account: Account,
        *,
        attempts: int,
    ) -> None:
        client, settings = await self.warm(), self._settings
        breaker = self._breakers.get(model)
        if breaker is None:
            breaker = Breaker(settings.breaker_failures, settings.breaker_seconds)
            self._breakers[model] = breaker  # as many as personas' files name
        asking = RetryingRequest(
            ask,
            recorder,
            model,
            api=self._api,
            key=self._key,
            breaker=breaker,
            metrics=self._metrics,
            account=account,
            most_output=settings.max_output_tokens,
        )
        await asking.run(client, attempts)
