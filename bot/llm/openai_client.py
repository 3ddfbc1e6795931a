"""The client of the model's provider: turns in, text out; the API key may change at run time."""

from __future__ import annotations

import asyncio
import contextlib
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
)
from bot.llm import error_mapping
from bot.llm.provider_apis import ChatCompletionsApi, ProviderApi, ResponsesApi
from bot.llm.provider_dialects import Knowledge
from bot.llm.retries import Breaker, RetryingRequest, StreamRecorder, exchange
from bot.observability import tasks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from openai import AsyncOpenAI

    from bot.domain.model_request import Account, ModelEvent, ModelRequest
    from bot.llm.provider_dialects import Learned
    from bot.llm.retries import Key
    from bot.observability.metrics import Metrics
    from bot.settings.schema import OpenAISettings

log = logging.getLogger(__name__)


_JUDGE_SECONDS = 10.0
_JUDGED = 20_000  # characters of one text that the moderation reads
_HELPED_BY_ANOTHER = (ModelBusy, ModelDown, ModelSlow, ModelPaused, ModelMissing)


class Model(Protocol):
    """The interface of every provider."""

    def stream(self, request: ModelRequest, account: Account) -> AsyncGenerator[ModelEvent, None]:
        """Yield the answer as it arrives, until it is complete; raises if it stays incomplete.

        Every request made for it is charged to `account`, however the request ends. Close the
        generator (`contextlib.aclosing`) if it is not read to its end.
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
        self._knowledge = Knowledge()
        self._breakers: dict[str, Breaker] = {}

    @property
    def loaded(self) -> bool:
        """Whether the client is loaded, so that a request can be sent at once."""
        return self._client is not None

    def learned(self, model: str) -> Learned:
        """Return what is known about a model so far."""
        return self._knowledge.of(model)

    async def warm(self) -> AsyncOpenAI:
        """Load the library and create the client in a thread; it takes half a second of CPU."""
        if self._client is None:
            warming = self._warming
            if warming is None:
                warming = tasks.start(asyncio.to_thread(self._make), "load_model_client")
                self._warming = warming
            try:
                self._client = await asyncio.shield(warming)
            finally:
                if warming.done() and self._warming is warming:
                    self._warming = None  # if it failed, the next call tries again
        return self._client

    def _make(self) -> AsyncOpenAI:
        import httpx2  # noqa: PLC0415  # see warm
        from openai import AsyncOpenAI, DefaultAioHttpClient  # noqa: PLC0415

        settings = self._settings
        timeout = httpx2.Timeout(settings.silence_seconds, connect=settings.connect_seconds)
        client = AsyncOpenAI(
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
        log.info("model client loaded")
        return client

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def stream(
        self, request: ModelRequest, account: Account
    ) -> AsyncGenerator[ModelEvent, None]:
        """See Model. Raises the errors of the tree's Retried and UserFacing branches."""
        recorder = StreamRecorder()
        deadline = asyncio.get_running_loop().time() + self._settings.answer_seconds
        async with contextlib.aclosing(self._ask_models(request, recorder, account)) as events:
            while True:
                try:  # around the wait alone: what the consumer does takes its own time
                    async with asyncio.timeout_at(deadline):
                        event = await anext(events, None)
                except TimeoutError:
                    self._metrics.model.labels("too_long").inc()
                    slow = ModelSlow("no answer in time")
                    raise CutShort("took too long") if recorder.since else slow from None
                if event is None:
                    return
                yield event

    async def flagged(self, text: str, model: str) -> bool:
        """See ModerationClient: the provider's own moderation."""
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
        with error_mapping.mapped():
            body = {"input": texts, "model": model}
            answer = await client.post("/moderations", body=body, options=options, cast_to=object)
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list) or len(results) != len(texts):
            raise ModelDown("a moderation without results")
        if not all(isinstance(each, dict) and "flagged" in each for each in results):
            raise ModelDown("a moderation without a verdict")
        return any(each["flagged"] for each in results)

    async def _ask_models(
        self, request: ModelRequest, recorder: StreamRecorder, account: Account
    ) -> AsyncGenerator[ModelEvent, None]:
        """Ask the model, then the fallback if that may help and no text has arrived yet."""
        settings = self._settings
        first, fallback = request.model or settings.model, settings.fallback_model
        attempts = settings.attempts
        if fallback is not None and fallback != first:
            attempts = 1
        try:
            asking = self._asking(request, recorder, first, account)
            async with contextlib.aclosing(asking.stream(await self.warm(), attempts)) as events:
                async for event in events:
                    yield event
        except _HELPED_BY_ANOTHER as failed:
            if fallback is None or fallback == first or recorder.since:
                raise
            if not account.covers(request.ceiling(fallback, settings.max_output_tokens)):
                raise
            log.warning("trying the fallback model", extra={"error": failed.label})
        else:
            return
        self._metrics.fallbacks.inc()
        asking = self._asking(request, recorder, fallback, account)
        second = asking.stream(await self.warm(), settings.attempts)
        async with contextlib.aclosing(second) as events:
            async for event in events:
                yield event

    def _asking(
        self, request: ModelRequest, recorder: StreamRecorder, model: str, account: Account
    ) -> RetryingRequest:
        settings = self._settings
        breaker = self._breakers.get(model)
        if breaker is None:
            breaker = Breaker(settings.breaker_failures, settings.breaker_seconds)
            self._breakers[model] = breaker  # bounded by the configured models
        return RetryingRequest(
            request,
            recorder,
            model,
            api=self._api,
            knowledge=self._knowledge,
            key=self._key,
            breaker=breaker,
            metrics=self._metrics,
            account=account,
            most_output=settings.max_output_tokens,
        )
