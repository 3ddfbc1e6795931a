"""Turns in, text out: the Responses API and Chat Completions behind one face.

A stream that just ends is not an answer: the library reports a cut connection as the end, so both
protocols' own mark of completion is required. A request is tried again only while no text has come,
because what a person has read cannot be taken back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bot import llm_errors
from bot.errors import CredentialMissing, CutShort, KeyRefused, ModelSlow, Retried, SkyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai import AsyncOpenAI, AsyncStream

    from bot.conversation import Turn
    from bot.credentials import Credential
    from bot.metrics import Metrics
    from bot.settings import OpenAI

log = logging.getLogger(__name__)

_OTHER_KEY_SECONDS = 2.0  # a rotated key is in the file sooner; a person is waiting
_LONGEST_PAUSE = 8.0
_LENGTH = "max_tokens"  # the name that most providers of Chat Completions know
_LENGTH_OF_REASONING_MODELS = (
    "max_completion_tokens"  # OpenAI's; others refuse what they don't know
)
_DRAIN_SECONDS = 0.25  # the rest of a completed stream, so that its connection is used again


@dataclass(frozen=True, slots=True)
class Ask:
    """What the model is asked: who it is, and what was said so far."""

    instructions: str
    turns: tuple[Turn, ...]


class Model(Protocol):
    """The face of every provider."""

    async def answer(self, ask: Ask, say: Callable[[str], object]) -> None:
        """Hand each piece of text to `say`; return when that is all, raise if something misses."""


class OpenAIModel:
    """A provider that speaks OpenAI's protocol, through one client for the life of the process."""

    def __init__(self, settings: OpenAI, key: Credential, metrics: Metrics) -> None:
        self._settings = settings
        self._key = key
        self._metrics = metrics
        self._client: AsyncOpenAI | None = None
        self._warming: asyncio.Task[AsyncOpenAI] | None = None
        self._once = self._responses if settings.api == "responses" else self._chat
        self._length = _LENGTH

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

        async def key() -> str:
            return self._key.value

        settings = self._settings
        timeout = httpx2.Timeout(settings.silence_seconds, connect=settings.connect_seconds)
        return AsyncOpenAI(
            api_key=key,
            base_url=settings.base_url,
            max_retries=0,  # ours know about spent money, rotated keys and what was said already
            timeout=timeout,
            # The same client on aiohttp's parser, which is in C: half the CPU for each event.
            http_client=DefaultAioHttpClient(timeout=timeout),
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def answer(self, ask: Ask, say: Callable[[str], object]) -> None:
        """See Model. Raises the errors of the tree's Retried and Told branches."""
        spoken = _Spoken(say)
        try:
            async with asyncio.timeout(self._settings.answer_seconds):
                await self._try(ask, spoken)
        except TimeoutError:
            self._metrics.model.labels("too_long").inc()
            raise CutShort if spoken.since else ModelSlow from None

    async def _try(self, ask: Ask, spoken: _Spoken) -> None:
        client = await self.warm()
        for attempt in range(1, self._settings.attempts + 1):
            used, began = "", time.monotonic()
            try:
                used = self._key.value
                with llm_errors.mapped():
                    await self._once(client, ask, spoken)
            except CredentialMissing as error:
                failed: SkyError = KeyRefused(str(error))
            except SkyError as error:
                failed = error
            else:
                self._count("complete", spoken, began)
                self._key.accept(used)
                return
            self._count(failed.label, spoken, began)
            if not isinstance(failed, Retried):
                raise failed
            if spoken.since:
                raise CutShort(failed.label) from failed
            if attempt == self._settings.attempts:
                raise failed
            await self._pause(failed, attempt, used)

    async def _pause(self, failed: Retried, attempt: int, used: str) -> None:
        """Wait as long as makes sense before the next attempt; raises `failed` if none does."""
        if isinstance(failed, KeyRefused):
            if used:
                self._key.refuse(used)
            if not await self._key.another(used or None, _OTHER_KEY_SECONDS):
                raise failed
            return
        pause = failed.after or random.uniform(0.5, 1) * 0.5 * 2**attempt  # noqa: S311  # jitter
        if pause > _LONGEST_PAUSE:
            raise failed
        log.warning("asking again", extra={"error": failed.label, "attempt": attempt})
        await asyncio.sleep(pause)

    def _count(self, outcome: str, spoken: _Spoken, began: float) -> None:
        self._metrics.model.labels(outcome).inc()
        if spoken.since:
            self._metrics.first_text.observe(spoken.since - began)

    async def _responses(self, client: AsyncOpenAI, ask: Ask, spoken: _Spoken) -> None:
        body = {
            "model": self._settings.model,
            "instructions": ask.instructions,
            "input": _written(ask),
            "max_output_tokens": self._settings.max_output_tokens,
            "store": False,  # conversations are not kept at the provider for us
        }
        async with await _post(client, "/responses", body) as events:
            async for event in events:
                kind = llm_errors.part(event, "type")
                if kind in {"response.output_text.delta", "response.refusal.delta"}:
                    spoken.say(llm_errors.part(event, "delta"))
                elif kind == "response.completed":
                    self._count_tokens(event, "response", "input_tokens", "output_tokens")
                    await _drain(events)
                    return
                else:
                    llm_errors.raise_for_event(kind, event)
        raise CutShort("the stream ended without response.completed")

    async def _chat(self, client: AsyncOpenAI, ask: Ask, spoken: _Spoken) -> None:
        async with await self._chat_stream(client, ask) as chunks:
            async for chunk in chunks:
                for choice in llm_errors.part(chunk, "choices") or ():
                    delta = llm_errors.part(choice, "delta") or {}
                    spoken.say(delta.get("content") or delta.get("refusal") or "")
                    finished = llm_errors.part(choice, "finish_reason")
                    if finished:
                        llm_errors.raise_for_finish(finished)
                        for last in [chunk, *await _drain(chunks)]:
                            self._count_tokens(last, None, "prompt_tokens", "completion_tokens")
                        return
        raise CutShort("the stream ended without finish_reason")

    async def _chat_stream(self, client: AsyncOpenAI, ask: Ask) -> AsyncStream[Any]:
        """Ask with the length under the name that the provider takes; the wrong one costs once."""
        from openai import BadRequestError  # noqa: PLC0415  # see warm

        path, body = (
            "/chat/completions",
            {
                "model": self._settings.model,
                "messages": [{"role": "system", "content": ask.instructions}, *_written(ask)],
                "stream_options": {"include_usage": True},
            },
        )
        name, length = self._length, self._settings.max_output_tokens
        try:
            return await _post(client, path, {**body, name: length})
        except BadRequestError as error:
            if name != _LENGTH or error.param != name:
                raise
        self._length = _LENGTH_OF_REASONING_MODELS
        return await _post(client, path, {**body, self._length: length})

    def _count_tokens(self, event: Any, inside: str | None, given: str, made: str) -> None:
        holder = llm_errors.part(event, inside) if inside else event
        usage = llm_errors.part(holder, "usage") or {}
        for kind, name in (("input", given), ("output", made)):
            self._metrics.tokens.labels(kind).inc(usage.get(name) or 0)


class _Spoken:
    """Passes text on, and knows since when there is some."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self.since = 0.0

    def say(self, text: str) -> None:
        if text:
            self.since = self.since or time.monotonic()
            self._say(text)


def _written(ask: Ask) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.text} for turn in ask.turns]


async def _post(client: AsyncOpenAI, path: str, body: dict[str, Any]) -> AsyncStream[Any]:
    """Ask for a stream of plain JSON events.

    The library's typed events would cost 0.5 s of CPU and 35 MiB once, and three times the CPU for
    each event (measured with 3.54.0); all that is read of them is a handful of keys.
    """
    from openai import AsyncStream  # noqa: PLC0415  # see warm

    return await client.post(
        path,
        body={**body, "stream": True},
        cast_to=object,
        stream=True,
        stream_cls=AsyncStream[object],
    )


async def _drain(stream: Any) -> list[Any]:
    """Read what still comes after the answer's end, if it comes at once."""
    rest = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for event in stream:
                rest.append(event)  # noqa: PERF401  # kept although the time runs out
    return rest
