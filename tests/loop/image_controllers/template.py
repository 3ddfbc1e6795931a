"""The commit message: a part of Go's text/template, and a refusal of the rest. Pure.

Honoured: text, comments, trim markers, fields (`.Changed.Changes`, `$change.NewValue`), `range`
with or without variables, `if`/`else`, `end`, and the functions in FUNCTIONS, also by pipe.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tests.loop.image_controllers.model import Refused
from tests.loop.image_controllers.template_values import FUNCTIONS, PATH, field_of, items_of, shown

_ACTION = re.compile(r"\{\{(?P<left>-(?=\s))?(?P<body>.*?)(?P<right>(?<=\s)-)?\}\}", re.DOTALL)
_WORD = re.compile(
    r'\s*(?P<string>"(?:[^"\\\n]|\\["\\nt])*"|`[^`]*`)|\s*(?P<number>-?[0-9]+)(?![\w.])'
    r"|\s*(?P<field>\$?[A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+|\$[A-Za-z0-9_]*|\.(?!\w))|\s*(?P<name>[a-zA-Z]\w*)"
    r"|\s*(?P<mark>[()|])"
)
_RANGE = re.compile(
    r"range\s+(?:(?:\$(?P<key>\w+)\s*,\s*)?\$(?P<value>\w+)\s*:=)?(?P<over>.*)", re.DOTALL
)
_Scope = Mapping[str, object]
_Value = Callable[[_Scope], object]
_Node = Callable[[_Scope], str]
_DOT = ""  # the name of `.` in a scope; `$` is the root


@dataclass(frozen=True)
class Template:
    """A parsed message template."""

    nodes: tuple[_Node, ...]

    def render(self, data: object) -> str:
        """Fill in the data. Raises Refused or RemovedFieldError."""
        scope = {_DOT: data, "$": data}
        return "".join(node(scope) for node in self.nodes)


def parse(text: str) -> Template:
    """Parse a template. Raises Refused with what is not honoured."""
    pieces = _pieces(text)
    nodes, closing = _block(pieces)
    if closing is not None:
        raise Refused(PATH, f"unexpected {{{{{closing}}}}}")
    return Template(nodes)


def _pieces(text: str) -> Iterator[tuple[bool, str]]:
    """Split into (is an action, text), with trim markers applied."""
    end, trim = 0, False
    for action in _ACTION.finditer(text):
        before = text[end : action.start()]
        before = before.lstrip(" \t\r\n") if trim else before
        yield False, before.rstrip(" \t\r\n") if action["left"] else before
        yield True, action["body"].strip()
        end, trim = action.end(), bool(action["right"])
    rest = text[end:]
    if "{{" in rest:
        raise Refused(PATH, "unclosed action")
    yield False, rest.lstrip(" \t\r\n") if trim else rest


def _block(pieces: Iterator[tuple[bool, str]]) -> tuple[tuple[_Node, ...], str | None]:
    """Parse up to the `end` or `else` that closes this block, which is returned too."""
    nodes: list[_Node] = []
    for is_action, body in pieces:
        word = body.split(maxsplit=1)[0] if is_action and body else ""
        if not is_action:
            nodes.append(_text(body))
        elif body.startswith("/*") and body.endswith("*/"):
            continue
        elif word in {"end", "else"}:
            return tuple(nodes), body
        elif word == "range":
            nodes.append(_range(body, pieces))
        elif word == "if":
            nodes.append(_if(body.removeprefix("if"), pieces))
        else:
            nodes.append(_print(_pipeline(body)))
    return tuple(nodes), None


def _text(body: str) -> _Node:
    return lambda _scope: body


def _print(value: _Value) -> _Node:
    return lambda scope: shown(value(scope))


def _range(body: str, pieces: Iterator[tuple[bool, str]]) -> _Node:
    header = _RANGE.fullmatch(body)
    over = _pipeline(header["over"] if header else "")
    nodes, otherwise = _branches(pieces, chain=False)
    key, name = (header["key"], header["value"]) if header else (None, None)

    def render(scope: _Scope) -> str:
        found = items_of(over(scope))
        out = []
        for place, item in found:
            inner = {**scope, _DOT: item}
            inner |= {f"${key}": place} if key else {}
            inner |= {f"${name}": item} if name else {}
            out += [node(inner) for node in nodes]
        return "".join(out if found else (node(scope) for node in otherwise))

    return render


def _if(condition: str, pieces: Iterator[tuple[bool, str]]) -> _Node:
    test = _pipeline(condition)
    yes, no = _branches(pieces, chain=True)
    return lambda scope: "".join(node(scope) for node in (yes if test(scope) else no))


def _branches(
    pieces: Iterator[tuple[bool, str]], *, chain: bool
) -> tuple[tuple[_Node, ...], tuple[_Node, ...]]:
    nodes, closing = _block(pieces)
    if closing == "end":
        return nodes, ()
    if closing == "else":
        others, closing = _block(pieces)
        if closing == "end":
            return nodes, others
    elif closing is not None and chain and re.match(r"else\s+if\s", closing):
        return nodes, (_if(re.sub(r"^else\s+if", "", closing), pieces),)
    raise Refused(
        PATH, f"{closing!r} where {{{{end}}}} was expected" if closing else "unexpected end"
    )


def _pipeline(text: str) -> _Value:
    words = _words(text)
    value, rest = _piped(words)
    if rest:
        raise Refused(PATH, f"{{{{{text.strip()}}}}} is not honoured")
    return value


def _words(text: str) -> list[tuple[str, str]]:
    words, end, text = [], 0, text.strip()
    while end < len(text):
        found = _WORD.match(text, end)
        if not found or found.lastgroup is None:
            raise Refused(PATH, f"{{{{{text}}}}} is not honoured")
        words.append((found.lastgroup, found[found.lastgroup]))
        end = found.end()
    return words


def _piped(words: list[tuple[str, str]]) -> tuple[_Value, list[tuple[str, str]]]:
    value, words = _command(words, None)
    while words and words[0] == ("mark", "|"):
        value, words = _command(words[1:], value)
    return value, words


def _command(
    words: list[tuple[str, str]], piped: _Value | None
) -> tuple[_Value, list[tuple[str, str]]]:
    if words and words[0][0] == "name":
        name, words = words[0][1], words[1:]
        if name not in FUNCTIONS:
            raise Refused(PATH, f"the function or keyword {name!r} is not honoured")
        arguments: list[_Value] = []
        while words and words[0] not in {("mark", "|"), ("mark", ")")}:
            argument, words = _operand(words)
            arguments.append(argument)
        given = [*arguments, *([piped] if piped else [])]
        return _call(name, given), words
    if piped is not None:
        raise Refused(PATH, "a pipe has to end in a function")
    return _operand(words)


def _call(name: str, arguments: list[_Value]) -> _Value:
    count, function = FUNCTIONS[name]
    if len(arguments) != count:
        raise Refused(PATH, f"{name} takes {count} arguments, not {len(arguments)}")
    return lambda scope: function(*(argument(scope) for argument in arguments))


def _operand(words: list[tuple[str, str]]) -> tuple[_Value, list[tuple[str, str]]]:
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


def _field(text: str) -> _Value:
    start, *names = text.split(".") if text != "." else [""]

    def look_up(scope: _Scope) -> object:
        if start not in scope:
            raise Refused(PATH, f"undefined variable {start}")
        value = scope[start]
        for name in names:
            value = field_of(value, name)
        return value

    return look_up
