"""How a stream of text is asked for and read: the Responses API and Chat Completions.

The library makes the request and cuts the stream into events; they are read as plain JSON. Its
typed events would cost 0.5 s of CPU and 35 MiB once, and three times the CPU for each event
(measured with 3.54.0), and all that is read of them is a handful of keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from bot.domain.errors import CutShort, SkyError
from bot.domain.model_request import Usage
from bot.llm import provider_errors
from bot.llm import tools as hosted_tools
from bot.llm import tools as images
from bot.llm.request import OptionalParameter, ProviderRequests, drain

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from bot.domain.model_request import ModelRequest, Turn
    from bot.llm.tools import StreamListener
    from bot.settings.schema import OpenAISettings


_BELIEVED = 10_000_000
_TEXT = frozenset({"response.output_text.delta", "response.refusal.delta"})


class ProviderApi(Protocol):
    """One of the provider's two ways of being asked."""

    async def answer(
        self, client: AsyncOpenAI, key: str, ask: ModelRequest, listener: StreamListener
    ) -> Usage:
        """Tell `hearer` what comes until the answer is complete; raises if it is not."""


class ResponsesApi:
    """The Responses API: complete at `response.completed`."""

    def __init__(self, settings: OpenAISettings) -> None:
        self._settings = settings
        self._requests = ProviderRequests()

    async def answer(
        self, client: AsyncOpenAI, key: str, ask: ModelRequest, listener: StreamListener
    ) -> Usage:
        """See Api."""
        body = self._body(ask)
        tools = hosted_tools.HostedTools(listener, ask.searches + ask.drawings)
        knobs = [
            *([_temperature(ask.temperature)] if ask.temperature is not None else []),
            *(
                [OptionalParameter("reasoning.effort", {"reasoning": {"effort": ask.effort}})]
                if ask.effort
                else []
            ),
        ]
        tools_wanted = hosted_tools.wanted(ask)
        if ask.image:  # it is what was asked for, so nothing else will do
            body |= tools_wanted
        elif tools_wanted:
            knobs.append(OptionalParameter("tools", tools_wanted))
        patience = self._settings.picture_seconds if hosted_tools.draws(ask) else None
        asked = self._requests.stream(client, key, "/responses", body, knobs, seconds=patience)
        async with await asked as events:
            async for event in events:
                kind = provider_errors.part(event, "type")
                if kind in _TEXT:
                    listener.say(event.get("delta") or "")
                elif kind == "response.completed":
                    await drain(events)
                    return tools.counted(_of_response(event, body["model"]))
                else:
                    tools.hear(kind, event)
                    try:
                        provider_errors.raise_for_event(kind, event)
                    except SkyError as error:
                        error.usage = tools.counted(_of_response(event, body["model"]))
                        raise
        raise CutShort("the stream ended without response.completed")

    def _body(self, ask: ModelRequest) -> dict[str, Any]:
        begun = [{"role": "assistant", "content": ask.begun}] if ask.begun else []
        return {
            "model": ask.model or self._settings.model,
            "instructions": ask.told,
            "input": [*map(_input, ask.turns), *begun],
            "max_output_tokens": self._settings.max_output_tokens,
            "store": False,  # conversations are not kept at the provider for us
        }


class ChatCompletionsApi:
    """Chat Completions: complete at `finish_reason`. Of the tools it has none but pictures."""

    def __init__(self, settings: OpenAISettings) -> None:
        self._settings = settings
        self._requests = ProviderRequests()

    async def answer(
        self, client: AsyncOpenAI, key: str, ask: ModelRequest, listener: StreamListener
    ) -> Usage:
        """See Api."""
        if ask.image:
            return await images.draw(client, key, ask, self._settings, listener)
        body = self._body(ask)
        length = self._settings.max_output_tokens
        knobs = [
            # Most providers know the first name; OpenAI's reasoning models only the second.
            OptionalParameter(
                "max_tokens", {"max_tokens": length}, {"max_completion_tokens": length}
            ),
            *([_temperature(ask.temperature)] if ask.temperature is not None else []),
            *(
                [OptionalParameter("reasoning_effort", {"reasoning_effort": ask.effort})]
                if ask.effort
                else []
            ),
        ]
        asked = self._requests.stream(client, key, "/chat/completions", body, knobs)
        told: Any = None  # some tell it at the end, some in each chunk up to there
        async with await asked as chunks:
            async for chunk in chunks:
                told = provider_errors.part(chunk, "usage") or told
                for choice in provider_errors.part(chunk, "choices") or ():
                    delta = provider_errors.part(choice, "delta") or {}
                    listener.say(delta.get("content") or delta.get("refusal") or "")
                    for annotation in delta.get("annotations") or ():
                        hosted_tools.cited(annotation, listener)
                    finished = provider_errors.part(choice, "finish_reason")
                    if finished:
                        for rest in await drain(chunks):
                            told = rest.get("usage") or told
                        usage = _usage(body["model"], told, "prompt")
                        provider_errors.raise_for_finish(finished, usage)
                        return usage
        raise CutShort("the stream ended without finish_reason")

    def _body(self, ask: ModelRequest) -> dict[str, Any]:
        begun = [{"role": "assistant", "content": ask.begun}] if ask.begun else []
        told = {"role": "system", "content": ask.told}
        return {
            "model": ask.model or self._settings.model,
            "messages": [told, *map(_message, ask.turns), *begun],
            "stream_options": {"include_usage": True},
        }


def _temperature(value: float | None) -> OptionalParameter:
    return OptionalParameter("temperature", {"temperature": value})


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


def _of_response(event: Any, model: str) -> Usage:
    return _usage(model, _table(_table(event).get("response")).get("usage"), "input")


def _usage(model: str, told: Any, given: str) -> Usage:
    """Read what the provider tells; `given` is its word for what it was given.

    What is missing, or no amount, is 0: unknown, and estimated later (usage.completed).
    """
    made = "output" if given == "input" else "completion"
    found = _table(told)
    return Usage(
        model,
        input=_amount(found.get(f"{given}_tokens")),
        cached_input=_amount(_table(found.get(f"{given}_tokens_details")).get("cached_tokens")),
        output=_amount(found.get(f"{made}_tokens")),
    )


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _amount(value: Any) -> int:
    """Read a number of tokens; no request has as many as `_BELIEVED`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 < value < _BELIEVED else 0
