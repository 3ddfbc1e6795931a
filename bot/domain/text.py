"""Text that can be written as UTF-8, whatever JSON or a terminal made of it. Pure.

Text that shows nothing: white space, and what Unicode has that is invisible; and text of which
one can read a word. Pure.

The first few of many, and how many more there are. Pure.

How many tokens a text is, estimated on the safe side without a tokenizer.

A tokenizer is exact for one family of models, weighs tens of megabytes, and costs more than all
else that is done for an answer. The estimate is meant to be too much rather than too
little. Beside OpenAI's o200k_base it gives, for the texts in tests/bot/unit/test_tokens.py, 1.2 to
1.6 times the tokens of prose, code, JSON and addresses in Latin letters, and up to 4 times those of
other scripts. Too little it gives for slang (0.9), for what has no words in it (base64: 0.6) and
for a few scripts that the tokenizer hardly knows (Amharic: 0.7). The bound is our own, far below
any model's context, so that this costs a little money and no answer.
"""

from __future__ import annotations

import string
import unicodedata
from typing import TYPE_CHECKING

import regex

if TYPE_CHECKING:
    from collections.abc import Sequence


def sanitize(text: str) -> str:
    r"""Give `text` with its characters whole: halves that belong together joined, others as U+FFFD.

    JSON may hold half a character, such as "\ud83d"; the model's provider takes none.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


# Controls, formats (zero width spaces, joiners, marks of direction), halves of a character, spaces.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"})
# Letters, signs and marks that have no shape of their own: fillers, the empty Braille cell,
# variation selectors.
_SHAPELESS = frozenset(
    map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0))
) | frozenset(map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))


def is_blank(text: str) -> bool:
    """Say whether a reader sees nothing of `text`; looks no further than to what they do see."""
    return all(
        character in _SHAPELESS or unicodedata.category(character) in _UNSEEN for character in text
    )


# A word and what shows that it has ended: a hyphen, an accent or a joiner belongs to it. In scripts
# that write no words apart, so many characters that it is more than a syllable.
_WORD = regex.compile(
    r"""\p{L}[\p{L}\p{M}\p{N}\p{Cf}'\u2019-]*+.
    | [\p{Han}\p{Hiragana}\p{Katakana}]{2}
    | [\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]{4}""",
    regex.VERBOSE | regex.DOTALL,
)
# Letters that are no words yet: a fence's first line, a mention or an emoji, an address.
_NO_WORDS = regex.compile(r"```[^\n]*+|<[^\s<>]*+>?|\bhttps?:\S*+")


def has_word(text: str) -> bool:
    """Say whether there is a whole word to read in a text that is still growing."""
    return _WORD.search(_NO_WORDS.sub("", text)) is not None


_SHOWN = 5


def summarize_list(entries: Sequence[str]) -> str:
    """Name the first five of `entries` and count the rest; nothing is said of none."""
    rest = len(entries) - _SHOWN
    shown = ", ".join(entries[:_SHOWN])
    return f"{shown} and {rest} more" if rest > 0 else shown


_LETTERS = string.ascii_letters.encode()
_DIGITS = string.digits.encode()
_ASCII = bytes(range(128))
PER_TURN = 8  # the role, and what separates turns
PER_IMAGE = 1600  # more than OpenAI's models take for one of 1,024 pixels in detail
SAFETY = 2  # so many times the estimate is more than a tokenizer counts, for any text tried

# The most tokens that a picture of any size is, at its highest detail: OpenAI scales it down first.
_MOST_PER_IMAGE = 4_000  # gpt-4.1-nano: 1,536 patches of 2.46 tokens
_LARGEST_IMAGES = {"gpt-4o-mini": 50_000}  # 2,833, and 5,667 for each of 8 tiles


def estimate_tokens(text: str) -> int:
    """Give the tokens of `text`: so many letters, digits, spaces and signs go into one."""
    raw = text.encode("utf-8", "surrogatepass")
    signs = raw.translate(None, _LETTERS)
    letters, size = len(raw) - len(signs), len(signs)
    signs = signs.translate(None, _DIGITS)
    digits, size = size - len(signs), len(signs)
    signs = signs.translate(None, b" ")
    spaces, size = size - len(signs), len(signs)
    wide = len(signs.translate(None, _ASCII))
    return -(-(4 * letters + 6 * digits + 3 * spaces + 12 * (size - wide) + 6 * wide) // 12)


def likely(text: str) -> int:
    """Give about as many tokens as a tokenizer counts in Latin letters: for money, not for room."""
    return -(-3 * estimate_tokens(text) // 4)


def most_per_image(model: str) -> int:
    """Give the most tokens that one picture is for a model."""
    sizes = (size for name, size in _LARGEST_IMAGES.items() if model.startswith(name))
    return next(sizes, _MOST_PER_IMAGE)


def beginning(text: str, most: int) -> str:
    """Give as much of the beginning of `text` as is `most` tokens at the most."""
    if estimate_tokens(text) <= most:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if estimate_tokens(text[:middle]) <= most:
            low = middle
        else:
            high = middle - 1
    return text[:low]
