"""Go's regular expressions in Python."""

import pytest

from tests.loop.image_controllers.goregex import InvalidRegexError, compile_go, expand
from tests.loop.image_controllers.model import Refused


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"^main-(?P<n>[0-9]+)-[0-9a-f]{7}$", "main-12-abcdef0", True),
        (r"^main-(?:1[0-9]|2[0-4])-[0-9a-f]{7}$", "main-25-abcdef0", False),
        (r"^.*\.sig$", "sha256-0.sig", True),
        (r"[\d.]+?-rc\.\d{1,2}", "v1.2-rc.3", True),
        (r"\d", "\u0661", False),
        (r"[^]a]", "]", False),
        (r"[a\]-]", "-", True),
    ],
)
def test_what_both_read_alike(pattern: str, text: str, found: bool) -> None:  # noqa: FBT001 - a table
    assert bool(compile_go(pattern, "spec.x").search(text)) is found


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "a)",
        "[a",
        "*a",
        r"(?=a)",
        r"(?<!a)",
        r"(a)\1",
        "a**",
        "a+*",
        "a{2}{3}",
        "a{1001}",
        "\\",
        "(?P=n)",
    ],
)
def test_what_go_does_not_compile_either(pattern: str) -> None:
    with pytest.raises(InvalidRegexError):
        compile_go(pattern, "spec.x")


@pytest.mark.parametrize(
    "pattern",
    [
        r"\pL",
        r"\z",
        r"\Qa\E",
        "(?i)a",
        "(?<n>a)",
        "[[:alpha:]]",
        "^*",
        r"\b?",
        "a{,2}",
        "{",
        r"[a&&b]",
        r"[\b]",
        r"\x41",
    ],
)
def test_what_only_differs_is_refused_with_its_path(pattern: str) -> None:
    with pytest.raises(Refused, match=r"spec\.x"):
        compile_go(pattern, "spec.x")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("$n", "12"),
        ("${n}x", "12x"),
        ("$nx", ""),
        ("$1-$2", "12-ab"),
        ("$$n", "$n"),
        ("$9", ""),
        ("$0", "m12ab"),
    ],
)
def test_replacements_are_filled_as_go_does(template: str, text: str) -> None:
    match = compile_go("m(?P<n>[0-9]+)([a-z]+)", "spec.x").search("m12ab")

    assert match
    assert expand(template, match) == text
