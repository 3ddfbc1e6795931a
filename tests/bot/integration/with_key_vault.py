"""A scene whose bot may ask a Key Vault, and the people who change secrets in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.servers.keyvault.harness import VAULT_URL, Harness
from tests.servers.openai.keys import digest

from .conftest import FreshStage
from .environment import Stage
from .scenario import Scene
from .scenario import scene as open_scene

TOKEN, KEY = "discord-token", "openai-api-key"


@dataclass
class Vaulted:
    """The bot, its vault, and what was set there."""

    azure: Harness
    stage: Stage
    scene: Scene

    def set(self, name: str, value: str, *, expires: datetime | None = None) -> str:
        """Set a new version as an operator does; gives its id."""
        mounted = self.stage.token if name == TOKEN else self.stage.api_key
        if len(value) > 8:  # noqa: PLR2004 - shorter ones are words that a log may have
            mounted.all_values.append(value)
        seconds = int(expires.astimezone(UTC).timestamp()) if expires else None
        return self.azure.server.store.set(name, value, expires=seconds)[1].id

    def enable(self, name: str, *, on: bool) -> None:
        """Enable or disable the newest version."""
        version = self.azure.server.store.get(name).newest
        version.enabled = on
        self.azure.server.store.touch(version)

    async def shows(self, series: str, **labels: str) -> float:
        """Give a metric."""
        found = 0.0
        _, text = await self.scene.bot.get("/metrics")
        for line in text.splitlines():
            wanted = (f'{key}="{value}"' in line for key, value in labels.items())
            if line.startswith(f"discord_sky_{series}") and all(wanted):
                found += float(line.rpartition(" ")[2])
        return found

    async def uses(self, name: str, value: str, seconds: float = 10) -> None:
        """Wait until the bot says that it uses this value."""
        await self.scene.bot.logged(
            "credential read", seconds, credential=name, sha256=digest(value)
        )

    def asked(self, operation: str, name: str) -> int:
        """Count what the vault was asked about a secret."""
        return sum(
            record.operation == operation and record.secret == name
            for record in self.azure.server.book.records()
        )


@asynccontextmanager
async def vaulted(azure: Harness, fresh: FreshStage, **options: str) -> AsyncIterator[Vaulted]:
    """Start a bot with the vault's address and an identity of its own; then repair the servers."""
    where = {**azure.environment, **azure.workload, "SKY_CREDENTIALS__KEYVAULT_URL": VAULT_URL}
    stage = fresh(**{**where, **options})
    async with open_scene(stage) as scene:
        try:
            yield Vaulted(azure, stage, scene)
        finally:
            await scene.discord.accept_token(stage.servers.token)
            await scene.openai.accept(stage.servers.key)
