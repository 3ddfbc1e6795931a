"""Build the bot's credentials: from files, then Key Vault, then the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.credentials.credential import Credential, not_discord, not_openai
from bot.credentials.entra import EntraKey
from bot.credentials.keyvault import AzureVault
from bot.credentials.vault_poller import VaultPoller
from bot.domain.errors import BadSettings, CredentialMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.observability.metrics import Metrics
    from bot.settings.schema import Settings


DISCORD_VARIABLE, OPENAI_VARIABLE = "DISCORD_TOKEN", "OPENAI_API_KEY"  # for a laptop


class CredentialStore:
    """`token` is for Discord, `key` for the model; the pollers run as long as the bot does."""

    def __init__(self, settings: Settings, environ: Mapping[str, str], metrics: Metrics) -> None:
        where = settings.credentials
        self._vault = AzureVault(where.keyvault_url, environ) if where.keyvault_url else None
        patient = self._vault is not None
        self.token = Credential(
            "discord",
            settings.discord.token_file,
            metrics,
            variable=DISCORD_VARIABLE,
            environment=environ.get(DISCORD_VARIABLE, ""),
            wrong=not_discord,
            patient=patient,
        )
        self.key: Credential | EntraKey
        self.files = [self.token]
        self.keepers = [VaultPoller(self.token, self._vault, where.discord_secret, metrics)]
        if settings.openai.auth == "entra":
            self.key = EntraKey(settings.openai.entra_scope, environ)
            return
        self.key = Credential(
            "openai",
            settings.openai.api_key_file,
            metrics,
            variable=OPENAI_VARIABLE,
            environment=environ.get(OPENAI_VARIABLE, ""),
            wrong=not_openai,
            patient=patient,
        )
        self.files.append(self.key)
        self.keepers.append(VaultPoller(self.key, self._vault, where.openai_secret, metrics))

    def require_key(self) -> None:
        """Raise BadSettings if there is no key and no source that could provide one."""
        if isinstance(self.key, EntraKey) or self.key.patient:
            return
        self.key.fall_back()
        try:
            _ = self.key.value
        except CredentialMissing as error:
            raise BadSettings([str(error)]) from None

    async def close(self) -> None:
        """Close the connections to Azure, if there are any."""
        if self._vault is not None:
            await self._vault.close()
        if isinstance(self.key, EntraKey):
            await self.key.close()
