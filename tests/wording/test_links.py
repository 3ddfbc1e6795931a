"""Broken links in Markdown are found, and only those."""

from pathlib import Path

from tests.wording.links import anchors, broken


def test_a_link_to_a_missing_file_or_heading_is_broken(tmp_path: Path) -> None:
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    other.write_text("# How it's done\n\n## `make check`: again\n## `make check`: again\n")
    page.write_text(
        "[a](other.md) [b](other.md#how-its-done) [c](other.md#make-check-again-1)\n"
        "[d](gone.md) [e](other.md#elsewhere)\n"
        "[f](https://example.com/gone) [g](#here)\n"
        "```\n[h](gone.md)\n```\n"
        "## Here\n[i](gone/)\n"
    )

    assert [sentence.removeprefix(str(page)) for sentence in broken(page)] == [
        ":2: gone.md: there is no such file",
        ":2: other.md#elsewhere: no heading has this anchor",
        ":8: gone/: there is no such file",
    ]


def test_anchors_are_github_s(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# The `bot`, and [what](x.md) it does\n### snake_case: 'dashes' +\n")

    assert anchors(page) == {"the-bot-and-what-it-does", "snake_case-dashes-"}
