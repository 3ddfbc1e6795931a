"""The value of a credential that is in use, and what is known of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bot.credentials.keyvault import Version

Source = Literal["file", "keyvault", "environment"]


@dataclass(frozen=True, slots=True)
class Held:
    """A value, where it came from, and what Key Vault says of it, as far as that is known."""

    value: str = field(repr=False)
    source: Source
    version: Version | None = None
    taken: float = field(default_factory=time.time)
