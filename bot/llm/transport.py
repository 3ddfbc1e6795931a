"""One HTTP request: the body without what the model refuses, and the response as JSON.

The openai library makes the request; this module reads the response as plain JSON. The library's
own stream cannot tell `[DONE]` from a cut connection, and its typed events would cost 0.5 s of CPU
and 35 MiB once, and three times the CPU for each event (measured with 3.54.0).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bot.domain.errors import ModelDown
from bot.llm import error_mapping

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from openai import AsyncOpenAI

_DRAIN_SECONDS = 0.25  # for the rest of a completed stream, so that its connection is reused
_WHOLE = 8 * 2**20  # characters of a body that is not a stream, such as a picture
_DONE = "[DONE]"
# What each part of an answer has one of; and what gateways refuse in, which is no part of one.
_PARTS = frozenset({"choices", "type", "object", "output", "data", "usage", "id", "created"})
_REFUSALS = frozenset({"message", "msg", "detail", "errors", "error_code", "error_msg"})


@dataclass(frozen=True, slots=True)
class OptionalParameter:
    """A parameter that some models refuse: what is sent, and what to a model that refuses it.

    `words` are what providers call it when they refuse it. The one that `bounds` keeps an answer
    short.
    """

    name: str
    fields: dict[str, Any]
    words: tuple[str, ...] = ()
    instead: OptionalParameter | None = None
    bounds: bool = False

    def is_named(self, parameters: set[str], words: str) -> bool:
        """Whether a refusal is about it: by its `param`, or by the words."""
        names = {self.name, *self.words}
        if names & parameters:
            return True
        joined = "|".join(re.escape(name) for name in names)
        return re.search(rf"(?<![a-z0-9_])(?:{joined})(?![a-z0-9_])", words) is not None


@dataclass(frozen=True, slots=True)
class Payload:
    """A request: its body without the optional parameters, and those that are sent."""

    path: str
    body: dict[str, Any]
    optional: tuple[OptionalParameter, ...] = ()
    pictures: bool = False
    seconds: float | None = None  # for which the provider may be silent
    streamed: bool = True
    draws: bool = False  # it asks for a picture and nothing else

    def without(self, refused: set[str]) -> Payload:
        """Leave out what the model refuses, or send a known replacement."""
        kept = []
        for parameter in self.optional:
            each: OptionalParameter | None = parameter
            while each is not None and each.name in refused:
                each = each.instead
            if each is not None:
                kept.append(each)
        return replace(self, optional=tuple(kept))

    def named(self, parameters: set[str], words: str) -> tuple[str, ...]:
        """Return the names of its parameters that a refusal is about."""
        return tuple(each.name for each in self.optional if each.is_named(parameters, words))

    @property
    def bounded(self) -> bool:
        """Whether the provider is told how long an answer may be."""
        return any(each.bounds for each in self.optional) or not self.streamed

    @property
    def json(self) -> dict[str, Any]:
        """The body as it is sent."""
        body = dict(self.body)
        for each in self.optional:
            body |= each.fields
        return {**body, "stream": True} if self.streamed else body


class ProviderResponse:
    """The response. `done` says that a stream reported its end."""

    def __init__(self, response: Any, payload: Payload) -> None:
        self._response = response
        self._payload = payload
        self.done = False

    async def objects(self) -> AsyncGenerator[dict[str, Any], None]:
        """Yield each JSON object of the stream, or the whole body if it is not a stream.

        Raises the errors of error_mapping for a refusal inside it.
        """
        decoder, chunks = _Decoder(), self._response.aiter_text()
        async for chunk in chunks:
            for name, data in decoder.feed(chunk):
                for found in self._read(name, data):
                    yield found
            if self.done:
                await _exhaust(chunks)
                return
        for name, data in decoder.finish():
            for found in self._read(name, data):
                yield found
        if not decoder.events:
            for found in self._read_whole(decoder.whole):
                yield found

    async def following(
        self, objects: AsyncGenerator[dict[str, Any], None], seconds: float | None
    ) -> dict[str, Any] | None:
        """Return the next object; None at the end, or if none comes within `seconds`.

        With a bound the answer is complete by now, so a connection that breaks is an end as well.
        """
        import httpx2  # noqa: PLC0415  # loaded late, see openai_client.py

        broken = (TimeoutError, httpx2.HTTPError, httpx2.StreamError) if seconds else ()
        try:
            async with asyncio.timeout(seconds):
                return await anext(objects, None)
        except broken:
            return None

    async def drain(self, objects: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
        """Read what comes right after the answer's end."""
        rest = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                async for each in objects:
                    rest.append(each)  # noqa: PERF401  # kept although the time runs out
        return rest

    async def close(self) -> None:
        """Close it; if it was read to its end, the connection is reused."""
        await self._response.aclose()

    def _read(self, name: str, data: str) -> Iterator[dict[str, Any]]:
        if data.startswith(_DONE):
            self.done = True
            return
        if not data.lstrip().startswith(("{", "[")):  # a word that keeps the connection open
            return
        found = json.loads(data)
        for each in found if isinstance(found, list) else [found]:
            if isinstance(each, dict):
                self._raise_for(each, named=name == "error")
                yield each

    def _read_whole(self, text: str) -> Iterator[dict[str, Any]]:
        """Read a body that is not a stream; an HTML page or an empty body is not an answer."""
        try:
            found = json.loads(text)
        except ValueError as error:
            raise ModelDown("no answer in the response") from error
        self.done = True
        for each in found if isinstance(found, list) else [found]:
            if isinstance(each, dict):
                self._raise_for(each, named=False)
                yield each

    def _raise_for(self, found: dict[str, Any], *, named: bool) -> None:
        error, keys = found.get("error"), found.keys()
        told = found.get("type") == "error" or (named and not error) or isinstance(error, str)
        if told or (keys & _REFUSALS and not keys & _PARTS):
            error = found
        elif not found.get("choices") and isinstance(own := found.get("base_resp"), dict):
            error = own if own.get("status_code") else error  # MiniMax
        if error:
            raise error_mapping.read(error, payload=self._payload)


