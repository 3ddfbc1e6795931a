"""Setter comments: which scalars a file marks, and the same file with those scalars changed. Pure.

`newTag: main-1-abcdef0 # {"$imagepolicy": "flux-system:discord-sky:tag"}`: the comment names a
policy, and with `:tag`, `:name` or `:digest` a part of its latest image. Only the text of the
marked scalar is touched. (Flux writes the file anew by its YAML printer, which may also indent
differently; the values are the same.)
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import yaml

from tests.loop.image_controllers.model import Json, Refused

MARKER = "$imagepolicy"
TOKEN = f'"{MARKER}"'  # a file without it is not read any further, as in Flux
_ANYWHERE = re.compile(r"(?:^|[ \t])#+([ \t]*\{[^\r\n]*\"\$imagepolicy\"[^\r\n]*)", re.MULTILINE)
_COMMENT = re.compile(r"[ \t]+#+([^\r\n]*)")
# Every value comes from an image reference, so no style of scalar needs an escape for it.
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]*|")
_BLOCKS = frozenset("|>")  # they end on a line of their own


class UpdateError(ValueError):
    """The files cannot be brought in line with the policies."""


@dataclass(frozen=True)
class ObjectId:
    """Which object of a file changed; a kustomization.yaml has no name."""

    api_version: str
    kind: str
    name: str
    namespace: str


@dataclass(frozen=True)
class Change:
    """One marked scalar that got another value."""

    setter: str
    old: str
    new: str


@dataclass(frozen=True)
class Edited:
    """A file's new text, what changed in which object, and the setters that have no value."""

    text: str
    changes: tuple[tuple[ObjectId, Change], ...]
    unknown: tuple[str, ...]


def setter_values(policies: list[Json]) -> dict[str, str]:
    """Map each setter (`ns:name`, `:tag`, `:name`, `:digest`) to its value.

    Every policy given has a latest image. Raises UpdateError.
    """
    values = {}
    for policy in policies:
        ref = policy["status"]["latestRef"]
        digest = ref.get("digest") or ""
        setter = f"{policy['metadata']['namespace']}:{policy['metadata']['name']}"
        values[setter] = f"{ref['name']}:{ref['tag']}" + (f"@{digest}" if digest else "")
        values[f"{setter}:tag"] = ref["tag"]
        values[f"{setter}:name"] = ref["name"]
        values[f"{setter}:digest"] = digest
    for value in values.values():
        if not _SAFE.fullmatch(value):
            raise UpdateError(f'encountered invalid image ref "{value}"')
    return values


def edit(text: str, values: Mapping[str, str]) -> Edited:
    """Set every marked scalar whose setter has a value.

    Raises UpdateError when the text is not YAML; Flux leaves such a file alone. Raises Refused for
    a setter comment that is not right behind a value: Flux has more places for it, and guesses.
    """
    try:
        marked = list(_marked(text))
        _refuse_strays(text, len(marked))
        ids = _object_ids(text) if marked else []
    except yaml.YAMLError as error:
        raise UpdateError(f"not YAML: {error}") from error
    pieces, changes, unknown, end = [], [], [], 0
    for token, setter in marked:
        new = values.get(setter)
        if new is None:
            unknown.append(setter)
        elif new != token.value:
            pieces += [text[end : token.start_mark.index], _write(token, new)]
            end = token.end_mark.index
            # The last document that begins before the scalar.
            inside = max(
                (one for one in ids if one[0] <= token.start_mark.index), key=lambda one: one[0]
            )
            changes.append((inside[1], Change(setter, token.value, new)))
    return Edited("".join([*pieces, text[end:]]), tuple(changes), tuple(unknown))


def _marked(text: str) -> Iterator[tuple[yaml.ScalarToken, str]]:
    """Find the scalars that have a setter comment right behind them, on their last line."""
    for before, token in pairwise(yaml.scan(text, Loader=yaml.SafeLoader)):
        if not isinstance(token, yaml.ScalarToken) or isinstance(before, yaml.KeyToken):
            continue
        comment = _COMMENT.match(text, token.end_mark.index)
        if comment and token.style not in _BLOCKS:
            setter = _setter_of(comment[1])
            if setter:
                yield token, setter


def _refuse_strays(text: str, marked: int) -> None:
    scalars = [
        # A block begins on the line below its mark, behind which a comment may stand.
        (
            text.find("\n", token.start_mark.index)
            if token.style in _BLOCKS
            else token.start_mark.index,
            token.end_mark.index,
        )
        for token in yaml.scan(text, Loader=yaml.SafeLoader)
        if isinstance(token, yaml.ScalarToken)
    ]
    comments = [
        text.count("\n", 0, found.start(1)) + 1
        for found in _ANYWHERE.finditer(text)
        if _setter_of(found[1]) and not any(start < found.start(1) < end for start, end in scalars)
    ]
    if len(comments) > marked:
        lines = ", ".join(map(str, comments))
        why = f"{marked} of the setter comments on lines {lines} stand right behind a value"
        raise Refused("setter comment", why)


def _setter_of(comment: str) -> str | None:
    try:
        found = json.loads(comment)
    except ValueError:
        return None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        return None
    return found.get(MARKER) or None


def _write(token: yaml.ScalarToken, value: str) -> str:
    if token.style in {'"', "'"}:
        return f"{token.style}{value}{token.style}"
    # A value that YAML 1.1 would not read as a string (123, 1e5, nothing) is quoted, as Flux does.
    return value if isinstance(yaml.safe_load(value), str) else f'"{value}"'


def _object_ids(text: str) -> list[tuple[int, ObjectId]]:
    return [
        (node.start_mark.index, _object_id(node))
        for node in yaml.compose_all(text, Loader=yaml.SafeLoader)
    ]


def _object_id(document: yaml.Node | None) -> ObjectId:
    top = _strings(document)
    meta = _strings(next((v for k, v in _pairs(document) if k.value == "metadata"), None))
    return ObjectId(
        top.get("apiVersion", ""),
        top.get("kind", ""),
        meta.get("name", ""),
        meta.get("namespace", ""),
    )


def _pairs(node: yaml.Node | None) -> list[tuple[yaml.Node, yaml.Node]]:
    return list(node.value) if isinstance(node, yaml.MappingNode) else []


def _strings(node: yaml.Node | None) -> dict[str, str]:
    return {k.value: v.value for k, v in _pairs(node) if isinstance(v, yaml.ScalarNode)}
