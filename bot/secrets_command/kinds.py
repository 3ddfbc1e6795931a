"""The two secrets: what each is for, how it is tried, and how a person comes by a new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.credentials.forms import not_discord, not_openai
from bot.secrets_command import services

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.secrets_command.services import Verdict
    from bot.settings.schema import Settings

_DISCORD_STEPS = """\
1. Open https://discord.com/developers/applications, your application, Bot.
2. Press Reset Token and copy the new one. From that moment the old token is dead: the bot is away
   until this command has set the new one, and then answers what was asked meanwhile.
3. Paste it here."""
_OPENAI_STEPS = """\
1. Open https://platform.openai.com/api-keys and create a new key. Leave the old one as it is.
2. Paste the new key here. The bot changes over without losing an answer.
3. Revoke the old key when this command says that the bot uses the new one."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One secret: `name` in the vault, `credential` in the bot's metrics."""

    name: str
    credential: str
    service: str
    steps: str
    overlap: bool  # whether the old value goes on working beside the new one
    wrong: Callable[[str], str | None]
    attempt: Callable[[Settings, str], Awaitable[Verdict]]


def kinds(settings: Settings) -> dict[str, Kind]:
    """Both, by the name that a person gives on the command line."""
    token = Kind(
        name=settings.credentials.discord_secret,
        credential="discord",
        service="Discord",
        steps=_DISCORD_STEPS,
        overlap=False,
        wrong=not_discord,
        attempt=services.discord,
    )
    key = Kind(
        name=settings.credentials.openai_secret,
        credential="openai",
        service="the model's provider",
        steps=_OPENAI_STEPS,
        overlap=True,
        wrong=not_openai,
        attempt=services.openai,
    )
    return {"discord-token": token, "openai-api-key": key}
