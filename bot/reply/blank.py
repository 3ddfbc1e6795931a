"""Text that shows nothing: white space, and what Unicode has that is invisible. Pure."""

from __future__ import annotations

import unicodedata

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
