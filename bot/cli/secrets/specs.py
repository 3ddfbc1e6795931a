"""The two secrets: what each is for, how it is tried, and how to get a new value.

Also explains which role on the vault is missing, with the command that grants it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.cli.secrets import probe
from bot.credentials.credential import not_discord, not_openai
from bot.credentials.keyvault import VaultTrouble

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.cli.secrets.actions import SecretsSession
    from bot.cli.secrets.probe import Verdict
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
class SecretSpec:
    """One secret: `name` in the vault, `credential` in the bot's metrics."""

    name: str
    credential: str
    service: str
    steps: str
    overlap: bool  # whether the old value goes on working beside the new one
    wrong: Callable[[str], str | None]
    attempt: Callable[[Settings, str], Awaitable[Verdict]]


def secret_specs(settings: Settings) -> dict[str, SecretSpec]:
    """Both, by the name that a person gives on the command line."""
    token = SecretSpec(
        name=settings.credentials.discord_secret,
        credential="discord",
        service="Discord",
        steps=_DISCORD_STEPS,
        overlap=False,
        wrong=not_discord,
        attempt=probe.discord,
    )
    key = SecretSpec(
        name=settings.credentials.openai_secret,
        credential="openai",
        service="the model's provider",
        steps=_OPENAI_STEPS,
        overlap=True,
        wrong=not_openai,
        attempt=probe.openai,
    )
    return {"discord-token": token, "openai-api-key": key}


READER, OFFICER = "Key Vault Secrets User", "Key Vault Secrets Officer"
_WRITING = ("setSecret", "update", "delete", "recover")


async def sentences(
    session: SecretsSession, trouble: VaultTrouble, *, writing: bool = False
) -> list[str]:
    """Explain a refusal of the vault; empty where roles have nothing to do with it."""
    if trouble.label != "denied":
        return []
    try:
        who = await session.vault.who()
    except VaultTrouble:
        who = "this identity"
    writing = writing or any(action in trouble.detail for action in _WRITING)
    role = OFFICER if writing else READER
    name = (urlsplit(session.vault.url).hostname or "").split(".")[0]
    found = re.search(r"object ([0-9a-f-]{36})", trouble.detail)
    assignee = found[1] if found else "OBJECT-ID"
    scope = f"$(az keyvault show --name {name} --query id --output tsv)"
    give = f'az role assignment create --role "{role}" --assignee-object-id {assignee}'
    return [
        f'{who} lacks the role "{role}" on the vault {name}. An owner of the vault can grant it:',
        f"{give} --scope {scope}",
        "A new role assignment takes a few minutes to take effect.",
    ]
