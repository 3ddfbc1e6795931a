"""An answer in the form of the Responses API: one object, or a stream of events."""

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

from . import usages
from .answers import tokens
from .directives import Directives
from .pictures import DOT
from .records import Asked
from .stream import server_error_object

Event = dict[str, Any]


class ResponsesWriter:
    """One response, from `response.created` to its end."""

    named = True

    def __init__(
        self,
        number: int,
        body: dict[str, Any],
        asked: Asked,
        directives: Directives,
        *,
        reasons: bool,
        refusal: bool,
    ) -> None:
        pages = directives.search if "web_search" in asked.tools else 0
        searches = directives.calls if pages else 0
        draws = "image_generation" in asked.tools and bool(directives.draw or self.silent(asked))
        self._calls = _ToolCalls(number, searches, asked.max_tool_calls, draws=draws)
        self._sources = _pages(pages)
        self._usage_kind = directives.usage
        self._silent = self.silent(asked)
        self._body = body
        self._asked = asked
        self._refusal = refusal
        self._id = f"resp_{number:012x}"
        self._item = f"msg_{number:012x}"
        self._created = time.time()
        self._sequence = 0
        self._text = ""
        self._thinks = reasons

    @staticmethod
    def silent(asked: Asked) -> bool:
        """Whether the answer is a picture without text."""
        return asked.chosen == "image_generation"

    @property
    def _index(self) -> int:
        return int(self._thinks) + len(self._calls.items)

    def begin(self) -> Iterator[Event]:
        """Return the events before any text; a reasoning model's first item is its reasoning."""
        yield self._event("response.created", response=self._response("in_progress"))
        yield self._event("response.in_progress", response=self._response("in_progress"))
        if self._thinks:
            item = self._reasoning()
            yield self._event("response.output_item.added", output_index=0, item=item)
            yield self._event("response.output_item.done", output_index=0, item=item)
        yield from self._calls.events(self._event, int(self._thinks))
        if self._silent:
            return
        item = self._message("in_progress", content=[])
        yield self._event("response.output_item.added", output_index=self._index, item=item)
        yield self._part_event("response.content_part.added", part=self._part(""))

    def piece(self, text: str) -> Event:
        """Return the event for a piece of text."""
        self._text += text
        extra: dict[str, Any] = {} if self._refusal else {"logprobs": []}
        if self._asked.obfuscation and not self._refusal:
            extra["obfuscation"] = secrets.token_urlsafe(6)
        kind = "refusal" if self._refusal else "output_text"
        return self._part_event(f"response.{kind}.delta", delta=text, **extra)

    def end(self, reason: str) -> Iterator[Event]:
        """Return the closing events and the final response."""
        if reason == "no_finish":  # the stream ends without any marker
            return
        if reason == "error_event":
            error = server_error_object()
            yield self._event(
                "error", code=error["code"], message=error["message"], param=error["param"]
            )
            return
        if reason == "failed":
            yield self._event("response.failed", response=self._response("failed"))
            return
        status = "completed" if reason == "completed" else "incomplete"
        if self._silent:
            yield self._event(f"response.{status}", response=self._response(status, reason))
            return
        for number, source in enumerate(self._sources):
            place = {"annotation_index": number, "annotation": source}
            yield self._part_event("response.output_text.annotation.added", **place)
        kind = "refusal" if self._refusal else "output_text"
        done = {"refusal": self._text} if self._refusal else {"text": self._text, "logprobs": []}
        yield self._part_event(f"response.{kind}.done", **done)
        yield self._part_event("response.content_part.done", part=self._part(self._text))
        item = self._message(status, content=[self._part(self._text)])
        yield self._event("response.output_item.done", output_index=self._index, item=item)
        yield self._event(f"response.{status}", response=self._response(status, reason))

    def whole(self, text: str, reason: str) -> dict[str, Any]:
        """Return the whole response, for a request without `stream`."""
        self._text = text
        status = {"completed": "completed", "failed": "failed"}.get(reason, "incomplete")
        return self._response(status, reason)

    def _event(self, kind: str, **fields: Any) -> Event:
        event = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return event

    def _part_event(self, kind: str, **fields: Any) -> Event:
        place = {"item_id": self._item, "output_index": self._index, "content_index": 0}
        return self._event(kind, **place, **fields)

    def _part(self, text: str) -> dict[str, Any]:
        if self._refusal:
            return {"type": "refusal", "refusal": text}
        noted = self._sources if text else []
        return {"type": "output_text", "annotations": noted, "logprobs": [], "text": text}

    def _message(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._item,
            "type": "message",
            "status": status,
            "content": content,
            "role": "assistant",
        }

    def _reasoning(self) -> dict[str, Any]:
        return {"id": self._item.replace("msg_", "rs_"), "type": "reasoning", "summary": []}

    def _output(self, status: str) -> list[dict[str, Any]]:
        if status == "in_progress":
            return []
        thoughts = [self._reasoning()] if self._thinks else []
        if status == "failed" and not self._text:
            return thoughts
        kept = "completed" if status == "completed" else "incomplete"
        said = [] if self._silent else [self._message(kept, content=[self._part(self._text)])]
        return [*thoughts, *self._calls.items, *said]

    def _response(self, status: str, reason: str = "") -> dict[str, Any]:
        body = self._body
        why = "content_filter" if reason == "content_filter" else "max_output_tokens"
        failed = {"code": "server_error", "message": server_error_object()["message"]}
        return {
            "id": self._id,
            "object": "response",
            "created_at": int(self._created),
            "status": status,
            "background": False,
            "completed_at": int(time.time()) if status == "completed" else None,
            "error": failed if status == "failed" else None,
            "incomplete_details": {"reason": why} if status == "incomplete" else None,
            "instructions": body.get("instructions"),
            "max_output_tokens": body.get("max_output_tokens"),
            "model": body["model"],
            "output": self._output(status),
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None, **(body.get("reasoning") or {})},
            "service_tier": "default",
            "store": body.get("store") is not False,
            "temperature": _default(body.get("temperature"), 1.0),
            "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "tool_choice": {"type": self._asked.chosen} if self._asked.chosen else "auto",
            "tools": body.get("tools") or [],
            "top_p": _default(body.get("top_p"), 1.0),
            "truncation": body.get("truncation") or "disabled",
            **self._told(status),
            "user": body.get("user"),
            "metadata": body.get("metadata") or {},
        }

    def _told(self, status: str) -> dict[str, Any]:
        if status not in {"completed", "incomplete"}:
            return {"usage": None}
        return usages.told(self._usage_kind, self._usage())

    def _usage(self) -> dict[str, Any]:
        asked = sum(tokens(turn.text) + 4 for turn in self._asked.turns)
        said = tokens(self._text)
        return {
            "input_tokens": asked,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": said,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": asked + said,
        }


