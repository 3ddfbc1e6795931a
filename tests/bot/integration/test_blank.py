"""Answers that show nothing: the person reads the same sentence as for an empty one."""

import pytest

from .scenario import Scene

SENTENCE = "The language model had nothing to say to that. Please try to rephrase it."


@pytest.mark.parametrize(
    "blank",
    ["\u200b", "\u2800\u3164", " " * 4500, "\u2060\n" * 2400],
    ids=["a zero width space", "blank letters", "4,500 spaces", "three messages of nothing"],
)
async def test_an_answer_that_shows_nothing_is_said_to_be_empty(scene: Scene, blank: str) -> None:
    question = await scene.call(f'say nothing [[text="{blank}" chunks=30 delay=0.05]]')

    seen = await scene.until(question, lambda seen: SENTENCE in seen.text)

    assert [part.content for part in seen.parts] == [SENTENCE]
