"""What a person may read of what a model writes, whatever the pieces are that it comes in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.llm.provider_apis import AnswerText
from bot.llm.provider_dialects import ANSWER_MARKS, END_MARKS, REASONING_MARKS

STAMP = "Sky (2026-11-30 07:09): "


def shown(text: str, sizes: list[int], *, unopened: bool = False) -> str:
    """Give what is shown of a text that comes in pieces of these sizes, again and again."""
    answer, at, out = AnswerText("Sky", unopened=unopened), 0, ""
    while at < len(text):
        size = sizes[at % len(sizes)]
        out += answer.feed(text[at : at + size])
        at += size
    return out + answer.finish()


pieces = st.lists(st.integers(1, 9), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Hello.", "Hello."),
        ("", ""),
        ("  Hello.", "  Hello."),
        ("<think>Hm.</think>Hello.", "Hello."),
        ("\n<think>\nHm.\n</think>\n\nHello.", "Hello."),
        ("<think></think>\n\nHello.", "Hello."),
        ("<think>One.</think><think>Two.</think>Hello.", "Hello."),
        ("<think>Hm.</think>" + STAMP + "Hello.", "Hello."),
        ("<think>never ends", ""),
        ("<thi", "<thi"),
        ("<thin air>", "<thin air>"),
        ("Say <think>x</think>.", "Say <think>x</think>."),
        (STAMP + "Hello.", "Hello."),
        ("Sky (2026", "Sky (2026"),
        ("Sky (is blue)", "Sky (is blue)"),
        ("Skyline", "Skyline"),
        ("Bram (2026-11-30 07:09): hi", "Bram (2026-11-30 07:09): hi"),
    ],
)
@given(sizes=pieces)
def test_reasoning_and_the_name_in_front_are_left_out(
    text: str, answer: str, sizes: list[int]
) -> None:
    assert shown(text, sizes) == answer


@pytest.mark.parametrize("marks", REASONING_MARKS, ids=lambda marks: marks[0])
@given(sizes=pieces)
def test_every_mark_of_reasoning_is_known(marks: tuple[str, str], sizes: list[int]) -> None:
    assert shown(f"{marks[0]}Hm.{marks[1]}Hello.", sizes) == "Hello."


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Hm.\n</think>\n\nHello.", "Hello."),
        ("<think>Hm.</think>Hello.", "Hello."),
        ("Hello.", "Hello."),
        ("Hm.</think>" + STAMP + "Hello.", "Hello."),
    ],
)
@given(sizes=pieces)
def test_reasoning_that_was_opened_in_the_prompt_is_left_out(
    text: str, answer: str, sizes: list[int]
) -> None:
    assert shown(text, sizes, unopened=True) == answer


@pytest.mark.parametrize("text", ["It was <s>old</s>", "It was <s>old</s> and <s>new</s>"])
@given(sizes=pieces)
def test_what_is_struck_out_at_the_end_keeps_its_mark(text: str, sizes: list[int]) -> None:
    assert shown(text, sizes) == text


def _unmarked(text: str) -> bool:
    """Whether a text has none of the marks that are left out; Hypothesis tries those it finds."""
    marks = (*ANSWER_MARKS, *END_MARKS, *(each for pair in REASONING_MARKS for each in pair))
    return not any(mark in text for mark in marks)


@given(text=st.text().filter(_unmarked), sizes=pieces)
def test_any_other_text_is_shown_to_the_letter(text: str, sizes: list[int]) -> None:
    assert shown(f"A{text}", sizes) == f"A{text}"
