r"""Cut an answer into messages that Discord takes, without breaking what it shows.

Discord's limit is 2,000 characters, counted as Unicode code points, as Python's `len` counts them
(said by Discord's staff: https://github.com/discord/discord-api-docs/issues/1315).

Markup that is open at a cut is closed there and reopened in the next part: a code fence with its
language, bold, italic, underlined, struck and hidden text, inline code, and a quote. Markup is
recognized as Discord does; an opening mark counts only if its closing mark comes later in the
answer. `Part.text` is the unchanged slice of the answer; additions are kept separately.

What fits into a message is never cut if Discord shows it as one thing (a link with its text, a
server's emoji, a mention, a timestamp) or a reader sees it as one character (an extended grapheme
cluster of UAX #29). A list item moves to the next message as a whole rather than being split.

The work is linear in the text: per part, one pass over its tokens and a few searches for a pause.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

import regex

LIMIT: Final = 2000
LOOKAHEAD: Final = 2000  # characters after a cut in which a mark must be closed to count

_CLUSTER: Final = regex.compile(r"\X")
_FENCE: Final = re.compile(r"`{3,}(?:([A-Za-z0-9_+.#-]{1,32})?\n)?")
# A label may have brackets in it, one level deep; Discord takes 500 characters to be enough.
_LABEL: Final = r"\[(?:[^\[\]\n]|\[[^\[\]\n]{0,200}+\]){0,500}+"
_TOKEN: Final = re.compile(
    rf"""(?=[\\`\[<h*_~|>])(?:
      (?P<mark> (?<!\s)\*++ | \*++(?!\s) | _++ | ~~ | \|\| )
    | (?P<escape> \\[^\w\s] )
    | (?P<fence> `{{3,}}+(?:[A-Za-z0-9_+.#-]{{0,32}}\n)? )
    | (?P<code> `{{1,2}} )
    | (?P<thing>
          {_LABEL}\]\(<?(?:https?|mailto|tel):(?:[^\s()]|\([^\s()]*+\))*+>?(?:\s"[^"\n]*+")?\)
        | <?https?://[^\s<>]++>?
        | <(?:@[!&]?|\#|a?:\w{{1,32}}:|t:-?|/[^<>\n]{{1,100}}:|id:)\w{{1,20}}(?::[a-zA-Z])?>
      )
    | (?P<block> ^>>>\  )
    )""",
    re.VERBOSE | re.MULTILINE,
)
# What may still become a thing when more of the answer has come.
_UNFINISHED: Final = re.compile(
    rf"""(?:
          {_LABEL}(?:\[[^\[\]\n]*+)?
          (?:\](?:\(<?(?:[^\s()<>]|\([^\s()]*+\)?)*+>?(?:\s(?:"[^"\n]*+"?)?)?)?)?
        | <(?:@|\#|a?:|t:|/|id:)[^<>\s]{{0,120}}+
        )\Z""",
    re.VERBOSE,
)
# An item of a list: its line, and the lines below that are set in.
_ITEM: Final = re.compile(
    r"^[ \t]*+(?:[-*+]|\d{1,3}[.)])[ \t]++[^\n]*+\n?(?:[ \t]++\S[^\n]*+\n?)*+", re.MULTILINE
)
_LINE_START: Final = re.compile(r"(?:> )?(?:-\# |\#{1,3} )?")
# White space that a character ends with: what is added to it comes after it, without a break.
_SPACE: Final = r"(?:\s(?![\p{GCB=Extend}\p{GCB=SpacingMark}\p{GCB=ZWJ}])(?<!\r(?=\n)))"
_LAST_PAUSES: Final = (
    "\n\n",
    "\n",
    regex.compile(rf"(?r)[.!?:;…]{_SPACE}"),
    regex.compile(rf"(?r){_SPACE}"),
)
_STEPS: Final = 32  # down from a place inside of a character, before longer ones are looked for
_MARKS: Final = frozenset("*_~|`")


@dataclass(frozen=True, slots=True)
class Markup:
    """What is open at a place: a fence by its first line, or marks in a quote, outermost first."""

    fence: str = ""
    marks: tuple[str, ...] = ()
    quote: str = ""

    @property
    def closing(self) -> str:
        """What closes it, after a text that does not end with a new line."""
        return _CLOSING if self.fence else "".join(reversed(self.marks))


_CLOSING: Final = "\n```"
_ROOM: Final = 40  # for what is closed and opened again around a thing that stays whole
_PLAIN: Final = Markup()


@dataclass(frozen=True, slots=True)
class Part:
    """One message: a slice of the answer, and what was open at its beginning and at its end."""

    text: str
    before: Markup = _PLAIN
    after: Markup = _PLAIN

    @property
    def content(self) -> str:
        """What Discord is given. Marks stand next to words: beside a space some do not count."""
        start, end, words = self.before, self.after, self.text
        opening = start.fence or start.quote
        if (start.marks or end.marks) and (inner := words.strip()):
            at = words.index(inner)
            head, tail = words[:at], words[at + len(inner) :]
            marks = "".join(start.marks)
            closing = end.closing if end.marks else ""
            # Three backticks in a row would be a fence.
            marks = marks.rstrip("`") if inner.startswith("`") else marks
            closing = closing.lstrip("`") if inner.endswith("`") else closing
            words = f"{head}{marks}{inner}{closing}{tail}"
        if end.fence:
            words += "```" if words.endswith("\n") else _CLOSING
        return f"{opening}{words}"


@dataclass(frozen=True, slots=True)
class SplitPosition:
    """Where the next part begins, and what is open there."""

    position: int = 0
    markup: Markup = _PLAIN


def split(text: str, limit: int = LIMIT) -> list[Part]:
    """Cut the whole of `text`; an empty text has no parts."""
    parts: list[Part] = []
    place = SplitPosition()
    while place.position < len(text):
        part, place = next_part(text, place, limit)
        parts.append(part)
    return parts


def next_part(
    text: str, place: SplitPosition, limit: int = LIMIT, *, growing: bool = False
) -> tuple[Part, SplitPosition]:
    """Cut one part off at `place`, and say where the following one begins.

    A growing answer is cut from its last place on, so what was once filled never changes again.
    While that place depends on what has not come yet, the part is given as the last one there is.
    `limit` is at least 100.
    """
    start = place.position
    scan = _Scan(text[start : start + 2 * limit], place.markup, limit, growing=growing)
    if start + limit >= len(text):
        rest = text[start:]
        last = Part(rest, place.markup, scan.at_end(len(rest)))
        if len(last.content) <= limit:
            return last, SplitPosition(len(text))
    size = _best_cut(scan, limit)
    after, certain = _open_at(text, start, size, scan, growing=growing)
    part = Part(text[start : start + size], place.markup, after)
    return part, SplitPosition(start + size, after) if certain else SplitPosition(len(text))


def open_fence(text: str) -> str:
    """The opening line of the fence that is open at the end of `text`; empty if none is."""
    opening = ""
    for token in _FENCE.finditer(text):
        opening = "" if opening else f"```{token[1] or ''}\n"
    return opening


def is_boundary(text: str, at: int) -> bool:
    """Whether a cut at `at` splits no character that a reader sees as one."""
    if not 0 < at < len(text):
        return True
    pair = text[at - 1 : at + 1]
    if pair.isascii():
        return pair != "\r\n"
    cluster = _CLUSTER.match(text, at - 1, at + 1)
    return cluster is None or cluster.end() == at


@dataclass(slots=True)
class _Intervals:
    """Stretches of a text, in order, at whose inner places it must not be cut."""

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def add(self, start: int, end: int) -> None:
        """Add a stretch that begins no earlier than those before."""
        self.starts.append(start)
        self.ends.append(end)

    def around(self, at: int) -> int | None:
        """Where the stretch begins that a cut at `at` would go through; None if none does."""
        index = bisect_right(self.starts, at - 1) - 1
        return self.starts[index] if index >= 0 and at < self.ends[index] else None


class _Scan:
    """One pass over what the next part may have: what is open where, and what must stay whole."""

    def __init__(self, text: str, markup: Markup, limit: int, *, growing: bool) -> None:
        self.text = text
        self.things = _Intervals()  # links, emoji, mentions
        self.fences = _Intervals()
        self._places = [0]  # from where on `_states` holds
        self._states = [(markup.fence, markup.marks, markup.quote)]
        self._room = limit - _ROOM
        self._read(markup, limit)
        if growing and (begun := _UNFINISHED.search(text, max(0, len(text) - self._room))):
            self.things.add(begun.start(), len(text) + 1)

    def at(self, place: int) -> Markup:
        """What is open before the character at `place`, if every mark is closed in the end."""
        return Markup(*self._states[bisect_right(self._places, place) - 1])

    def at_end(self, size: int) -> Markup:
        """What has to be closed at the end of the answer: a fence, and marks of earlier parts."""
        last, first = self.at(size), self.at(0)
        if last.fence:
            return Markup(last.fence)
        pairs = zip(first.marks, last.marks, strict=False)
        return Markup("", tuple(a for a, b in pairs if a == b))

    def parts_mark(self, at: int) -> bool:
        """Whether a cut there goes through a mark, or stands where one opens or closes nothing."""
        before, after = self.text[at - 1], self.text[at : at + 1]
        if before == "\\" or (before == after and after in _MARKS):
            return True
        index = bisect_right(self._places, at) - 1
        fence, marks, _ = self._states[index]
        if index and self._places[index] == at:
            earlier = self._states[index - 1]
            if (fence and not earlier[0]) or len(marks) > len(earlier[1]):
                return True
        # Directly before what closes there is nothing left to show in the next part.
        if after not in _MARKS or index + 1 == len(self._places):
            return False
        later = self._states[index + 1]
        closes = (fence and not later[0]) or len(later[1]) < len(marks)
        return bool(closes) and self._places[index + 1] <= at + len("***")

    def _read(self, markup: Markup, limit: int) -> None:  # noqa: C901, PLR0912, PLR0915  # a branch a token
        """Follow what opens and closes; of what lies behind the limit only one token is read."""
        text, places, states, things = self.text, self._places, self._states, self.things
        fence, marks, quote = markup.fence, markup.marks, markup.quote
        fence_at, longest = -1, len(markup.closing)
        for token in _TOKEN.finditer(text):
            kind, found = token.lastgroup, token[0]
            start, end = token.span()
            if start > limit:
                break
            had = marks
            # Marks come first: a text may consist of them.
            if kind == "mark":
                if fence or (marks and marks[-1][0] == "`"):
                    continue
                if marks and marks[-1] == found and found not in _TIGHT:
                    marks = marks[:-1]
                else:
                    for mark in _SINGLE.get(found, ()):
                        marks = _toggled(text, marks, mark, start, end)
                    if marks is had:
                        continue
            elif fence:
                if kind != "fence":
                    continue
                fence = ""
                end = start + len(found) - len(found.lstrip("`"))
                self.fences.add(fence_at, end)
            elif kind == "fence":
                fence, marks, fence_at = f"```{found.strip('`' + chr(10))}\n", (), start
                longest = max(longest, len(_CLOSING))
            elif marks and marks[-1][0] == "`":
                if kind != "code" or found != marks[-1]:
                    continue
                marks = marks[:-1]
            elif kind == "code":
                if text.find(found, end) < 0:
                    continue
                marks = (*marks, found)
            elif kind == "thing":
                if end - start <= self._room:
                    things.add(start, end)
                if marks and found[0] != "[":  # it ends what was open: Discord looks for that
                    for mark in [each for each in marks if each in found]:
                        marks = _toggled(text, marks, mark, end, end)
                if marks is had:
                    continue
            elif kind == "block":
                quote = ">>> "
            else:  # an escaped sign
                continue
            places.append(end)
            states.append((fence, marks, quote))
        opened = {state[1] for state in states}
        self.longest_closing = max(longest, *(sum(map(len, each)) for each in opened))
        if fence:
            self.fences.add(fence_at, len(text) + 2)


_TOGETHER: Final = frozenset({"***", "___"})
_TIGHT: Final = frozenset({"*", "_"})  # these close nothing after a space


# Three in a row are two marks.
_SINGLE: Final = {
    **{mark: (mark,) for mark in ("*", "**", "_", "__", "~~", "||")},
    "***": ("**", "*"),
    "___": ("__", "_"),
}


def _toggled(text: str, marks: tuple[str, ...], mark: str, start: int, end: int) -> tuple[str, ...]:
    """Open or close a mark where Discord would."""
    if mark in marks:
        if mark in _TIGHT and text[start - 1 : start].isspace():
            return marks
        at = marks.index(mark)
        # `***both***` is closed as one run, in whichever order.
        inner = marks[at + 1 :] if text[start:end] in _TOGETHER else ()
        return (*marks[:at], *inner)
    following = text[end : end + 1]
    if not following or following.isspace():
        return marks
    if mark == "_" and text[start - 1 : start].isalnum():
        return marks  # snake_case
    return (*marks, mark)


def _open_at(
    text: str, start: int, size: int, scan: _Scan, *, growing: bool
) -> tuple[Markup, bool]:
    """What is open at the cut, and whether that is certain before more of the answer has come."""
    cut, found = start + size, scan.at(size)
    if scan.text[size - 1] == scan.text[size] == "`":  # through a run longer than a message
        found = _Scan(text[start:cut], scan.at(0), size, growing=False).at(size)
    if found.fence:
        return found, True
    carried = scan.at(0).marks
    marks, certain = [], True
    for number, mark in enumerate(found.marks):
        if carried[number : number + 1] == (mark,) or _is_closed(text, mark, cut):
            marks.append(mark)
        elif growing and len(text) - cut < LOOKAHEAD:
            marks.append(mark)
            certain = False
        elif mark == "||":  # what was meant to be hidden stays hidden
            marks.append(mark)
    return Markup("", tuple(marks), _quote_at(text, start, cut, found.quote)), certain


def _is_closed(text: str, mark: str, cut: int) -> bool:
    return text.find(mark, cut, len(text) if mark == "||" else cut + LOOKAHEAD) >= 0


def _quote_at(text: str, start: int, cut: int, quote: str) -> str:
    """What the line at the cut begins with, if it goes on in the next part."""
    if quote == ">>> ":
        return quote
    line = text.rfind("\n", start, cut) + 1
    if line == cut:
        return ""
    if not line and start:
        return quote  # the line began in an earlier part
    begins = _LINE_START.match(text, max(line, start), cut)
    return begins[0] if begins and begins.end() < cut else ""


def _best_cut(scan: _Scan, limit: int) -> int:
    """How much of a text that is longer than a message goes into a part."""
    opening = scan.at(0)
    added = len(opening.fence or opening.quote) + len("".join(opening.marks))
    last = limit - added - scan.longest_closing
    items = _Intervals()
    for item in _ITEM.finditer(scan.text):
        if item.end() - item.start() <= limit - _ROOM:
            items.add(*item.span())
    for kept in ([scan.things, items], [scan.things]) if items.starts else ([scan.things],):
        size = _best_pause(scan, kept, limit, last)
        if size:
            return size
    return _anywhere(scan, last)


def _best_pause(scan: _Scan, kept: list[_Intervals], limit: int, last: int) -> int:
    """Where a reader would pause, the second half of the message before the first; 0: nowhere."""
    found = []
    for fences in ([scan.fences], []) if scan.fences.starts else ([],):
        for pause in _LAST_PAUSES[: 2 if fences else None]:
            size = _last_pause(scan, pause, [*kept, *fences], limit // 8, last)
            if size * 2 >= limit:
                return size
            found.append(size)
    return next((size for size in found if size), 0)


def _last_pause(
    scan: _Scan, pause: str | regex.Pattern[str], kept: list[_Intervals], least: int, last: int
) -> int:
    """The last pause of one kind that parts nothing that is to be kept whole; 0 if none does."""
    size = last
    while size >= least and (end := _end_of_last(pause, scan.text, size)) >= least:
        size = _before(end, kept)
        if size == end:
            if is_boundary(scan.text, end) and not scan.parts_mark(end):
                return end
            size = end - 1
    return 0


def _end_of_last(pause: str | regex.Pattern[str], text: str, size: int) -> int:
    """Where the last one in the first `size` characters ends; 0 if there is none."""
    if isinstance(pause, str):
        at = text.rfind(pause, 0, size)
        return at + len(pause) if at >= 0 else 0
    found = pause.search(text, 0, size)
    return found.end() if found else 0


def _before(at: int, kept: list[_Intervals]) -> int:
    """`at`, or where the first stretch begins that a cut there would go through."""
    for each in kept:
        start = each.around(at)
        if start is not None:
            at = min(at, start)
    return at


def _anywhere(scan: _Scan, last: int) -> int:
    """The last place between two characters: beside marks and links if it can be, or in them."""
    size, between, steps = last, 0, 0
    while size > 0 and steps < _STEPS:
        below = _before(size, [scan.things])
        if below < size:
            size = below
            continue
        steps += 1
        if is_boundary(scan.text, size):
            if not scan.parts_mark(size):
                return size
            between = between or size
        size -= 1
    return between or _between_long_characters(scan.text, size) or last


def _between_long_characters(text: str, size: int) -> int:
    """The place before the character that goes on for long up to `size`; 0 if it fills the part."""
    back = 2 * _STEPS
    while size > 0:
        at = max(0, size - back)
        while (cluster := _CLUSTER.match(text, at, size + 1)) and cluster.end() <= size:
            at = cluster.end()
        if at > max(0, size - back):
            return at
        if at == 0:
            return 0
        back *= 2
    return 0
