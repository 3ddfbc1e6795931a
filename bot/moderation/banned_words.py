"""Words that a server does not want: found in questions, hidden in answers.

Letters are compared without case, accents, width, and what is invisible between them. Whole words
are meant, except in scripts that write none apart. Letters that only look alike are not caught.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


_INVISIBLE = frozenset({"Mn", "Me", "Cf"})  # accents, and joiners and the like
_UNSPACED = re.compile(  # Thai to Khmer, kana, Han, Hangul
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)
_HIDDEN = "•••"


def _plain(text: str) -> tuple[str, list[int]]:
    """`text` as it is compared, and for each of its letters where in `text` it comes from."""
    letters: list[str] = []
    origins: list[int] = []
    for place, letter in enumerate(text):
        if letter.isascii():
            letters.append(letter.lower())
            origins.append(place)
            continue
        for part in unicodedata.normalize("NFKD", letter).casefold():
            if unicodedata.category(part) not in _INVISIBLE:
                letters.append(part)
                origins.append(place)
    return "".join(letters), origins


def _visible(letter: str) -> bool:
    """Whether a letter counts when texts are compared."""
    return bool(_plain(letter)[0])


class BannedWords:
    """The words of the settings. Without any, no text is examined."""

    def __init__(self, words: Iterable[str]) -> None:
        found = {" ".join(_plain(word)[0].split()) for word in words} - {""}
        plain = sorted(found, key=len, reverse=True)
        self.longest = max((len(word) + 2 * word.count(" ") for word in plain), default=0)
        self._pattern = re.compile("|".join(map(_whole, plain))) if plain else None

    def found_in(self, text: str) -> bool:
        """Whether one of them is in `text`."""
        return self._pattern is not None and self._pattern.search(_plain(text)[0]) is not None

    def places(self, text: str) -> list[tuple[int, int]]:
        """Where they are in `text`, from and to."""
        if self._pattern is None:
            return []
        plain, origins = _plain(text)
        found = (hit.span() for hit in self._pattern.finditer(plain))
        return [(origins[start], origins[end - 1] + 1) for start, end in found]

    @property
    def open_letters(self) -> int:
        """How many letters at the end of a text a word may still cross.

        One of them says whether a word ends there.
        """
        return self.longest + 1


def _whole(word: str) -> str:
    """A pattern for one word or phrase, with more white space where it has some."""
    inner = r"\s{1,3}".join(map(re.escape, word.split()))
    before = "" if _UNSPACED.match(word[0]) else r"(?<!\w)"
    after = "" if _UNSPACED.match(word[-1]) else r"(?!\w)"
    return f"{before}{inner}{after}"


class WordMasker:
    """Masks the words in a text that arrives piece by piece."""

    def __init__(self, banned: BannedWords) -> None:
        self._banned = banned
        self._held = ""
        self._origins: list[int] = []  # where in it each letter that counts comes from
        self._before = (
            ""  # the letter that was let go last and is seen: a word does not begin within another
        )
        self.hidden = 0

    def feed(self, piece: str) -> str:
        """Take a piece; returns what can be shown by now."""
        self._origins += (len(self._held) + origin for origin in _plain(piece)[1])
        self._held += piece
        keep = self._banned.open_letters
        return self._let_go(self._origins[-keep]) if len(self._origins) > keep else ""

    def flush(self) -> str:
        """Return the rest."""
        return self._let_go(len(self._held))

    def _let_go(self, until: int) -> str:
        text = self._before + self._held
        shift, shown, at = len(self._before), [], len(self._before)
        for start, end in self._banned.places(text):
            if start < shift:
                continue  # let go and seen to before
            if start >= until + shift:
                break
            shown += [text[at:start], _HIDDEN]
            at = end
            self.hidden += 1
        stop = max(at, until + shift)
        shown.append(text[at:stop])
        self._held = text[stop:]
        gone = stop - shift
        kept = bisect_left(self._origins, gone)
        self._origins = [origin - gone for origin in self._origins[kept:]]
        self._before = next(filter(_visible, reversed(text[:stop])), "")
        return "".join(shown)
