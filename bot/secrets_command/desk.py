"""What every subcommand works with: the person, the vault, the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.credentials.azure_vault import AzureVault
    from bot.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever sits at the terminal: is told sentences, and types a value that is not shown."""

    say: Callable[[str], None]
    type_unseen: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beside the subcommand and the secret."""

    expires_days: int | None = 90
    wait: float = 300.0
    watch: bool = True
    metrics_url: str | None = None
    namespace: str = "discord-sky"
    unchecked: bool = False


@dataclass(frozen=True, slots=True)
class Desk:
    """One run of the command."""

    person: Person
    settings: Settings
    vault: AzureVault
    options: Options


class Refused(Exception):
    """The command stops here and nothing was changed; the message says why."""
