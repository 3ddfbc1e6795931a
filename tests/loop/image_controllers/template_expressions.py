"""What stands between the braces: pipelines of fields, literals and functions. Pure."""

import re
from collections.abc import Callable, Mapping

from tests.loop.image_controllers.model import Refused
from tests.loop.image_controllers.template_values import FUNCTIONS, PATH, field_of

Scope = Mapping[str, object]
Value = Callable[[Scope], object]
DOT = ""  # the name of `.` in a scope; `$` is the root
_WORD = re.compile(
    r'\s*(?P<string>"(?:[^"\\\n]|\\["\\nt])*"|`[^`]*`)|\s*(?P<number>-?[0-9]+)(?![\w.])'
    r"|\s*(?P<field>(?:\$\w*)?(?:\.[A-Za-z_]\w*)+|\$\w*|\.(?!\w))"
    r"|\s*(?P<name>[a-zA-Z]\w*)|\s*(?P<mark>[()|])",
    re.ASCII,
)


def pipeline(text: str) -> Value:
    """Parse a pipeline. Raises Refused."""
    value, rest = _piped(_words_of(text))
    if rest:
        raise Refused(PATH, f"{{{{{text.strip()}}}}} is not honoured")
    return value


def variables_in(text: str) -> set[str]:
    """Return the variables an action names, `$` among them. Raises Refused."""
    fields = [word for kind, word in _words_of(text) if kind == "field"]
    return {word.split(".")[0] for word in fields if word.startswith("$")}


def _words_of(text: str) -> list[tuple[str, str]]:
    words, end, text = [], 0, text.strip()
    while end < len(text):
        found = _WORD.match(text, end)
        if not found or found.lastgroup is None:
            raise Refused(PATH, f"{{{{{text}}}}} is not honoured")
        words.append((found.lastgroup, found[found.lastgroup]))
        end = found.end()
    return words


def _piped(words: list[tuple[str, str]]) -> tuple[Value, list[tuple[str, str]]]:
    value, words = _command(words, None)
    while words and words[0] == ("mark", "|"):
        value, words = _command(words[1:], value)
    return value, words


def _command(
    words: list[tuple[str, str]], piped: Value | None
) -> tuple[Value, list[tuple[str, str]]]:
    if words and words[0][0] == "name":
        name, words = words[0][1], words[1:]
        if name not in FUNCTIONS:
            raise Refused(PATH, f"the function or keyword {name!r} is not honoured")
        arguments: list[Value] = []
        while words and words[0] not in {("mark", "|"), ("mark", ")")}:
            argument, words = _operand(words)
            arguments.append(argument)
        given = [*arguments, *([piped] if piped else [])]
        return _call(name, given), words
    if piped is not None:
        raise Refused(PATH, "a pipe has to end in a function")
    return _operand(words)


def _call(name: str, arguments: list[Value]) -> Value:
    count, function = FUNCTIONS[name]
    if len(arguments) != count:
        raise Refused(PATH, f"{name} takes {count} arguments, not {len(arguments)}")
    return lambda scope: function(*(argument(scope) for argument in arguments))


def _operand(words: list[tuple[str, str]]) -> tuple[Value, list[tuple[str, str]]]:
    if not words:
        raise Refused(PATH, "an empty action or argument")
    (kind, text), rest = words[0], words[1:]
    if (kind, text) == ("mark", "("):
        value, rest = _piped(rest)
        if not rest or rest[0] != ("mark", ")"):
            raise Refused(PATH, "a parenthesis is not closed")
        return value, rest[1:]
    if kind == "string":
        literal = text[1:-1] if text[0] == "`" else _unescape(text[1:-1])
        return lambda _scope: literal, rest
    if kind == "number":
        return lambda _scope: int(text), rest
    if kind == "field":
        return _field(text), rest
    raise Refused(PATH, f"{text!r} is not honoured here")


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text)


def _field(text: str) -> Value:
    start, *names = text.split(".") if text != "." else [""]

    def look_up(scope: Scope) -> object:
        if start not in scope:
            raise Refused(PATH, f"undefined variable {start}")
        value = scope[start]
        for name in names:
            value = field_of(value, name)
        return value

    return look_up
