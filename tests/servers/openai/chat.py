"""An answer in the form of Chat Completions: one object, or a stream of chunks."""

import time
from collections.abc import Iterator
from typing import Any

from . import usages
from .answers import tokens
from .dialect import Dialect
from .directives import Directives
from .records import Asked, FaultKind
from .stream import Event

THOUGHT = "The person asks something. I consider it with care before I answer."
_TAGGED_PIECE = 5  # characters: short enough to cut a tag in two
_FINISH = {
    "completed": "stop",
    "incomplete": "length",
    "content_filter": "content_filter",
    FaultKind.FINISH_ERROR.value: "error",
    FaultKind.FINISH_UNKNOWN.value: "eos_token",
    FaultKind.ONLY_REASONING.value: "length",
}


class ChatWriter:
    """One completion in a dialect, from the role's chunk to [DONE]."""

    named = False

    def __init__(
        self,
        number: int,
        asked: Asked,
        dialect: Dialect,
        directives: Directives,
        *,
        usage: str,
        refusal: bool,
    ) -> None:
        self._usage_kind = directives.usage
        self._asked = asked
        self._dialect = dialect
        self._field = "refusal" if refusal else "content"
        self._id = f"chatcmpl-{number:012x}"
        self._created = int(time.time())
        self._text = ""
        self._usage_is_sent = usage == "always" or (usage == "asked" and asked.include_usage)
        self._thought = THOUGHT if dialect.group(asked.model).reasons else ""
        if dialect.reasoning == "hidden":
            self._thought = ""

    def begin(self) -> Iterator[Event]:
        """Return the chunk with the role, and the reasoning."""
        if self._dialect.streams.opening:
            yield self._dialect.streams.opening
        yield self._chunk({"role": "assistant", "content": "", "refusal": None})
        if not self._thought:
            return
        form = self._dialect.reasoning
        if form == "think_tags":
            tagged = f"<think>\n{self._thought}\n</think>\n\n"
            for at in range(0, len(tagged), _TAGGED_PIECE):
                yield self._chunk({"content": tagged[at : at + _TAGGED_PIECE]})
        elif form == "thinking_parts":
            for word in self._thought.split(" "):
                inner = [{"type": "text", "text": f"{word} "}]
                yield self._chunk({"content": [{"type": "thinking", "thinking": inner}]})
        else:
            for word in self._thought.split(" "):
                yield self._chunk({"content": "", form: f"{word} "})

    def piece(self, text: str) -> Event:
        """Return the chunk for a piece of text."""
        self._text += text
        if self._thought and self._dialect.reasoning == "thinking_parts":
            return self._chunk({self._field: [{"type": "text", "text": text}]})
        return self._chunk({self._field: text})

    def end(self, reason: str) -> Iterator[Event]:
        """Return the finish reason, the usage if it is sent, and [DONE]."""
        streams = self._dialect.streams
        told = usages.told(self._usage_kind, self._usage())
        usage = told if self._usage_is_sent else {}
        if reason != FaultKind.NO_FINISH and streams.finish:
            last = self._chunk({}, self._finish(reason))
            yield {**last, **usage} if streams.usage_with_finish else last
        if usage and not streams.usage_with_finish:
            yield {**self._chunk({}), "choices": [], **usage}
        if streams.done:
            yield "[DONE]"

    def whole(self, text: str, reason: str) -> dict[str, Any]:
        """Return the whole completion, for a request without `stream`."""
        self._text = text
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "annotations": [],
        }
        message[self._field] = text
        form = self._dialect.reasoning
        if self._thought and form == "think_tags":
            message[self._field] = f"<think>\n{self._thought}\n</think>\n\n{text}"
        elif self._thought and form == "thinking_parts":
            inner = [{"type": "text", "text": self._thought}]
            thinking = {"type": "thinking", "thinking": inner}
            message[self._field] = [thinking, {"type": "text", "text": text}]
        elif self._thought:
            message[form] = self._thought
        choice: dict[str, Any] = {"index": 0, "message": message, "logprobs": None}
        choice["finish_reason"] = self._finish(reason)
        told = usages.told(self._usage_kind, self._usage())
        return {**self._head("chat.completion"), "choices": [choice], **told}

    def _finish(self, reason: str) -> str:
        name = _FINISH.get(reason, "stop")
        return self._dialect.finish.get(name, name)

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._asked.model,
            "service_tier": "default",
            "system_fingerprint": None,
        }

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = {**self._head("chat.completion.chunk"), "choices": [choice]}
        return {**chunk, "usage": None} if self._asked.include_usage else chunk

    def _usage(self) -> dict[str, Any]:
        asked = sum(tokens(turn.text) + 4 for turn in self._asked.turns)
        thought = tokens(self._thought) if self._thought else 0
        said = tokens(self._text) + thought
        apart = thought if self._dialect.streams.reasoning_apart else 0
        return {
            "prompt_tokens": asked,
            "completion_tokens": said - apart,
            "total_tokens": asked + said,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": thought, "audio_tokens": 0},
        }
