"""Go regular expressions, as far as Go and Python mean the same by them.

Flux compiles tag filters and exclusions with Go's RE2 syntax. What is written the same way and
means the same goes through; what Go refuses is invalid; what only differs is refused by name.
"""

import re

from tests.loop.image_controllers.model import Refused

# After a backslash: classes and anchors that agree under re.ASCII, and control characters.
_ESCAPES = frozenset("dDwWsSbBAntrfv")
_GROUP = re.compile(r"\(\?(?::|P<[A-Za-z_][A-Za-z0-9_]*>)")
_PERL = re.compile(r"\(\?(?:[=!>#(]|<[=!]|P[=>])")
_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_QUANTIFIER = re.compile(r"(?:[*+?]|\{\d+(?:,\d*)?\})")
_ANCHORS = frozenset({"^", "$", r"\b", r"\B", r"\A"})
_LIMIT = 1000  # RE2's, for {n,m}


class InvalidRegexError(ValueError):
    """Go would not compile this either."""


def compile_go(pattern: str, path: str) -> re.Pattern[str]:
    """Compile a Go pattern. Raises InvalidRegexError, or Refused with the field's path."""
    position, before = 0, ""
    while position < len(pattern):
        following = _step(pattern, position, path)
        if before in _ANCHORS and _QUANTIFIER.match(pattern, position):
            raise Refused(path, f"repeating {before} is not honoured here")
        position, before = following, pattern[position:following]
    try:
        return re.compile(pattern, re.ASCII)
    except (re.error, OverflowError) as error:
        raise InvalidRegexError(f"error parsing regexp {pattern!r}: {error}") from error


def expand(template: str, match: re.Match[str]) -> str:
    """Fill a Go replacement (`$n`, `${name}`, `$1`, `$$`); a group that does not exist is empty."""

    def one(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name is None:
            return "$"
        if name.isdigit():
            number = int(name)
            return (match[number] or "") if number <= match.re.groups else ""
        return (match[name] or "") if name in match.re.groupindex else ""

    return re.sub(r"\$(?:\$|\{([A-Za-z0-9_]+)\}|([A-Za-z0-9_]+))", one, template)


def _step(pattern: str, at: int, path: str) -> int:
    char = pattern[at]
    if char == "\\":
        return _escape(pattern, at, path)
    if char == "[":
        return _char_class(pattern, at, path)
    if char == "(":
        return _group(pattern, at, path)
    if char == "{" and not _REPEAT.match(pattern, at):
        raise Refused(path, "a literal '{' that is not escaped is read differently here; write \\{")
    quantifier = _QUANTIFIER.match(pattern, at)
    if quantifier is None:
        return at + 1
    return _quantified(pattern, quantifier)


def _quantified(pattern: str, quantifier: re.Match[str]) -> int:
    bounds = _REPEAT.fullmatch(quantifier[0])
    if bounds and any(bound and int(bound) > _LIMIT for bound in bounds.groups()):
        raise InvalidRegexError(f"invalid repeat count: {quantifier[0]}")
    after = quantifier.end()
    if pattern[after : after + 1] == "?":
        after += 1  # lazy; both have it
    if after < len(pattern) and (pattern[after] in "*+?" or _REPEAT.match(pattern, after)):
        raise InvalidRegexError(f"invalid nested repetition operator in {pattern!r}")
    return after


def _escape(pattern: str, at: int, path: str) -> int:
    following = pattern[at + 1 : at + 2]
    if not following:
        raise InvalidRegexError("trailing backslash")
    if following in _ESCAPES or not following.isalnum():
        return at + 2
    if re.match(r"[1-9](?![0-7])", pattern[at + 1 :], re.ASCII):  # more digits are an octal code
        raise InvalidRegexError(f"invalid escape sequence: \\{following}")
    raise Refused(path, f"the escape \\{following} is not honoured here")


def _group(pattern: str, at: int, path: str) -> int:
    if pattern[at + 1 : at + 2] != "?":
        return at + 1
    plain = _GROUP.match(pattern, at)
    if plain:
        return plain.end()
    opening = pattern[at : at + 4]
    if _PERL.match(pattern, at):
        raise InvalidRegexError(f"invalid or unsupported Perl syntax: {opening!r}")
    raise Refused(path, f"the group {opening!r} is not honoured here")


def _char_class(pattern: str, at: int, path: str) -> int:
    position = at + 1
    if pattern[position : position + 1] == "^":
        position += 1
    if pattern[position : position + 1] == "]":
        position += 1
    while position < len(pattern) and pattern[position] != "]":
        char = pattern[position]
        if char == "[" or pattern[position : position + 2] in {"--", "&&", "||", "~~"}:
            raise Refused(
                path, "a character class with '[', '--', '&&', '||' or '~~' is not honoured here"
            )
        if char == "\\":
            if pattern[position + 1 : position + 2] in {"b", "B", "A"}:
                raise Refused(
                    path, "\\b, \\B and \\A inside a character class are not honoured here"
                )
            position = _escape(pattern, position, path)
        else:
            position += 1
    if position >= len(pattern):
        raise InvalidRegexError("missing closing ]")
    return position + 1
