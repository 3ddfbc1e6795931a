"""The commit message: a part of Go's text/template, and a refusal of the rest. Pure.

Honoured: text, comments, trim markers, fields (`.Changed.Changes`, `$change.NewValue`), `range`
with or without variables, `if`/`else`, `end`, and the functions in FUNCTIONS, also by pipe.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.loop.image_controllers.model import Refused
from tests.loop.image_controllers.template_expressions import (
    DOT,
    Scope,
    Value,
    pipeline,
    variables_in,
)
from tests.loop.image_controllers.template_values import PATH, items_of, shown

_ACTION = re.compile(r"\{\{(?P<left>-(?=\s))?(?P<body>.*?)(?P<right>(?<=\s)-)?\}\}", re.DOTALL)
_COMMENT = re.compile(r"\{\{(?:-\s)?/\*.*\*/(?:\s-)?\}\}", re.DOTALL)
_RANGE = re.compile(
    r"range\s+(?:(?:\$(?P<key>\w+)\s*,\s*)?\$(?P<value>\w+)\s*:=)?(?P<over>.*)", re.DOTALL
)
_Node = Callable[[Scope], str]


@dataclass(frozen=True)
class Template:
    """A parsed message template."""

    nodes: tuple[_Node, ...]

    def render(self, data: object) -> str:
        """Fill in the data. Raises Refused or RemovedFieldError."""
        scope = {DOT: data, "$": data}
        return "".join(node(scope) for node in self.nodes)


def parse(text: str) -> Template:
    """Parse a template. Raises Refused with what is not honoured."""
    nodes, closing = _block(_pieces(text))
    _check_variables(text)
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
        if "/*" not in action["body"]:
            yield True, action["body"].strip()
        elif not _COMMENT.fullmatch(action[0]):
            raise Refused(PATH, f"{action[0]} is not a comment where Go sees one")
        end, trim = action.end(), bool(action["right"])
    rest = text[end:]
    if "{{" in rest:
        raise Refused(PATH, "unclosed action")
    yield False, rest.lstrip(" \t\r\n") if trim else rest


def _check_variables(text: str) -> None:
    """Refuse a variable that no `range` around it declares, also where no run comes by."""
    declared: list[set[str]] = [{"$"}]
    for is_action, body in _pieces(text):
        header = _RANGE.fullmatch(body) if is_action else None
        used = variables_in(header["over"] if header else body) if is_action else set()
        if unknown := used - set().union(*declared):
            raise Refused(PATH, f"undefined variable {min(unknown)}")
        if header:
            declared.append({f"${header[name]}" for name in ("key", "value")})
        elif is_action and body.startswith("if"):
            declared.append(set())
        elif is_action and body == "end":
            declared.pop()


def _block(pieces: Iterator[tuple[bool, str]]) -> tuple[tuple[_Node, ...], str | None]:
    """Parse up to the `end` or `else` that closes this block, which is returned too."""
    nodes: list[_Node] = []
    for is_action, body in pieces:
        word = body.split(maxsplit=1)[0] if is_action and body else ""
        if not is_action:
            nodes.append(_text(body))
        elif word in {"end", "else"}:
            return tuple(nodes), body
        elif word == "range":
            nodes.append(_range(body, pieces))
        elif word == "if":
            nodes.append(_if(body.removeprefix("if"), pieces))
        else:
            nodes.append(_print(pipeline(body)))
    return tuple(nodes), None


def _text(body: str) -> _Node:
    return lambda _scope: body


def _print(value: Value) -> _Node:
    return lambda scope: shown(value(scope))


def _range(body: str, pieces: Iterator[tuple[bool, str]]) -> _Node:
    header = _RANGE.fullmatch(body)
    over = pipeline(header["over"] if header else "")
    nodes, otherwise = _branches(pieces, chain=False)
    key, name = (header["key"], header["value"]) if header else (None, None)

    def render(scope: Scope) -> str:
        found = items_of(over(scope))
        out = []
        for place, item in found:
            inner = {**scope, DOT: item}
            inner |= {f"${key}": place} if key else {}
            inner |= {f"${name}": item} if name else {}
            out += [node(inner) for node in nodes]
        return "".join(out if found else (node(scope) for node in otherwise))

    return render


def _if(condition: str, pieces: Iterator[tuple[bool, str]]) -> _Node:
    test = pipeline(condition)
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
