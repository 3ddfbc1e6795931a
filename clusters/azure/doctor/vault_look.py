"""Ask Entra and the vault as the bot does, from here: with a token of the bot's ServiceAccount.

So a missing role or a disabled secret is found while the running pod still has its old files. Only
what Key Vault says about the newest version is read, never its value.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from bot.credentials.azure_vault import AzureVault
from bot.credentials.keyvault import VaultTrouble
from bot.secrets_command.arguments import SECRETS
from clusters.azure.doctor.facts import ACCOUNT, BOT, SecretLook
from clusters.azure.doctor.kubectl import Kubectl, Unanswered

AUDIENCE = "api://AzureADTokenExchange"
_NEEDED = ("KEYVAULT_NAME", "AZURE_TENANT_ID", "BOT_CLIENT_ID")
_NOT_FROM_HERE = {"unreachable", "slow", "firewall", "busy", "not_a_vault", "no_identity"}


def look(
    kubectl: Kubectl, settings: dict[str, str], unseen: list[str], **options: Any
) -> tuple[SecretLook, ...]:
    """Look at both secrets; what says nothing about the bot's own way goes into UNSEEN.

    OPTIONS go to Azure's libraries: tests name their authority so.
    """
    if any(not settings.get(name) for name in _NEEDED):
        return ()
    try:
        token = kubectl.text(
            *("create", "token", ACCOUNT, f"--namespace={BOT}", f"--audience={AUDIENCE}")
        )
    except Unanswered as error:
        unseen.append(f"the vault, as the bot: {error}")
        return ()
    with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
        file = Path(folder) / "token"
        file.touch(mode=0o600)
        file.write_text(token.strip())
        looks = asyncio.run(_ask(settings, file, options))
    unseen.extend(
        f"{one.name} in the vault, from this machine: {one.detail}"
        for one in looks
        if one.label in _NOT_FROM_HERE
    )
    return tuple(one for one in looks if one.label not in _NOT_FROM_HERE)


async def _ask(settings: dict[str, str], token: Path, options: dict[str, Any]) -> list[SecretLook]:
    environ = {
        "AZURE_CLIENT_ID": settings["BOT_CLIENT_ID"],
        "AZURE_TENANT_ID": settings["AZURE_TENANT_ID"],
        "AZURE_FEDERATED_TOKEN_FILE": str(token),
    }
    address = f"https://{settings['KEYVAULT_NAME']}.vault.azure.net"
    vault = AzureVault(address, environ, **options)
    try:
        return [await _one(vault, name) for name in SECRETS]
    finally:
        await vault.close()


async def _one(vault: AzureVault, name: str) -> SecretLook:
    try:
        version = await vault.look(name)
    except VaultTrouble as trouble:
        return SecretLook(name=name, label=trouble.label, detail=trouble.detail or str(trouble))
    return SecretLook(name=name, label="ok" if version.enabled else "disabled")
