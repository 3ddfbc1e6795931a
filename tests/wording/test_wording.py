"""The check for phrases finds them, and its list of exceptions can only shrink."""

from pathlib import Path

import pytest

from tests.wording.__main__ import find, judge, phrases, unconverted


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Whoever asks is answered", ["Whoever"]),
        ("please tell whoever runs this bot", []),
        ("it mends itself", ["mends"]),
        ("amendments recommend a fix", []),
        ("asked anew", ["anew"]),
        ("a line\nand none is to be had", ["to be had"]),
    ],
)
def test_phrases_are_found_as_whole_words(text: str, found: list[str]) -> None:
    assert [hit.words for hit in find(text, "a.md", phrases())] == found


def test_a_hit_names_file_line_and_what_to_write_instead() -> None:
    (hit,) = find("one\ntwo, reckoned", "bot/README.md", phrases())

    assert str(hit) == "bot/README.md:2: 'reckoned': write estimate, expect, count"


def test_a_file_on_the_list_may_have_phrases_and_must_leave_it_when_it_has_none() -> None:
    texts = {"old.md": "mended", "clean.md": "fixed", "new.md": "mended"}

    hits, clean = judge(texts, ["old.md", "clean.md", "removed.md"], texts.__getitem__)

    assert [hit.path for hit in hits] == ["new.md"]
    assert clean == ["clean.md", "removed.md"]


def test_the_list_is_sorted_and_names_each_file_once() -> None:
    assert unconverted() == sorted(set(unconverted()))
    assert all(not Path(path).is_absolute() for path in unconverted())
