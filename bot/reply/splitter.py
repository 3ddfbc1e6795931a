"""Cut an answer into messages that Discord takes, without breaking what it shows.

Discord's limit is 2,000 characters, counted as Unicode code points, as Python's `len` counts them
(said by Discord's staff: https://github.com/discord/discord-api-docs/issues/1315).

A code fence is what Discord takes for one: every run of three or more backticks opens or closes,
wherever it stands in the line. A fence that is open at a cut is closed there and opened again,
with its language, in the next part. `Part.text` is the untouched slice of the answer; what was
added stands beside it.

Never cut, as long as it fits into a message: what Discord shows as one thing (a link, with its
words if it has some, an emoji of a server, a mention, a time) and what a reader sees as one
character. An item of a list goes whole into the next message rather than in two.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


LIMIT = 2000
_LANGUAGE_ROOM = 32  # no language's name is longer; what is longer is not taken for one
_TOKEN = re.compile(r"`{3,}(?:([A-Za-z0-9_+.#-]{1,32})?\n)?")
_CLOSING = "\n```"
_JOINER = "\u200d"
# Characters that change the one before them: skin tones, and the letters of subdivision flags.
_MODIFIERS = (("\U0001f3fb", "\U0001f3ff"), ("\U000e0020", "\U000e007f"))
# What Discord shows as one thing. Of a link that has words, both; of a bare one, to its end.
_WHOLE = re.compile(
    r"\[[^\[\]\n]{0,500}\]\(<?https?://[^\s)]*>?\)"
    r"|<?https?://[^\s<>]+>?"
    r"|<(?:@[!&]?|\#|a?:\w{1,32}:|t:-?|/[^<>\n]{1,100}:|id:)\w{1,20}(?::[a-zA-Z])?>"
)
# An item of a list: its line, and the lines below that are set in.
_ITEM = re.compile(
    r"^[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+[^\n]*\n?(?:[ \t]+\S[^\n]*\n?)*", re.MULTILINE
)
_FLAGS = ("\U0001f1e6", "\U0001f1ff")  # regional indicators: two of them make one flag


@dataclass(frozen=True, slots=True)
class Part:
    """One message: a slice of the answer, and the fence lines that were added around it."""

    text: str
    opening: str = ""
    closing: str = ""

    @property
    def content(self) -> str:
        """What Discord is given."""
        return f"{self.opening}{self.text}{self.closing}"


@dataclass(frozen=True, slots=True)
class SplitPosition:
    """Where the next part begins, and the opening line of the fence that is open there, if any."""

    position: int = 0
    opening: str = ""


def split(text: str, limit: int = LIMIT) -> list[Part]:
    """Cut the whole of `text`; an empty text has no parts."""
    parts: list[Part] = []
    place = SplitPosition()
    while place.position < len(text):
        part, place = next_part(text, place, limit)
        parts.append(part)
    return parts


def next_part(text: str, place: SplitPosition, limit: int = LIMIT) -> tuple[Part, SplitPosition]:
    """Cut one part off at `place`, and say where the following one begins.

    A growing answer is cut from its last place on, so what was once filled never changes again.
    `limit` is at least 100.
    """
    rest = text[place.position : place.position + limit + 1]
    whole = _closed(rest, place.opening)
    if place.position + len(rest) == len(text) and len(whole.content) <= limit:
        return whole, SplitPosition(len(text))
    ahead = text[place.position : place.position + 2 * limit]
    size = _best_cut(rest, place.opening, limit, _Unbroken(ahead, limit))
    part = _closed(rest[:size], place.opening)
    return part, SplitPosition(place.position + size, open_fence(part.text, place.opening))


def _closed(text: str, opening: str) -> Part:
    """Make a part of `text`, its fence closed if one is open at its end."""
    if not open_fence(text, opening):
        return Part(text, opening)
    return Part(text, opening, "```" if text.endswith("\n") else _CLOSING)


def open_fence(text: str, opening: str = "") -> str:
    """The opening line of the fence that is open at the end of `text`; empty if none is."""
    for token in _TOKEN.finditer(text):
        opening = "" if opening else f"```{token[1] or ''}\n"
    return opening


class _Unbroken:
    """Knows which cuts go through something whole: a link or an emoji, an item of a list."""

    def __init__(self, text: str, limit: int) -> None:
        room = limit - _LANGUAGE_ROOM - 2 * len(_CLOSING)
        self._things = _inside(_WHOLE, text, room)
        self._items = _inside(_ITEM, text, room)

    def __call__(self, size: int) -> tuple[bool, bool]:
        """Whether a cut there leaves every link whole, and every item of a list."""
        return size not in self._things, size not in self._items


def _inside(pattern: re.Pattern[str], text: str, room: int) -> set[int]:
    """Every place inside of a match that fits into a message of its own."""
    found = (match.span() for match in pattern.finditer(text))
    return {at for start, end in found if end - start <= room for at in range(start + 1, end)}


def _best_cut(text: str, opening: str, limit: int, unbroken: _Unbroken) -> int:
    """How much of `text` goes into a part that must be cut."""
    best, best_rank = 0, (False, False, False, False, False, -1, False, 0)
    for size, fenced, kind in _cuts(text, opening):
        room = limit - len(opening) - (len(_CLOSING) if fenced else 0)
        if size > room:
            break
        useful = kind > _ANYWHERE and size * 8 >= limit
        outside = not fenced
        link, item = unbroken(size)
        good_line = outside and kind >= _LINE
        rank = (link, useful, item, size * 2 >= limit, good_line, kind, outside, size)
        if rank > best_rank:
            best, best_rank = size, rank
    # Without a place at all (one cluster, or one run of backticks, fills the part) any will do.
    return best or limit - _LANGUAGE_ROOM - 2 * len(_CLOSING)


def _cuts(text: str, opening: str) -> Iterator[tuple[int, bool, int]]:
    """Every place for a cut in `text`: its size, whether a fence is open there, how good it is."""
    at, fenced = 1, bool(opening)
    for token in _TOKEN.finditer(text):
        # Directly before a closing fence there is nothing left to show in the next part.
        yield from _cuts_between(text, at, token.start() - fenced, fenced=fenced)
        ticks = len(token[0]) - len(token[0].lstrip("`"))
        # Directly after an opening line there is nothing yet to show in this one.
        at = token.start() + ticks if fenced else token.end() + 1
        fenced = not fenced
    yield from _cuts_between(text, at, len(text) - 1, fenced=fenced)


def _cuts_between(
    text: str, first: int, last: int, *, fenced: bool
) -> Iterator[tuple[int, bool, int]]:
    for size in range(max(first, 1), min(last, len(text) - 1) + 1):
        kind = _kind(text[size - 2 : size], text[size])
        if kind is not None:
            yield size, fenced, kind


_ANYWHERE, _WORD, _SENTENCE, _LINE, _PARAGRAPH = range(5)


def _kind(before: str, after: str) -> int | None:
    """How good a cut between `before` (two characters) and `after` is; None if it breaks one."""
    if before.endswith("\n"):
        return _PARAGRAPH if before == "\n\n" else _LINE
    if before[-1:].isspace():
        return _SENTENCE if before[0] in ".!?:;…" else _WORD
    if after.isspace() or before[-1:] == after == "`" or _one_character(before[-1:], after):
        return None
    return _ANYWHERE


def _one_character(before: str, after: str) -> bool:
    """Whether a reader sees `before` and `after` as one character."""
    if _JOINER in (before, after) or unicodedata.category(after).startswith("M"):
        return True
    if any(first <= after <= last for first, last in _MODIFIERS):
        return True
    return _FLAGS[0] <= before <= _FLAGS[1] and _FLAGS[0] <= after <= _FLAGS[1]
