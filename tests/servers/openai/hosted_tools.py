"""The tools that OpenAI runs for its models: what a request says of them, and what they do.

A model here uses a tool where it is told to by a directive (`search=N`, `draw=1`) or by
`tool_choice`, and only if the request offers it.
"""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator

from .errors import ApiError
from .pictures import DOT
from .stream import Event
from .validation import Strict

WITHOUT = ("gpt-4.1-nano",)


class WebSearch(Strict):
    """Search in the web."""

    type: Literal["web_search"]
    search_context_size: Literal["low", "medium", "high"] | None = None


class ImageGeneration(Strict):
    """Pictures."""

    type: Literal["image_generation"]
    size: Literal["auto", "1024x1024", "1536x1024", "1024x1536"] | None = None
    quality: Literal["auto", "low", "medium", "high"] | None = None
    output_format: Literal["png", "jpeg", "webp"] | None = None


class Chosen(Strict):
    """The tool that has to be used."""

    type: Literal["web_search", "image_generation"]


Tool = Annotated[WebSearch | ImageGeneration, Discriminator("type")]
Choice = Literal["none", "auto", "required"] | Chosen


def check(model: str, offered: tuple[str, ...], chosen: str, effort: str | None) -> None:
    """Refuse what OpenAI refuses of it; raises ApiError 400."""
    if offered and model in WITHOUT:
        message = f"Hosted tool '{offered[0]}' is not supported with {model}."
        raise ApiError(400, message, param="tools")
    if chosen and chosen not in offered:
        message = f"Tool choice '{chosen}' not found in 'tools' parameter."
        raise ApiError(400, message, param="tool_choice")
    if effort == "minimal" and "web_search" in offered:
        message = "The following tools cannot be used with reasoning.effort 'minimal': web_search."
        raise ApiError(400, message, param="tools")


def sources(number: int) -> list[dict[str, Any]]:
    """Give so many pages that an answer rests on."""
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


class Used:
    """The tools that one answer uses: their items, and the events that build them."""

    def __init__(self, number: int, searches: int, *, draws: bool) -> None:
        self.items: list[dict[str, Any]] = []
        if searches:
            action = {"type": "search", "query": "gulls", "queries": ["gulls"]}
            call = {"id": f"ws_{number:012x}", "type": "web_search_call", "status": "completed"}
            self.items.append({**call, "action": action})
        if draws:
            call = {"id": f"ig_{number:012x}", "type": "image_generation_call"}
            form = {"status": "completed", "output_format": "png", "result": DOT}
            self.items.append({**call, **form})

    def events(self, event: Callable[..., Event], at: int) -> Iterator[Event]:
        """Give the events of all of them; `at` is the index of the first."""
        for index, item in enumerate(self.items, at):
            kind = item["type"]
            between = "searching" if kind == "web_search_call" else "generating"
            steps = ("in_progress", between, "completed")
            begun = {"id": item["id"], "type": kind, "status": "in_progress"}
            yield event("response.output_item.added", output_index=index, item=begun)
            for step in steps:
                yield event(f"response.{kind}.{step}", output_index=index, item_id=item["id"])
            yield event("response.output_item.done", output_index=index, item=item)
