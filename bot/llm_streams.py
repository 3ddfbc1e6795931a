"""How a stream of text is asked for and read: the Responses API and Chat Completions.

The library makes the request and cuts the stream into events; they are read as plain JSON. Its
typed events would cost 0.5 s of CPU and 35 MiB once, and three times the CPU for each event
(measured with 3.54.0), and all that is read of them is a handful of keys.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bot import llm_errors
from bot.errors import CutShort
from bot.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai import AsyncOpenAI, AsyncStream

    from bot.conversation import Turn
    from bot.settings import OpenAI

_LENGTH = "max_tokens"  # the name that most providers of Chat Completions know
_LENGTH_OF_REASONING_MODELS = "max_completion_tokens"  # OpenAI's; others refuse it
_DRAIN_SECONDS = 0.25  # the rest of a completed stream, so that its connection is used again


@dataclass(frozen=True, slots=True)
class Ask:
    """What the model is asked: who it is, what was said so far, and what differs from the settings.

    `effort` is a reasoning model's, `tools` are those that the provider hosts, `image` asks for a
    picture as the answer.
    """

    instructions: str
    turns: tuple[Turn, ...]
    model: str | None = None
    temperature: float | None = None
    effort: str | None = None
    tools: tuple[str, ...] = ()
    image: bool = False


class Api(Protocol):
    """One of the provider's two ways of being asked."""

    async def answer(
        self, client: AsyncOpenAI, key: str, ask: Ask, say: Callable[[str], object]
    ) -> Usage:
        """Hand each piece of text to `say` until the answer is complete; raises if it is not."""


class Responses:
    """The Responses API: complete at `response.completed`."""

    def __init__(self, settings: OpenAI) -> None:
        self._settings = settings

    async def answer(
        self, client: AsyncOpenAI, key: str, ask: Ask, say: Callable[[str], object]
    ) -> Usage:
        """See Api."""
        body: dict[str, Any] = {
            "model": ask.model or self._settings.model,
            "instructions": ask.instructions,
            "input": [_input(turn) for turn in ask.turns],
            "max_output_tokens": self._settings.max_output_tokens,
            "store": False,  # conversations are not kept at the provider for us
        }
        async with await _post(client, key, "/responses", body) as events:
            async for event in events:
                kind = llm_errors.part(event, "type")
                if kind in {"response.output_text.delta", "response.refusal.delta"}:
                    say(llm_errors.part(event, "delta") or "")
                elif kind == "response.completed":
                    await _drain(events)
                    usage = llm_errors.part(llm_errors.part(event, "response"), "usage")
                    return _usage(body["model"], usage, "input")
                else:
                    llm_errors.raise_for_event(kind, event)
        raise CutShort("the stream ended without response.completed")


class Chat:
    """Chat Completions: complete at `finish_reason`."""

    def __init__(self, settings: OpenAI) -> None:
        self._settings = settings
        self._length = _LENGTH

    async def answer(
        self, client: AsyncOpenAI, key: str, ask: Ask, say: Callable[[str], object]
    ) -> Usage:
        """See Api."""
        async with await self._ask(client, key, ask) as chunks:
            async for chunk in chunks:
                for choice in llm_errors.part(chunk, "choices") or ():
                    delta = llm_errors.part(choice, "delta") or {}
                    say(delta.get("content") or delta.get("refusal") or "")
                    finished = llm_errors.part(choice, "finish_reason")
                    if finished:
                        llm_errors.raise_for_finish(finished)
                        usages = [each.get("usage") for each in [chunk, *await _drain(chunks)]]
                        usage = next(filter(None, usages), None)
                        return _usage(ask.model or self._settings.model, usage, "prompt")
        raise CutShort("the stream ended without finish_reason")

    async def _ask(self, client: AsyncOpenAI, key: str, ask: Ask) -> AsyncStream[Any]:
        """Ask with the length under the name that the provider takes; the wrong one costs once."""
        from openai import BadRequestError  # noqa: PLC0415  # see llm.py

        path, body = (
            "/chat/completions",
            {
                "model": ask.model or self._settings.model,
                "messages": [
                    {"role": "system", "content": ask.instructions},
                    *map(_message, ask.turns),
                ],
                "stream_options": {"include_usage": True},
            },
        )
        name, length = self._length, self._settings.max_output_tokens
        try:
            return await _post(client, key, path, {**body, name: length})
        except BadRequestError as error:
            if name != _LENGTH or error.param != name:
                raise
        self._length = _LENGTH_OF_REASONING_MODELS
        return await _post(client, key, path, {**body, self._length: length})


def _input(turn: Turn) -> dict[str, Any]:
    """Write a turn as the Responses API reads it."""
    if not turn.images:
        return {"role": turn.role, "content": turn.text}
    pictures = [{"type": "input_image", "image_url": each} for each in turn.images]
    return {"role": turn.role, "content": [{"type": "input_text", "text": turn.text}, *pictures]}


def _message(turn: Turn) -> dict[str, Any]:
    """Write a turn as Chat Completions reads it."""
    if not turn.images:
        return {"role": turn.role, "content": turn.text}
    pictures = [{"type": "image_url", "image_url": {"url": each}} for each in turn.images]
    return {"role": turn.role, "content": [{"type": "text", "text": turn.text}, *pictures]}


def _usage(model: str, told: Any, given: str) -> Usage:
    """Read what the provider tells; `given` is its word for what it was given."""
    made = "output" if given == "input" else "completion"
    found = told or {}
    details = llm_errors.part(found, f"{given}_tokens_details") or {}
    return Usage(
        model,
        input=llm_errors.part(found, f"{given}_tokens") or 0,
        cached_input=llm_errors.part(details, "cached_tokens") or 0,
        output=llm_errors.part(found, f"{made}_tokens") or 0,
    )


async def _post(client: AsyncOpenAI, key: str, path: str, body: dict[str, Any]) -> AsyncStream[Any]:
    from openai import AsyncStream  # noqa: PLC0415  # see llm.py

    return await client.post(
        path,
        body={**body, "stream": True},
        options={"headers": {"Authorization": f"Bearer {key}"}},
        cast_to=object,
        stream=True,
        stream_cls=AsyncStream[object],
    )


async def _drain(stream: Any) -> list[dict[str, Any]]:
    """Read what still comes after the answer's end, if it comes at once."""
    rest = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for event in stream:
                if isinstance(event, dict):
                    rest.append(event)  # noqa: PERF401  # kept although the time runs out
    return rest
