"""Links only as they are: none stands behind other words, so that people see where it leads.

Discord shows `[text](https://address)` as the text alone. With a space after the bracket it shows
both, and the address can be followed as it is. Code is left as it is.
"""

from __future__ import annotations

import re

_MASK = re.compile(r"\]\((?=\s|<|[A-Za-z][\w+.-]{0,12}://)")
# What at the end of a piece may still become one, or a fence.
_OPEN = re.compile(r"(?:\](?:\((?:[A-Za-z][\w+.-]{0,12}(?::/?)?)?)?|`+)\Z")
_FENCE = re.compile(r"(`{3,})")


class LinkUnmasker:
    """Takes the mask off links in a text that comes piece by piece."""

    def __init__(self) -> None:
        self._held = ""
        self._in_fence = False

    def feed(self, piece: str) -> str:
        """Take a piece; gives what can be shown by now."""
        if not self._held and "]" not in piece and "`" not in piece:
            return piece
        text = self._held + piece
        still_open = _OPEN.search(text)
        end = still_open.start() if still_open else len(text)
        self._held = text[end:]
        return self._unmasked(text[:end])

    def flush(self) -> str:
        """Give the rest."""
        rest, self._held = self._held, ""
        return self._unmasked(rest)

    def _unmasked(self, text: str) -> str:
        parts = _FENCE.split(text)  # every other one is a fence
        for number in range(len(parts)):
            if number % 2:
                self._in_fence = not self._in_fence
            elif not self._in_fence:
                parts[number] = _MASK.sub("] (", parts[number])
        return "".join(parts)
