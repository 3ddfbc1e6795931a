"""The tools that a provider hosts for its models: a search in the web, and pictures.

They are run over there; what is read here is what they found, drew and cost.

A picture from the Images API, for the providers of Chat Completions, whose models draw none.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from bot.domain import text
from bot.domain.errors import CutShort, Filtered, ModelDown, ToolMissing
from bot.domain.messages import Picture
from bot.domain.model_request import Usage
from bot.llm.provider_errors import part

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from bot.domain.model_request import ModelRequest
    from bot.settings.schema import OpenAISettings


SEARCH, DRAW = "web_search", "image_generation"
_ENDINGS = {"png": "png", "jpeg": "jpg", "webp": "webp", "gif": "gif"}


class StreamListener(Protocol):
    """Who is told what the model says while it says it."""

    def say(self, text: str) -> None:
        """Take the next piece of text."""

    def show(self, picture: Picture) -> None:
        """Take a picture that was made."""

    def cite(self, url: str) -> None:
        """Take the address of a page that the answer rests on."""

    def searched(self) -> None:
        """Count a search."""


def draws(ask: ModelRequest) -> bool:
    """Whether a picture may come, which takes its time."""
    return ask.image or DRAW in ask.tools


def wanted(ask: ModelRequest) -> dict[str, Any]:
    """Write the tools as the Responses API reads them."""
    names = [name for name in (SEARCH, DRAW) if name in ask.tools or (name == DRAW and ask.image)]
    if not names:
        return {}
    choice = {"tool_choice": {"type": DRAW}} if ask.image else {}
    most = max(1, ask.searches + ask.drawings)
    return {"tools": [{"type": name} for name in names], "max_tool_calls": most, **choice}


class HostedTools:
    """Hears what the tools of one answer do, and counts it.

    A provider that goes on calling them beyond `most` is not listened to any more: it was told the
    bound, and each call costs money. OpenAI itself ignores what comes after, and reports it as
    calls without an action.
    """

    def __init__(self, listener: StreamListener, most: int) -> None:
        self._listener = listener
        self._most = most
        self._searches = 0
        self._images = 0

    def hear(self, kind: object, event: Any) -> None:
        """Take an event of the Responses API that is no text."""
        if kind == "response.output_text.annotation.added":
            cited(part(event, "annotation"), self._listener)
        elif kind == "response.output_item.done":
            item = part(event, "item") or {}
            match part(item, "type"):
                case "web_search_call":
                    self._search(part(item, "action") or {})
                case "image_generation_call":
                    self._take(item)

    def _search(self, action: Any) -> None:
        kind, used = part(action, "type"), self._searches + self._images
        if kind == "search" or (kind is None and used < self._most):
            self._searches += 1
            self._listener.searched()
            self._bound()

    def _bound(self) -> None:
        if self._searches + self._images > self._most:
            raise CutShort("more calls of tools than were allowed")

    def counted(self, usage: Usage) -> Usage:
        """Add what the tools did to what the provider told."""
        return replace(usage, searches=self._searches, images=self._images)

    def _take(self, item: dict[str, Any]) -> None:
        if part(part(item, "error") or {}, "code") == "moderation_blocked":
            raise Filtered("moderation_blocked")
        drawn = part(item, "result")
        if not drawn:
            raise ModelDown("no picture came of it")
        self._images += 1
        self._listener.show(picture(drawn, part(item, "output_format")))
        self._bound()


def cited(annotation: Any, listener: StreamListener) -> None:
    """Tell of an annotation, of either API, if it names a page."""
    annotation = annotation or {}
    found = part(annotation, "url_citation") or annotation  # Chat Completions nests it
    url = part(found, "url")
    if part(annotation, "type") == "url_citation" and isinstance(url, str):
        listener.cite(url)


def picture(encoded: str, form: object) -> Picture:
    """Read a picture; raises ModelDown if it is none."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ModelDown("a picture that is not base64") from error
    return Picture(f"picture.{_ENDINGS.get(str(form), 'png')}", data)


_LONGEST = 4000  # characters that every model takes


async def draw(
    client: AsyncOpenAI,
    key: str,
    ask: ModelRequest,
    settings: OpenAISettings,
    listener: StreamListener,
) -> Usage:
    """Have what was asked for last drawn; raises the library's errors and ModelDown."""
    from openai import NotFoundError  # noqa: PLC0415  # loaded late, see model.py

    words = ask.turns[-1].text.partition("): ")[2] or ask.turns[-1].text
    options: Any = {
        "headers": {"Authorization": f"Bearer {key}"},
        "timeout": settings.picture_seconds,
    }
    body = {"model": settings.image_model, "prompt": words[:_LONGEST], "n": 1}
    try:
        answer = await client.post(
            "/images/generations", body=body, options=options, cast_to=object
        )
    except NotFoundError as error:  # the provider has no such thing, or not that model
        missing = ToolMissing("no images API, or no such model")
        missing.unbilled = True
        raise missing from error
    drawn = part((part(answer, "data") or [{}])[0], "b64_json")
    if not drawn:
        raise ModelDown("no picture came of it")
    listener.show(picture(drawn, part(answer, "output_format")))
    # Counted as one picture, at budget.image, and its prompt; its own tokens are in that price.
    return Usage(ask.model or settings.model, input=text.likely(words[:_LONGEST]), images=1)
