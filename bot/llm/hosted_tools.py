"""The tools that the provider runs: searches in the web, and pictures; the Images API.

What is read here is what they found, drew and cost. Models of Chat Completions draw no pictures:
for them it is the Images API.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot.domain import text as tokens
from bot.domain.errors import CutShort, Filtered, ModelDown
from bot.domain.messages import Picture
from bot.domain.model_request import Citation, Image, Searched, Usage
from bot.llm.transport import Payload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.domain.model_request import ModelRequest, ProviderEvent
    from bot.settings.schema import OpenAISettings

SEARCH, DRAW = "web_search", "image_generation"
IMAGES = "/images/generations"
_ENDINGS = {"png": "png", "jpeg": "jpg", "webp": "webp", "gif": "gif"}
_LONGEST = 4000  # characters of a prompt that every model of the Images API takes


def hosted_tools(request: ModelRequest) -> dict[str, Any]:
    """Write the tools as the Responses API reads them."""
    names = [
        name for name in (SEARCH, DRAW) if name in request.tools or (name == DRAW and request.image)
    ]
    if not names:
        return {}
    choice = {"tool_choice": {"type": DRAW}} if request.image else {}
    most = max(1, request.searches + request.drawings)
    return {"tools": [{"type": name} for name in names], "max_tool_calls": most, **choice}


class HostedTools:
    """Reads and counts the tool calls of one answer.

    An answer with more than `most` calls is cut off: the provider was told the limit, and each
    call costs money. OpenAI itself ignores what comes after, and reports it as
    calls without an action.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._searches = 0
        self._images = 0

    def read(self, kind: str, event: Any) -> Iterator[ProviderEvent]:
        """Read an event of the Responses API that contains no text."""
        if kind == "response.output_text.annotation.added":
            yield from cited(get(event, "annotation"))
        elif kind == "response.output_item.done":
            item = get(event, "item")
            match get(item, "type"):
                case "web_search_call":
                    yield from self._search(get(item, "action"))
                case "image_generation_call":
                    yield from self._take(item)

    def counted(self, usage: Usage) -> Usage:
        """Add the tools' usage to the usage that the provider reported."""
        return replace(usage, searches=self._searches, images=self._images)

    def _search(self, action: Any) -> Iterator[ProviderEvent]:
        kind, used = get(action, "type"), self._searches + self._images
        if kind == "search" or (kind is None and used < self._most):
            self._searches += 1
            yield Searched()
            self._bound()

    def _take(self, item: Any) -> Iterator[ProviderEvent]:
        if get(get(item, "error"), "code") == "moderation_blocked":
            raise Filtered("moderation_blocked")
        drawing = get(item, "result")
        if not drawing:
            raise ModelDown("no picture came of it")
        self._images += 1
        yield Image(_picture(drawing, get(item, "output_format")))
        self._bound()

    def _bound(self) -> None:
        if self._searches + self._images > self._most:
            raise CutShort("more calls of tools than were allowed")


def cited(annotation: Any) -> Iterator[Citation]:
    """Yield the page that an annotation, of either API, names."""
    found = get(annotation, "url_citation") or annotation  # Chat Completions nests it
    url = get(found, "url")
    if get(annotation, "type") == "url_citation" and isinstance(url, str):
        yield Citation(url)


def _picture(encoded: object, form: object) -> Picture:
    """Decode a picture; raises ModelDown if that fails."""
    if not isinstance(encoded, str):
        raise ModelDown("a picture that is no text")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ModelDown("a picture that is not base64") from error
    return Picture(f"picture.{_ENDINGS.get(str(form), 'png')}", data)


def drawing(request: ModelRequest, settings: OpenAISettings) -> Payload:
    """Write a request to the Images API from the last message."""
    body = {"model": settings.image_model, "prompt": _prompt(request), "n": 1}
    return Payload(IMAGES, body, seconds=settings.picture_seconds, streamed=False, draws=True)


def drawn(answer: Any) -> Image:
    """Read the Images API's answer; raises ModelDown if there is no picture in it."""
    found = get(answer, "data")
    first = found[0] if isinstance(found, list) and found else None
    if not get(first, "b64_json"):
        raise ModelDown("no picture came of it")
    return Image(_picture(get(first, "b64_json"), get(answer, "output_format")))


def drawing_usage(request: ModelRequest, model: str) -> Usage:
    """Count one picture, at budget.image, and its prompt; its own tokens are in that price."""
    return Usage(model, input=tokens.likely(_prompt(request)), images=1)


def _prompt(request: ModelRequest) -> str:
    last = request.turns[-1].text
    return (last.partition("): ")[2] or last)[:_LONGEST]


def get(node: object, key: str) -> Any:
    """Return a field of an object; None if there is none, or `node` is no object."""
    return node.get(key) if isinstance(node, dict) else None
