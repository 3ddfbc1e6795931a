"""One request to the provider, as a stream of plain JSON, without what the model refuses."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openai import AsyncOpenAI, AsyncStream

log = logging.getLogger(__name__)

_DRAIN_SECONDS = 0.25  # the rest of a completed stream, so that its connection is used again


@dataclass(frozen=True, slots=True)
class Knob:
    """A parameter that some models refuse: what is sent, and what to a model that refuses it.

    `name` is what the provider calls it when it refuses.
    """

    name: str
    fields: dict[str, Any]
    instead: dict[str, Any] = field(default_factory=dict)

    def is_about(self, refused: str | None) -> bool:
        """Whether a refused parameter is sent by this: one of its fields goes with all of them."""
        return refused == self.name or refused in self.fields


class Requests:
    """Remembers which model refuses what, so that it costs a request once."""

    def __init__(self) -> None:
        self._refused: set[tuple[str, str]] = set()

    async def stream(
        self,
        client: AsyncOpenAI,
        key: str,
        path: str,
        body: dict[str, Any],
        knobs: Sequence[Knob],
        *,
        seconds: float | None = None,
    ) -> AsyncStream[Any]:
        """Ask; raises the library's errors. `seconds` are those that the provider may be silent."""
        from openai import BadRequestError  # noqa: PLC0415  # loaded late, see model.py

        model = str(body["model"])
        while True:
            extra: dict[str, Any] = {}
            for knob in knobs:
                extra |= knob.instead if (model, knob.name) in self._refused else knob.fields
            try:
                return await _post(client, key, path, {**body, **extra}, seconds)
            except BadRequestError as error:
                names = (knob.name for knob in knobs if knob.is_about(error.param))
                refused = (model, next(names, ""))
                if refused in self._refused or not refused[1]:
                    raise
                self._refused.add(refused)
                log.warning("the model refuses a parameter", extra={"parameter": error.param})


async def _post(
    client: AsyncOpenAI, key: str, path: str, body: dict[str, Any], seconds: float | None
) -> AsyncStream[Any]:
    from openai import AsyncStream  # noqa: PLC0415  # loaded late, see model.py

    options: Any = {"headers": {"Authorization": f"Bearer {key}"}}
    if seconds is not None:
        options["timeout"] = seconds
    return await client.post(
        path,
        body={**body, "stream": True},
        options=options,
        cast_to=object,
        stream=True,
        stream_cls=AsyncStream[object],
    )


async def drain(stream: Any) -> list[dict[str, Any]]:
    """Read what still comes after the answer's end, if it comes at once."""
    rest = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for event in stream:
                if isinstance(event, dict):
                    rest.append(event)  # noqa: PERF401  # kept although the time runs out
    return rest
