"""Links only as they are: none stands behind other words, so that people see where it leads.

Discord shows `[text](https://address)` as the text alone. With a space after the bracket it shows
both, and the address can be followed as it is. What Discord takes for an address has many forms
(another scheme, escapes, invisible characters), but all have a colon: with one in the parenthesis
it is parted from its bracket.
Only a code block is left as it is; what else might be code, and is for some readers of Markdown, is
not, because a mistake there would hide an address.
"""

from __future__ import annotations

import re

# An escaped character, a run of backticks, a label's end before what may be an address.
_TOKEN = re.compile(r"\\.|`+|\]\((?=[^):]{0,199}:|[^):]{200})", re.DOTALL)
# What at the end of a piece may still become one.
_OPEN = re.compile(r"(?:\\|`+|\](?:\([^):]{0,199})?)\Z")
_BLOCK = 3  # backticks


class LinkUnmasker:
    """Takes the mask off links in a text that comes piece by piece."""

    def __init__(self) -> None:
        self._held = ""
        self._ticks = 0  # that opened the code which has not been closed

    def feed(self, piece: str) -> str:
        """Take a piece; gives what can be shown by now."""
        text = self._held + piece
        still_open = _OPEN.search(text)
        end = still_open.start() if still_open else len(text)
        if still_open and (end - len(text[:end].rstrip("\\"))) % 2:
            # It is escaped, so it stays with the backslash before it: a pair of them is complete.
            end = len(text) if still_open[0] == "\\" else end - 1
        self._held = text[end:]
        return _TOKEN.sub(self._unmask, text[:end])

    def flush(self) -> str:
        """Give the rest."""
        rest, self._held = self._held, ""
        return _TOKEN.sub(self._unmask, rest)

    def _unmask(self, found: re.Match[str]) -> str:
        text, in_block = found[0], self._ticks >= _BLOCK
        if text == "](":
            return text if in_block else "] ("
        if text[0] == "\\":
            # In code nothing is escaped: a backtick behind it may close that.
            if not self._ticks or text[1] != "`":
                return text
            text = "`"
        if not self._ticks:
            self._ticks = len(text)
        elif (in_block and len(text) >= _BLOCK) or len(text) == self._ticks:
            self._ticks = 0
        return found[0]