@dataclass(slots=True)
class _Decoder:
    """Parses server-sent events from text that arrives in pieces."""

    events: int = 0
    whole: str = ""  # the text, while it is no stream of events
    _begun: bool = False
    _rest: str = ""
    _name: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, text: str) -> Iterator[tuple[str, str]]:
        if not self.events and len(self.whole) < _WHOLE:
            self.whole += text
        self._rest += text
        if not self._begun:
            self._begun = bool(self._rest)
            self._rest = self._rest.removeprefix("\ufeff")
        *lines, self._rest = self._rest.split("\n")
        for line in lines:
            yield from self._line(line.rstrip("\r"))

    def finish(self) -> Iterator[tuple[str, str]]:
        """Yield a last event that no empty line ended."""
        yield from self._line(self._rest.rstrip("\r"))
        yield from self._line("")

    def _line(self, line: str) -> Iterator[tuple[str, str]]:
        if not line:
            if self._data:
                self.events += 1
                self.whole = ""
                yield self._name, "\n".join(self._data)
            self._name = ""
            self._data.clear()
        elif line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))
        elif line.startswith("event:"):
            self._name = line[6:].strip()


async def _exhaust(chunks: AsyncIterator[str]) -> None:
    """Read what comes right after the end, so that the connection is reused."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in chunks:
                pass


async def post(client: AsyncOpenAI, key: str, payload: Payload) -> ProviderResponse:
    """Send a request; raises the library's errors."""
    import httpx2  # noqa: PLC0415  # imported late, see openai_client.py
    from openai import AsyncStream  # noqa: PLC0415

    options: Any = {"headers": {"Authorization": f"Bearer {key}"}}
    if payload.seconds is not None:
        options["timeout"] = payload.seconds
    response = await client.post(
        payload.path,
        body=payload.json,
        options=options,
        cast_to=httpx2.Response,
        stream=True,
        stream_cls=AsyncStream[object],
    )
    return ProviderResponse(response, payload)