def _default(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _pages(number: int) -> list[dict[str, Any]]:
    """Return a number of pages that an answer cites."""
    return [
        {
            "type": "url_citation",
            "start_index": 0,
            "end_index": 1,
            "url": f"https://page-{page}.example/gulls?utm_source=openai",
            "title": f"Page {page}",
        }
        for page in range(1, number + 1)
    ]


_SEARCH = {"type": "search", "query": "gulls", "queries": ["gulls"]}


class _ToolCalls:
    """The hosted tool calls of one answer: their items, and the events that build them.

    A model uses a tool here if a directive (`search=N`, `draw=1`) or `tool_choice` says so, and
    only if the request offers it. Beyond `max_tool_calls` it does not search, but still reports
    calls, as OpenAI does.
    """

    def __init__(self, number: int, searches: int, most: int | None, *, draws: bool) -> None:
        self.items: list[dict[str, Any]] = []
        allowed = searches + draws if most is None else most
        for search in range(searches):
            made = {"action": _SEARCH} if search < allowed else {}
            call = {"id": f"ws_{number:010x}{search:02x}", "type": "web_search_call"}
            self.items.append({**call, "status": "completed", **made})
        if draws and searches < allowed:
            call = {"id": f"ig_{number:012x}", "type": "image_generation_call"}
            form = {"status": "completed", "output_format": "png", "result": DOT}
            self.items.append({**call, **form})

    def events(self, event: Callable[..., Event], at: int) -> Iterator[Event]:
        """Return the events of all calls; `at` is the index of the first."""
        for index, item in enumerate(self.items, at):
            kind = item["type"]
            between = "searching" if kind == "web_search_call" else "generating"
            steps = ("in_progress", between, "completed")
            begun = {"id": item["id"], "type": kind, "status": "in_progress"}
            yield event("response.output_item.added", output_index=index, item=begun)
            for step in steps:
                yield event(f"response.{kind}.{step}", output_index=index, item_id=item["id"])
            yield event("response.output_item.done", output_index=index, item=item)
