"""The first few of many, and how many more there are. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHOWN = 5


def first_few(entries: Sequence[str]) -> str:
    """Name the first five of `entries` and count the rest; nothing is said of none."""
    rest = len(entries) - _SHOWN
    shown = ", ".join(entries[:_SHOWN])
    return f"{shown} and {rest} more" if rest > 0 else shown
