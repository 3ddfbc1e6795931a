"""The stories' own judge of split answers must be hard to please."""

from .text_integrity import balanced, is_whole


def test_parts_that_are_the_text_are_whole() -> None:
    assert is_whole(["one two", "three"], "one two\nthree")
    assert is_whole(["one"], "one\n")


def test_fence_lines_that_were_added_are_not_the_models() -> None:
    parts = ["see\n```py\na = 1\n```", "```py\nb = 2\n```\nend"]

    assert is_whole(parts, "see\n```py\na = 1\nb = 2\n```\nend")


def test_a_missing_a_doubled_and_a_swapped_part_are_noticed() -> None:
    text = "one two three four"

    assert not is_whole(["one two", "four"], text)
    assert not is_whole(["one two", "one two", "three four"], text)
    assert not is_whole(["three four", "one two"], text)
    assert not is_whole(["one two three"], text)
    assert not is_whole(["one two three four five"], text)
    assert not is_whole([], text)


def test_fences_are_counted() -> None:
    assert balanced("```py\nx\n```")
    assert not balanced("```py\nx")
