"""What the provider's tools did, read from plain JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.domain.errors import CutShort, Filtered, ModelDown
from bot.domain.messages import Picture
from bot.domain.model_request import ModelRequest, Usage
from bot.llm.request import StreamRecorder
from bot.llm.tools import HostedTools, cited, wanted

QUESTION = ModelRequest("You are Sky.", ())


@dataclass
class Heard:
    """Keeps what is told."""

    said: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """See bot.llm.tools.Hearer."""
        self.said.append(text)

    def show(self, picture: Picture) -> None:
        """See bot.llm.tools.Hearer."""
        self.pictures.append(picture)

    def cite(self, url: str) -> None:
        """See bot.llm.tools.Hearer."""
        self.pages.append(url)

    def searched(self) -> None:
        """See bot.llm.tools.Hearer."""


def done(kind: str, **item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "item": {"type": kind, **item}}


def hear(*events: dict[str, Any]) -> tuple[Heard, Usage]:
    heard = Heard()
    tools = HostedTools(heard, most=4)
    for event in events:
        tools.hear(event["type"], event)
    return heard, tools.counted(Usage("m", input=5))


def test_searches_and_pictures_are_counted_and_handed_on() -> None:
    heard, usage = hear(
        done("reasoning"),
        done("web_search_call", action={"type": "search"}),
        done("web_search_call", action={"type": "open_page"}),
        done("image_generation_call", result="R0lGODlh", output_format="webp"),
    )

    assert usage == Usage("m", input=5, searches=1, images=1)
    assert heard.pictures == [Picture("picture.webp", b"GIF89a")]


def test_pages_are_cited_in_both_apis_and_other_annotations_are_not() -> None:
    heard = Heard()

    cited({"type": "url_citation", "url": "https://a"}, heard)
    cited({"type": "url_citation", "url_citation": {"url": "https://b"}}, heard)
    cited({"type": "file_citation", "url": "https://c"}, heard)
    cited(None, heard)

    assert heard.pages == ["https://a", "https://b"]


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
        hear(done("image_generation_call", **item))


def test_only_tools_that_are_asked_for_are_offered() -> None:
    draw = {"type": "image_generation"}

    assert wanted(QUESTION) == {}
    assert wanted(ModelRequest("", (), tools=("web_search",), searches=3)) == {
        "tools": [{"type": "web_search"}],
        "max_tool_calls": 3,
    }
    assert wanted(ModelRequest("", (), image=True, drawings=1)) == {
        "tools": [draw],
        "tool_choice": draw,
        "max_tool_calls": 1,
    }


def test_a_provider_that_calls_tools_more_often_than_it_may_is_not_listened_to() -> None:
    search = done("web_search_call", action={"type": "search"})
    ignored = done("web_search_call", action=None)

    _, usage = hear(*[search] * 4, *[ignored] * 50)
    assert usage.searches == 4
    with pytest.raises(CutShort):
        hear(*[search] * 5)


def test_a_search_that_says_nothing_of_itself_counts() -> None:
    _, usage = hear(done("web_search_call", action=None))

    assert usage.searches == 1


def test_an_answer_that_goes_on_has_one_space_where_it_broke_off() -> None:
    heard = Heard()
    recorder = StreamRecorder(heard.say, heard.show, heard.cite)

    recorder.say("once there ")
    assert recorder.resume() == "once there"
    recorder.say("  was")
    recorder.say(" a cat")

    assert recorder.text == "".join(heard.said) == "once there was a cat"
