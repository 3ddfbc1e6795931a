"""What the provider's tools did, read from plain JSON."""

from __future__ import annotations

from typing import Any

import pytest

from bot.domain.errors import CutShort, Filtered, ModelDown
from bot.domain.messages import Picture
from bot.domain.model_request import Image, ModelRequest, Text, Usage
from bot.llm.hosted_tools import HostedTools, cited, hosted_tools
from bot.llm.retries import StreamRecorder

QUESTION = ModelRequest("You are Sky.", ())


def done(kind: str, **item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "item": {"type": kind, **item}}


def read(*events: dict[str, Any]) -> tuple[list[Picture], Usage]:
    tools = HostedTools(most=4)
    read = [found for event in events for found in tools.read(event["type"], event)]
    pictures = [found.picture for found in read if isinstance(found, Image)]
    return pictures, tools.counted(Usage("m", input=5))


def test_searches_and_pictures_are_counted_and_handed_on() -> None:
    pictures, usage = read(
        done("reasoning"),
        done("web_search_call", action={"type": "search"}),
        done("web_search_call", action={"type": "open_page"}),
        done("image_generation_call", result="R0lGODlh", output_format="webp"),
    )

    assert usage == Usage("m", input=5, searches=1, images=1)
    assert pictures == [Picture("picture.webp", b"GIF89a")]


def test_pages_are_cited_in_both_apis_and_other_annotations_are_not() -> None:
    annotations: list[Any] = [
        {"type": "url_citation", "url": "https://a"},
        {"type": "url_citation", "url_citation": {"url": "https://b"}},
        {"type": "file_citation", "url": "https://c"},
        None,
    ]

    pages = [found.url for each in annotations for found in cited(each)]

    assert pages == ["https://a", "https://b"]


@pytest.mark.parametrize(
    ("item", "meaning"),
    [
        ({"status": "failed", "error": {"code": "moderation_blocked"}}, Filtered),
        ({"status": "failed", "result": None}, ModelDown),
        ({"result": "not base64!"}, ModelDown),
    ],
)
def test_a_picture_that_did_not_come_has_one_meaning(
    item: dict[str, Any], meaning: type[Exception]
) -> None:
    with pytest.raises(meaning):
        read(done("image_generation_call", **item))


def test_only_tools_that_are_asked_for_are_offered() -> None:
    draw = {"type": "image_generation"}

    assert hosted_tools(QUESTION) == {}
    assert hosted_tools(ModelRequest("", (), tools=("web_search",), searches=3)) == {
        "tools": [{"type": "web_search"}],
        "max_tool_calls": 3,
    }
    assert hosted_tools(ModelRequest("", (), image=True, drawings=1)) == {
        "tools": [draw],
        "tool_choice": draw,
        "max_tool_calls": 1,
    }


def test_a_provider_that_calls_tools_more_often_than_it_may_is_not_listened_to() -> None:
    search = done("web_search_call", action={"type": "search"})
    ignored = done("web_search_call", action=None)

    _, usage = read(*[search] * 4, *[ignored] * 50)
    assert usage.searches == 4
    with pytest.raises(CutShort):
        read(*[search] * 5)


def test_a_search_that_says_nothing_of_itself_counts() -> None:
    _, usage = read(done("web_search_call", action=None))

    assert usage.searches == 1


def test_an_answer_that_goes_on_has_one_space_where_it_broke_off() -> None:
    recorder = StreamRecorder()
    shown = [recorder.record(Text("once there "))]

    assert recorder.resume() == "once there"
    shown += [recorder.record(Text("  was")), recorder.record(Text(" a cat"))]

    said = "".join(each.text for each in shown if isinstance(each, Text))
    assert recorder.text == said == "once there was a cat"
