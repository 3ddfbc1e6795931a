"""An answer as Chat Completions writes it: one object, or the chunks that build it."""

import time
from collections.abc import Iterator
from typing import Any

from .answers import tokens
from .records import Asked
from .stream import Event, server_error_object

FINISH = {"completed": "stop", "incomplete": "length", "content_filter": "content_filter"}


class ChatShape:
    """One completion, from the role's chunk to [DONE]."""

    named = False

    def __init__(self, number: int, asked: Asked, *, refusal: bool) -> None:
        self._asked = asked
        self._field = "refusal" if refusal else "content"
        self._id = f"chatcmpl-{number:012x}"
        self._created = int(time.time())
        self._text = ""

    def begin(self) -> Iterator[Event]:
        """Give the chunk that names the role."""
        yield self._chunk({"role": "assistant", "content": "", "refusal": None})

    def piece(self, text: str) -> Event:
        """Give the chunk for a piece of text."""
        self._text += text
        return self._chunk({self._field: text})

    def end(self, reason: str) -> Iterator[Event | str]:
        """Give the finish reason, the usage where it was asked for, and [DONE]."""
        if reason in {"error_event", "failed"}:
            yield {"error": server_error_object()}
            return
        yield self._chunk({}, FINISH[reason])
        if self._asked.include_usage:
            yield {**self._chunk({}), "choices": [], "usage": self._usage()}
        yield "[DONE]"

    def whole(self, text: str, reason: str) -> dict[str, Any]:
        """Give the completion at once, for a request without `stream`."""
        self._text = text
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "annotations": [],
        }
        choice = {
            "index": 0,
            "message": {**message, self._field: text},
            "logprobs": None,
            "finish_reason": FINISH[reason],
        }
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage()}

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._asked.model,
            "service_tier": "default",
            "system_fingerprint": None,
        }

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> Event:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = {**self._head("chat.completion.chunk"), "choices": [choice]}
        return {**chunk, "usage": None} if self._asked.include_usage else chunk

    def _usage(self) -> dict[str, Any]:
        asked = sum(tokens(turn.text) + 4 for turn in self._asked.turns)
        said = tokens(self._text)
        return {
            "prompt_tokens": asked,
            "completion_tokens": said,
            "total_tokens": asked + said,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }
