"""Streams of a provider made odd, and what a lenient reader finds in them. Pure.

A stream is a good one of either API with one to three changes: a field removed, null or of another
type, an event left out, doubled, cut in two or followed by nothing, an unknown reason, an error; or
it is no stream at all but a page, or nothing.
"""

from __future__ import annotations

import contextlib
import copy
import json
import re
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, Literal

from .odd_payloads import mutated

Api = Literal["responses", "chat"]
INPUT, OUTPUT = -1001, -1002  # stand for the true numbers until the stream is sent
DONE = "[DONE]"
PICTURE = "R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="
_MOST_WORDS, _LONGEST_FILLER = 60, 5
_TOO_MANY = 10_000_000  # tokens of one request
_PAGES, _SILENT, _USES_TOOLS = 0.03, 0.02, 0.3  # of the streams
# What a stream says of its end: Chat's reasons, then those of the Responses API.
GOOD = {"stop", "completed"}
LENGTH, FILTER = {"length", "max_output_tokens", "MAX_TOKENS"}, {"content_filter"}
UNKNOWN = ["odd_reason", "error", "MAX_TOKENS", "abort", "", 7]
CODES = [
    *("server_error", "rate_limit_exceeded", "insufficient_quota", "invalid_api_key"),
    *("context_length_exceeded", "content_filter", "invalid_prompt", "nobody_knows", None, 503),
]
_CONSONANTS = "bcdfghjklmnprstvw"
WORD = re.compile(rf"[aeiou]+x[{_CONSONANTS}]+x")  # found again whatever is said around it
_names = count(1)


@dataclass
class OddStream:
    """One stream: its events as JSON values or as raw text, and how the connection ends."""

    api: Api
    events: list[Any]
    ending: Literal["closed", "aborted", "silent"] = "closed"
    changed: bool = False
    page: bool = False  # of somebody between us and the provider

    def sent(self, read: int) -> list[str]:
        """Give the texts of the events, with the true numbers of tokens; `read` is of the input."""
        written = len(self.facts.text) / 4
        return [
            each if isinstance(each, str) else json.dumps(_told(each, read, round(written)))
            for each in self.events
        ]

    @property
    def facts(self) -> Facts:
        """What a lenient reader finds."""
        return Facts.of(self)


@dataclass
class Facts:
    """The text, the reasons and codes that are named, and whether all of it is good."""

    text: str = ""
    pictures: int = 0
    reasons: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    misled: bool = False  # tells an amount that is wrong, and that nobody can see to be wrong
    ended: bool = False  # completely, by the API's own mark
    clean: bool = False

    @classmethod
    def of(cls, stream: OddStream) -> Facts:
        """Read a stream up to its end."""
        facts = cls(clean=not stream.changed)
        read = facts._of_chat if stream.api == "chat" else facts._of_responses
        for event in map(_parsed, stream.events):
            if event == DONE:
                bad = [each for each in facts.reasons if each not in GOOD]
                facts.ended = facts.ended or not bad
            elif isinstance(event, dict):
                read(event)
                usage = event.get("usage") or _dict(event.get("response")).get("usage")
                facts.misled |= any(_wrong(count) for count in _dict(usage).values())
        return facts

    def _of_chat(self, event: dict[str, Any]) -> None:
        self._code(event.get("error"))
        for choice in _list(event.get("choices")):
            delta = _dict(_dict(choice).get("delta"))
            self._word(delta.get("content"))
            self._word(delta.get("refusal"))
            self._reason(_dict(choice).get("finish_reason"))

    def _of_responses(self, event: dict[str, Any]) -> None:
        response = _dict(event.get("response"))
        match event.get("type"):
            case "response.output_text.delta" | "response.refusal.delta":
                self._word(event.get("delta"))
            case "response.output_item.done":
                self.pictures += _dict(event.get("item")).get("result") == PICTURE
            case "response.completed":
                self._reason("completed")
            case "response.incomplete":
                self._reason(_dict(response.get("incomplete_details")).get("reason"))
            case "response.failed":
                self._code(response.get("error"))
            case "error":
                self._code(event)
            case None if "code" in event:  # an error without its type
                self._code(event)
        self._code(event.get("error"))

    @property
    def words(self) -> list[str]:
        """The words of streams that are in the text."""
        return WORD.findall(self.text)

    def _word(self, text: Any) -> None:
        if isinstance(text, str) and text:
            self.text += text

    def _reason(self, reason: Any) -> None:
        if isinstance(reason, str) and reason:
            self.reasons.append(reason)
            self.ended = self.ended or reason in GOOD

    def _code(self, error: Any) -> None:
        if isinstance(error, dict):
            self.codes.append(str(error.get("code")))


def make(rng: Random, api: Api, *, clean: bool, tools: bool) -> OddStream:
    """Make one; a clean one is complete and has no change. `tools` may be called where offered."""
    words = [_word(rng) for _ in range(rng.randint(1, _MOST_WORDS))]
    end = "good" if clean else rng.choice(["good"] * 5 + ["length", "filter", "error"])
    events = _chat(rng, words, end) if api == "chat" else _responses(rng, words, end, tools=tools)
    stream = OddStream(api, events)
    if clean:
        return stream
    if rng.random() < _PAGES:
        return OddStream(api, [], changed=True, page=rng.random() < 0.5)  # noqa: PLR2004
    for _ in range(rng.randint(1, 3)):
        _change(rng, stream)
    if rng.random() < _SILENT:
        stream.ending = "silent"
    return stream


def _change(rng: Random, stream: OddStream) -> None:
    events, stream.changed = stream.events, True
    if events:
        rng.choice(_CHANGES)(rng, stream, rng.randrange(len(events)))


def _mutate(rng: Random, stream: OddStream, at: int) -> None:
    at, events = _important(rng, stream, at), stream.events
    if not isinstance(events[at], str):
        events[at] = mutated(rng, events[at])


def _leave_out(_: Random, stream: OddStream, at: int) -> None:
    del stream.events[at]


def _double(_: Random, stream: OddStream, at: int) -> None:
    stream.events.insert(at, copy.deepcopy(stream.events[at]))


def _end(rng: Random, stream: OddStream, at: int) -> None:
    del stream.events[at:]
    stream.ending = rng.choice(["closed", "aborted"])


def _cut(rng: Random, stream: OddStream, at: int) -> None:
    event = stream.events[at]
    text = event if isinstance(event, str) else json.dumps(event)
    stream.events[at:] = [text[: rng.randrange(1, len(text) + 1)]] if text else []
    stream.ending = rng.choice(["closed", "aborted"])


def _insert(rng: Random, stream: OddStream, at: int) -> None:
    odd = ["", "odd", "{", "null", "7", "[]", '"text"', '{"type": "unknown"}', "{}"]
    stream.events.insert(at, rng.choice(odd))


def _fail(rng: Random, stream: OddStream, at: int) -> None:
    error = {"message": "odd", "code": rng.choice(CODES)}
    stream.events.insert(at, {"error": error})


def _important(rng: Random, stream: OddStream, at: int) -> int:
    """Prefer the events at the end, and those with text: the others say nothing that is read."""
    return rng.choice([at, rng.randrange(-min(3, len(stream.events)), 0) + len(stream.events)])


def _reason(rng: Random, stream: OddStream, _: int) -> None:
    """Name a reason that nobody knows."""
    for event in stream.events:
        if not isinstance(event, dict):
            continue
        details = _dict(_dict(event.get("response")).get("incomplete_details"))
        for holder, key in [
            *((_dict(each), "finish_reason") for each in _list(event.get("choices"))),
            (details, "reason"),
        ]:
            if holder.get(key):
                holder[key] = rng.choice(UNKNOWN)


_CHANGES = [_mutate, _mutate, _mutate, _leave_out, _double, _end, _cut, _reason, _insert, _fail]


def _chat(rng: Random, words: list[str], end: str) -> list[Any]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        return {**head, "choices": [choice], "usage": None}

    said = [chunk({"content": word}) for word in words]
    begun = [chunk({"role": "assistant", "content": ""}), *said]
    if end == "error":
        return [*begun, {"error": {"message": "odd", "code": rng.choice(CODES)}}]
    finish = {"good": "stop", "length": "length", "filter": "content_filter"}[end]
    counts = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": 1}
    usage = {**chunk({}), "choices": [], "usage": counts}
    return [*begun, chunk({}, finish), usage, DONE]


def _responses(rng: Random, words: list[str], end: str, *, tools: bool) -> list[Any]:
    numbers = count()

    def event(kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": kind, "sequence_number": next(numbers), **fields}

    def response(status: str, **fields: Any) -> dict[str, Any]:
        return {"id": "resp_1", "object": "response", "status": status, "model": "m", **fields}

    calls = _tools(rng) if tools else []
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
    text = "".join(words)
    part = {"type": "output_text", "text": text, "annotations": []}
    begun = [
        event("response.created", response=response("in_progress")),
        *(event("response.output_item.done", output_index=0, item=item) for item in calls),
        event("response.output_item.added", output_index=0, item=message),
        event("response.content_part.added", **place, part={**part, "text": ""}),
        *(event("response.output_text.delta", **place, delta=word) for word in words),
    ]
    if end == "error":
        error = {"code": rng.choice(CODES), "message": "odd"}
        failed = event("response.failed", response=response("failed", error=error, usage=None))
        return [*begun, rng.choice([failed, event("error", **error, param=None)])]
    reasons = {"length": "max_output_tokens", "filter": "content_filter"}
    details = {"reason": reasons[end]} if end in reasons else None
    status = "incomplete" if details else "completed"
    counts = {"input_tokens": INPUT, "output_tokens": OUTPUT, "total_tokens": 1}
    whole = response(status, incomplete_details=details, error=None, usage=counts)
    return [
        *begun,
        event("response.output_text.done", **place, text=text),
        event("response.content_part.done", **place, part=part),
        event("response.output_item.done", output_index=0, item={**message, "content": [part]}),
        event(f"response.{status}", response=whole),
    ]


def _tools(rng: Random) -> list[dict[str, Any]]:
    """Give what the hosted tools did, as often as the settings of the fuzz allow."""
    if rng.random() > _USES_TOOLS:
        return []
    search = {"type": "search", "query": "odd"}
    calls: list[dict[str, Any]] = [{"type": "web_search_call", "action": search}]
    drawn = {"type": "image_generation_call", "output_format": "gif", "result": PICTURE}
    return [*calls * rng.randint(1, 2), *[drawn] * rng.randint(0, 1)]


def _word(rng: Random) -> str:
    """Make a word that no other stream has, with a space behind it."""
    number, letters = next(_names), ""
    while number:
        number, rest = divmod(number, len(_CONSONANTS))
        letters = _CONSONANTS[rest] + letters
    filler = "".join(rng.choices("aeiou", k=rng.randint(1, _LONGEST_FILLER)))
    return f"{filler}x{letters}x "


def _told(value: Any, read: int, written: int) -> Any:
    if isinstance(value, dict):
        return {key: _told(each, read, written) for key, each in value.items()}
    if isinstance(value, list):
        return [_told(each, read, written) for each in value]
    true = {INPUT: read, OUTPUT: written}
    return true.get(value, value) if type(value) is int else value


def _wrong(count: Any) -> bool:
    return type(count) is int and 1 < count < _TOO_MANY


def _parsed(event: Any) -> Any:
    with contextlib.suppress(ValueError, TypeError):
        return json.loads(event)
    return event


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
