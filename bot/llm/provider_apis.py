"""Build requests and read answers: the Responses API and Chat Completions.

Any field of what comes back may be missing or of another type; nothing is read without a look at
its type.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from bot.domain.model_request import (
    Ended,
    Finish,
    Reasoned,
    Text,
    Usage,
)
from bot.llm import error_mapping
from bot.llm.hosted_tools import (
    DRAW,
    HostedTools,
    cited,
    drawing,
    drawing_usage,
    drawn,
    get,
    hosted_tools,
)
from bot.llm.provider_dialects import REASONING_FIELDS, REASONING_MARKS, UNOPENED, finish_of
from bot.llm.transport import OptionalParameter, Payload

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from bot.domain.model_request import ModelRequest, ProviderEvent, Turn
    from bot.llm.provider_dialects import Learned
    from bot.llm.transport import ProviderResponse
    from bot.settings.schema import OpenAISettings

_CLOSING = dict(REASONING_MARKS)
_UNOPENED_END = "</think>"
# How each turn of a person begins after the name (context/prompt.py), which a model may imitate.
_STAMP = re.compile(r" \(\d{4}-\d{2}-\d{2} \d{2}:\d{2}\): ?")
_SHAPE = " (0000-00-00 00:00): "
_DELTAS = frozenset({"response.output_text.delta", "response.refusal.delta"})
_ENDS = {
    "response.completed": Finish.COMPLETE,
    "response.incomplete": Finish.BROKEN,
    "completed": Finish.COMPLETE,
    "incomplete": Finish.BROKEN,
}
_EARLIER = "(what was said before is not shown)"


class ProviderApi(Protocol):
    """One of the provider's two APIs."""

    def payload(self, request: ModelRequest, learned: Learned, output: int) -> Payload:
        """Write a request that asks for at most `output` tokens."""

    def read(
        self, response: ProviderResponse, request: ModelRequest, model: str
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield the events of the answer; if the last one is not `Ended`, it broke off."""


class ResponsesApi:
    """The Responses API: complete at `response.completed`."""

    def __init__(self, settings: OpenAISettings) -> None:
        self._settings = settings

    def payload(self, request: ModelRequest, learned: Learned, output: int) -> Payload:
        """See ProviderApi."""
        turns = [_input(turn) for turn in _turns(request, learned)]
        body: dict[str, Any] = {"model": request.model, "input": turns}
        if not learned.system_role:
            body["instructions"] = request.told
        hosted = hosted_tools(request)
        if request.image:  # it is what was asked for, so nothing else will do
            body |= hosted
            hosted = {}
        effort = request.effort
        optional = [
            OptionalParameter(
                "max_output_tokens",
                {"max_output_tokens": output},
                ("max_tokens", "maxoutputtokens"),
                bounds=True,
            ),
            # conversations are not kept at the provider for us
            OptionalParameter("store", {"store": False}),
            *_sampling(request, "reasoning.effort", {"reasoning": {"effort": effort}}),
        ]
        if hosted:
            words = ("max_tool_calls", "tool_choice", "web_search", "image_generation", "tool use")
            optional.append(OptionalParameter("tools", hosted, words))
        seconds = self._settings.picture_seconds if _draws(request) else None
        payload = Payload(
            "/responses",
            body,
            tuple(optional),
            pictures=bool(request.pictures),
            seconds=seconds,
            streamed=not learned.streaming,
            draws=request.image,
        )
        return payload.without(learned.parameters)

    async def read(
        self, response: ProviderResponse, request: ModelRequest, model: str
    ) -> AsyncGenerator[ProviderEvent, None]:
        """See ProviderApi."""
        text = AnswerText(request.name)
        hosted = HostedTools(request.searches + request.drawings)
        async with contextlib.aclosing(response.objects()) as objects:
            async for event in objects:
                kind = str(event.get("type"))
                if kind in _DELTAS:
                    for each in _shown(text, _text(event.get("delta"))):
                        yield each
                elif kind in _ENDS or event.get("object") == "response":
                    for last in self._end(event, text, hosted, model):
                        yield last
                    await response.drain(objects)
                    return
                elif kind == "response.failed":
                    answer = _object(event, "response")
                    error = error_mapping.read(_object(answer, "error"))
                    error.usage = hosted.counted(_usage(model, answer, "input"))
                    raise error
                else:
                    for found in hosted.read(kind, event):
                        yield found

    def _end(
        self, event: dict[str, Any], text: AnswerText, hosted: HostedTools, model: str
    ) -> Iterator[ProviderEvent]:
        whole = event.get("object") == "response"
        answer = event if whole else _object(event, "response")
        if whole:  # it was not streamed: all of it is here
            for item in _list(answer.get("output")):
                yield from hosted.read("response.output_item.done", {"item": item})
                for part in _list(get(item, "content")):
                    said = get(part, "text") or get(part, "refusal")
                    yield from _shown(text, _text(said))
                    for each in _list(get(part, "annotations")):
                        yield from cited(each)
        yield from _shown(text, None)
        status = str(answer.get("status") if whole else event.get("type"))
        finish, reason = _ENDS.get(status, Finish.BROKEN), status
        if finish is Finish.BROKEN:
            reason = str(_object(answer, "incomplete_details").get("reason"))
            finish = finish_of(reason)
            finish = Finish.BROKEN if finish is Finish.COMPLETE else finish
        yield Ended(finish, reason, hosted.counted(_usage(model, answer, "input")))


class ChatCompletionsApi:
    """Chat Completions: complete at a finish reason. Of the tools it has none but pictures."""

    def __init__(self, settings: OpenAISettings) -> None:
        self._settings = settings

    def payload(self, request: ModelRequest, learned: Learned, output: int) -> Payload:
        """See ProviderApi."""
        if request.image:
            return drawing(request, self._settings)
        system = [] if learned.system_role else [{"role": "system", "content": request.told}]
        turns = [_message(turn) for turn in _turns(request, learned)]
        # Most providers know the first name; OpenAI's reasoning models only the second.
        second = OptionalParameter(
            "max_completion_tokens", {"max_completion_tokens": output}, bounds=True
        )
        first = OptionalParameter("max_tokens", {"max_tokens": output}, (), second, bounds=True)
        effort = {"reasoning_effort": request.effort}
        optional = [first, *_sampling(request, "reasoning_effort", effort)]
        if not learned.streaming:
            usage = {"stream_options": {"include_usage": True}}
            optional.append(OptionalParameter("stream_options", usage, ("include_usage",)))
        payload = Payload(
            "/chat/completions",
            {"model": request.model, "messages": [*system, *turns]},
            tuple(optional),
            pictures=bool(request.pictures),
            streamed=not learned.streaming,
        )
        return payload.without(learned.parameters)

    async def read(
        self, response: ProviderResponse, request: ModelRequest, model: str
    ) -> AsyncGenerator[ProviderEvent, None]:
        """See ProviderApi."""
        async with contextlib.aclosing(response.objects()) as objects:
            if request.image:
                async for answer in objects:
                    yield drawn(answer)
                    usage = drawing_usage(request, model)
                    yield Ended(Finish.COMPLETE, "drawn", usage)
                    return
            text = AnswerText(request.name, unopened=UNOPENED.search(model.lower()) is not None)
            reason = told = None
            async for chunk in objects:
                told = _usage_of(chunk) or told
                for choice in _list(chunk.get("choices")):
                    delta = _object(choice, "delta") or _object(choice, "message")
                    for event in _read_delta(delta, text):
                        yield event
                    reason = get(choice, "finish_reason") or reason
                if reason:
                    break
            for event in _shown(text, None):
                yield event
            if not reason and not response.done:
                return
            rest = await response.drain(objects)
        told = next((usage for usage in map(_usage_of, reversed(rest)) if usage), told)
        finish = finish_of(reason) if reason else Finish.COMPLETE  # [DONE] alone ends it as well
        yield Ended(finish, str(reason or ""), _usage(model, {"usage": told}, "prompt"))


def _draws(request: ModelRequest) -> bool:
    """Whether the answer may contain a picture, which takes longer."""
    return request.image or DRAW in request.tools


class AnswerText:
    """Filters a model's text: removes marked reasoning, and its own name at the beginning.

    Takes pieces of any size; holds back only what may still turn out not to belong to the answer.

    `name` is the one that the model answers under. With `unopened`, it may begin inside of its
    reasoning: then nothing is shown before that ends, or the answer does.
    """

    def __init__(self, name: str = "", *, unopened: bool = False) -> None:
        self._name = name
        self.unopened = unopened
        self._held = ""
        self._closing = ""  # the mark that ends the reasoning that is being read
        self._marked = False  # whether there was reasoning between marks
        self._begun = False  # whether the answer itself has begun
        self.reasoned = 0  # characters of reasoning

    def feed(self, piece: str) -> str:
        """Take the next piece; give what may be shown by now."""
        if self._begun:
            return piece
        self._held += piece
        return self._take(last=False)

    def finish(self) -> str:
        """Return the text that was held back, at the end."""
        return "" if self._begun else self._take(last=True)

    def _take(self, *, last: bool) -> str:
        while True:
            if self._closing:
                before, found, after = self._held.partition(self._closing)
                if not found:
                    return self._skip(last=last)
                self.reasoned += len(before)
                self._held, self._closing = after, ""
            start = self._held.lstrip()
            opening = next((mark for mark in _CLOSING if start.startswith(mark)), None)
            if opening is None and self.unopened:
                before, found, after = start.partition(_UNOPENED_END)
                if not found and not last:
                    return ""
                self.unopened = False
                if found:
                    self.reasoned += len(before)
                    self._held, self._marked = after, True
                    continue
            if opening is None:
                return self._begin(start, last=last)
            self.unopened = False
            self._held = start[len(opening) :]
            self._closing, self._marked = _CLOSING[opening], True

    def _skip(self, *, last: bool) -> str:
        """Drop reasoning, except for what may be the beginning of its closing mark."""
        kept = 0 if last else len(self._closing) - 1
        cut = max(0, len(self._held) - kept)
        self.reasoned += cut
        self._held = self._held[cut:]
        return ""

    def _begin(self, start: str, *, last: bool) -> str:
        """Return the beginning of the answer, once it is clear that it is one."""
        undecided = any(mark.startswith(start) for mark in _CLOSING) or self._may_be_stamp(start)
        if undecided and not last:
            return ""
        text = start if self._marked else self._held  # white space after reasoning is not answer
        if self._name and start.startswith(self._name):
            found = _STAMP.match(start, len(self._name))
            text = start[found.end() :] if found else text
        self._begun = bool(text)
        self._held = ""
        return text

    def _may_be_stamp(self, start: str) -> bool:
        """Whether it may still become the name and the time in front, as far as it goes."""
        if not self._name:
            return False
        if len(start) <= len(self._name):
            return self._name.startswith(start)
        rest = start[len(self._name) :]
        shape = "".join("0" if each.isdigit() else each for each in rest)
        return (
            start.startswith(self._name) and len(rest) <= len(_SHAPE) and _SHAPE.startswith(shape)
        )


def _read_delta(delta: dict[str, Any], text: AnswerText) -> Iterator[ProviderEvent]:
    for name in REASONING_FIELDS:
        if isinstance(hidden := delta.get(name), str) and hidden:
            text.unopened = False  # the server takes it out
            yield Reasoned(len(hidden))
    content = delta.get("content")
    for part in _list(content):
        if isinstance(part, dict) and part.get("type") not in {None, "text", "output_text"}:
            yield Reasoned(len(str(part.get("thinking") or part.get("text") or "")))
    yield from _shown(text, _text(content) or _text(delta.get("refusal")))
    for annotation in _list(delta.get("annotations")):
        yield from cited(annotation)


def _shown(text: AnswerText, piece: str | None) -> Iterator[Text | Reasoned]:
    """Yield what may be shown after the next piece; None is the end."""
    before = text.reasoned
    shown = text.finish() if piece is None else text.feed(piece)
    if text.reasoned > before:
        yield Reasoned(text.reasoned - before)
    if shown:
        yield Text(shown)


def _sampling(
    request: ModelRequest, effort_name: str, effort: dict[str, Any]
) -> list[OptionalParameter]:
    found = []
    if request.temperature is not None:
        found.append(OptionalParameter("temperature", {"temperature": request.temperature}))
    if request.effort:
        words = (
            *("reasoning_effort", "reasoning.effort", "reasoningeffort", "reasoning effort"),
            *("reasoning", "thinking", "think value", "effort"),
        )
        found.append(OptionalParameter(effort_name, effort, words))
    return found


def _turns(request: ModelRequest, learned: Learned) -> list[Turn]:
    """Return the turns in an order that the model takes."""
    turns = list(request.conversation)
    if learned.system_role and turns:
        first = next((n for n, turn in enumerate(turns) if turn.role == "user"), 0)
        told = f"{request.told}\n\n{turns[first].text}"
        turns[first] = replace(turns[first], text=told)
    if not learned.successive_turns:
        return turns
    joined = [
        replace(same[0], text="\n".join(each.text for each in same), images=_images(same))
        for _, group in itertools.groupby(turns, lambda turn: turn.role)
        for same in [list(group)]
    ]
    if joined and joined[0].role == "assistant":
        joined.insert(0, replace(joined[0], role="user", text=_EARLIER, images=()))
    return joined


def _images(turns: list[Turn]) -> tuple[str, ...]:
    return tuple(image for turn in turns for image in turn.images)


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


def _text(content: object) -> str:
    """Return the text of content: a string, or parts of which the text is the answer."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        content = [content]
    texts = []
    for part in _list(content):
        if isinstance(part, dict) and part.get("type") in {None, "text", "output_text"}:
            found = part.get("text")
            texts.append(_text(get(found, "value") if isinstance(found, dict) else found))
        elif isinstance(part, str):
            texts.append(part)
    return "".join(texts)


def _usage_of(chunk: dict[str, Any]) -> object:
    return chunk.get("usage") or _object(chunk, "x_groq").get("usage")


def _usage(model: str, answer: dict[str, Any], given: str) -> Usage:
    """Read the reported usage; `given` is the provider's name for input tokens."""
    made = "output" if given == "input" else "completion"
    found = _object(answer, "usage")
    details = _object(found, f"{given}_tokens_details")
    return Usage(
        model,
        input=_count(found.get(f"{given}_tokens")),
        cached_input=_count(details.get("cached_tokens")),
        output=_count(found.get(f"{made}_tokens")),
    )


def _count(value: object) -> int:
    """Read a number of tokens; 0 for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:12])
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return max(0, int(value)) if value == int(value) else 0


def _object(node: object, key: str) -> dict[str, Any]:
    found = get(node, key)
    return found if isinstance(found, dict) else {}


def _list(node: object) -> list[Any]:
    return node if isinstance(node, list) else []
