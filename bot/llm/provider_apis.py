"""Build requests and read answers: the Responses API and Chat Completions.

Any field of what comes back may be missing or of another type; nothing is read without a look at
its type.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import string
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
from bot.llm.provider_dialects import (
    ANSWER_MARKS,
    END_MARKS,
    REASONING_FIELDS,
    REASONING_MARKS,
    UNOPENED,
    finish_of,
)
from bot.llm.transport import OptionalParameter, Payload

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from bot.domain.model_request import ModelRequest, ProviderEvent, Turn
    from bot.llm.provider_dialects import Learned
    from bot.llm.transport import ProviderResponse
    from bot.settings.schema import OpenAISettings

_CLOSING = {opening.lower(): closing.lower() for opening, closing in REASONING_MARKS}
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_MOST_ENDS = 200  # characters at the end in which marks of the end are looked for
_STRUCK = "<s>"
_UNOPENED_END = "</think>"
# How each turn of a person begins after the name (context/prompt.py), which a model may imitate.
_STAMP = re.compile(r" \(\d{4}-\d{2}-\d{2} \d{2}:\d{2}\): ?")
_SHAPE = " (0000-00-00 00:00): "
_DELTAS = frozenset({"response.output_text.delta", "response.refusal.delta"})
_SAID = {"output_text": "text", "refusal": "refusal"}  # a message's parts, and where their text is
_ENDS = {
    "response.completed": Finish.COMPLETE,
    "response.incomplete": Finish.BROKEN,
    "completed": Finish.COMPLETE,
    "incomplete": Finish.BROKEN,
}
_EARLIER = "(what was said before is not shown)"
# How long the next piece is waited for after a reason to end: the usage comes at once, but where
# the reason came with a piece of text, more text may follow.
_LAST_PIECE_SECONDS = 0.25
_NEXT_PIECE_SECONDS = 3.0


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
        if request.image:  # a picture was requested, so the tool is not optional
            body |= hosted
            hosted = {}
        effort = request.effort
        optional = [
            OptionalParameter(
                "max_output_tokens",
                {"max_output_tokens": output},
                ("max_tokens", "maxoutputtokens", "max_new_tokens"),
                bounds=True,
            ),
            # the provider must not store conversations
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
        unsaid = not text.fed  # it was not streamed, or only its end was: all of it is here
        for item in _list(answer.get("output")):
            if whole:
                yield from hosted.read("response.output_item.done", {"item": item})
            said = get(item, "content") if unsaid and get(item, "type") == "message" else None
            for part in _list(said):  # an item of reasoning has content too, which is private
                name = _SAID.get(str(get(part, "type")))
                if name is None:
                    continue
                yield from _shown(text, _text(get(part, name)))
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
            "max_completion_tokens",
            {"max_completion_tokens": output},
            ("max_tokens", "max_new_tokens"),
            bounds=True,
        )
        first = OptionalParameter(
            "max_tokens", {"max_tokens": output}, ("max_new_tokens",), second, bounds=True
        )
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
            reason = told = patience = None
            while (chunk := await response.following(objects, patience)) is not None:
                told = _usage_of(chunk) or told
                said = False
                for choice in _list(chunk.get("choices")):
                    delta = _object(choice, "delta")
                    if not delta and not text.fed:  # the whole answer beside the pieces is no piece
                        delta = _object(choice, "message")
                    for event in _read_delta(delta, text):
                        said = True
                        yield event
                    reason = _reason(choice) or reason
                if reason:  # there are providers that say so with each piece
                    patience = _NEXT_PIECE_SECONDS if said else _LAST_PIECE_SECONDS
            for event in _shown(text, None):
                yield event
            if not reason and not response.done:
                return
        finish = finish_of(reason) if reason else Finish.COMPLETE  # [DONE] alone also ends it
        yield Ended(finish, str(reason or ""), _usage(model, {"usage": told}, "prompt"))


def _draws(request: ModelRequest) -> bool:
    """Whether the answer may contain a picture, which takes longer."""
    return request.image or DRAW in request.tools


class AnswerText:
    """Filters a model's text: removes marked reasoning, its name in front, and marks of the end.

    Takes pieces of any size; holds back only what may still turn out not to belong to the answer.

    `name` is the one that the model answers under. With `unopened`, it may begin inside of its
    reasoning: then nothing is shown before that ends, or the answer does.
    """

    def __init__(self, name: str = "", *, unopened: bool = False) -> None:
        self._name = name
        self.unopened = unopened
        self.fed = False  # whether there was any text
        self._held = ""
        self._closing = ""  # the mark that ends the reasoning that is being read
        self._marked = False  # whether there was reasoning between marks
        self._begun = False  # whether the answer itself has begun
        self._ends = END_MARKS
        self._released = ""  # the last characters that were given
        self.reasoned = 0  # characters of reasoning

    def feed(self, piece: str) -> str:
        """Take the next piece; give what may be shown by now."""
        self.fed = self.fed or bool(piece)
        self._held += piece
        return self._take_rest() if self._begun else self._take(last=False)

    def finish(self) -> str:
        """Return the text that was held back, at the end."""
        text = "" if self._begun else self._take(last=True)
        rest, self._held = self._held, ""
        return text if not self._after_marks(rest) else text + rest

    def _take(self, *, last: bool) -> str:
        while True:
            if self._closing:
                at = self._held.translate(_LOWER).find(self._closing)
                if at < 0:
                    return self._skip(last=last)
                self.reasoned += at
                self._held, self._closing = self._held[at + len(self._closing) :], ""
            start = self._held.lstrip()
            lower = start.translate(_LOWER)
            opening = next((mark for mark in _CLOSING if lower.startswith(mark)), None)
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
        lower = start.translate(_LOWER)
        opening, closing = ANSWER_MARKS
        if self._marked and lower.startswith(opening):
            self._ends = (*END_MARKS, closing)
            start = start[len(opening) :].lstrip()
        marks = (*_CLOSING, opening) if self._marked else _CLOSING
        undecided = any(mark.startswith(lower) for mark in marks) or self._may_be_stamp(start)
        if undecided and not last:
            return ""
        text = start if self._marked else self._held  # not with the white space after reasoning
        if self._name and start.startswith(self._name):
            found = _STAMP.match(start, len(self._name))
            text = start[found.end() :] if found else text
        self._begun = bool(text)
        self._held = text
        return self._take_rest()

    def _take_rest(self) -> str:
        """Give what has come, but for what may be the end's mark."""
        at = self._held.find("<", max(0, len(self._held) - _MOST_ENDS))
        while at >= 0 and not self._may_be_end(self._held[at:]):
            at = self._held.find("<", at + 1)
        if at < 0:
            at = len(self._held)
        text, self._held = self._held[:at], self._held[at:]
        if _STRUCK in self._released + text:  # then `</s>` ends what is struck out, as in HTML
            self._ends = tuple(mark for mark in self._ends if mark != "</s>")
        self._released = (self._released + text)[1 - len(_STRUCK) :]
        return text

    def _after_marks(self, text: str) -> str:
        """Return what comes after the marks of the end that `text` begins with."""
        while mark := next((each for each in self._ends if text.startswith(each)), None):
            text = text[len(mark) :].lstrip()
        return text

    def _may_be_end(self, text: str) -> bool:
        """Whether there is nothing in it but marks of the end, the last one perhaps in part."""
        rest = self._after_marks(text)
        return any(each.startswith(rest) for each in self._ends)

    def _may_be_stamp(self, start: str) -> bool:
        """Whether the text so far may be the start of a name and time."""
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
            text.unopened = False  # the server has removed it
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
    """Return the turns in a form that the model accepts."""
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


def _reason(choice: object) -> object:
    """Return a choice's reason to end; some write that there is none yet as a word."""
    reason = get(choice, "finish_reason")
    return None if str(reason).lower() in {"", "none", "null"} else reason


def _usage_of(chunk: dict[str, Any]) -> object:
    return chunk.get("usage") or _object(chunk, "x_groq").get("usage")


def _usage(model: str, answer: dict[str, Any], given: str) -> Usage:
    """Read the reported usage; `given` is the provider's name for input tokens."""
    made = "output" if given == "input" else "completion"
    found = _object(answer, "usage")
    details = _object(found, f"{given}_tokens_details")
    read, written = _count(found.get(f"{given}_tokens")), _count(found.get(f"{made}_tokens"))
    return Usage(
        model,
        input=read,
        cached_input=_count(details.get("cached_tokens")),
        # xAI and Gemini count reasoning in the total alone, and bill it as output.
        output=max(written, _count(found.get("total_tokens")) - read) if read else written,
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
