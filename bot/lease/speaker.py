"""What a Lease tells the one that holds it, and how it came free."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class How(enum.Enum):
    """How a Lease came free. After all but the first, nobody knows what was left undone."""

    LET_GO = "let go"
    OURS = "ours from before"
    ENDED = "its holder ended"
    GONE = "its holder's pod is gone"
    EXPIRED = "it expired"


class Speaker(Protocol):
    """Who is told when this process begins and ends to speak for a shard."""

    def notes(self, shard: int) -> Mapping[str, str]:
        """Write down what a successor has to know."""

    def able(self, shard: int) -> bool:
        """Whether it could speak now."""

    def heed(self, shard: int, notes: Mapping[str, str]) -> None:
        """Read what another speaker wrote down."""

    def pause(self, shard: int) -> None:
        """Take nothing more: the Lease will go to another as soon as `idle`."""

    def idle(self, shard: int) -> bool:
        """Whether nothing that was taken is unfinished."""

    def gave(self, shard: int) -> None:
        """Note that the Lease went to another, after a pause."""

    def begin(self, shard: int, how: How, notes: Mapping[str, str]) -> None:
        """Begin to speak."""

    def end(self, shard: int, why: str) -> None:
        """Stop at once, what is half said included: another may speak any moment."""
