"""Keep a credential up to date with its secret in Key Vault, with at most one request at a time.

While the credential is missing or refused, the vault is asked for its value, again and again with
pauses of at most three seconds: a Discord token has no overlap, so these pauses are the outage.
While all is well, the vault is asked once an hour for version and expiry, not for the value.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.credentials.keyvault import VaultTrouble

if TYPE_CHECKING:
    from bot.credentials.credential import Credential
    from bot.credentials.keyvault import Vault
    from bot.observability.metrics import Metrics

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds between requests, while a value is needed and while all is well."""

    shortest: float = 0.25
    longest: float = 3.0
    first_look: float = 20.0  # libraries are not loaded during startup
    look: float = 3600.0
    look_again: float = 600.0  # after a failed check


class VaultPoller:
    """Polls one credential's secret. Without a vault, only the environment is left."""

    def __init__(
        self,
        credential: Credential,
        vault: Vault | None,
        secret: str,
        metrics: Metrics,
        pauses: Pauses = Pauses(),  # frozen
    ) -> None:
        self._credential = credential
        self._vault = vault
        self._secret = secret
        self._metrics = metrics
        self._pauses = pauses
        self._said: str | None = None

    async def run(self) -> None:
        """Poll until cancelled."""
        pause = self._pauses.first_look
        while True:
            if not self._credential.usable:
                await self._find()
                pause = self._pauses.first_look
            elif await self._same_for(pause) and self._vault is not None:
                well = await self._look(self._vault)
                pause = self._pauses.look if well else self._pauses.look_again
            else:
                pause = self._pauses.first_look

    async def _same_for(self, seconds: float) -> bool:
        """Wait `seconds`; return False as soon as the value changes or is refused."""
        credential, value = self._credential, self._credential.value
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds if self._vault is not None else None):
                await credential.until(lambda: not credential.usable or credential.value != value)
                return False
        return True

    async def _find(self) -> None:
        """Poll until there is a usable value from any source."""
        pause = self._pauses.shortest
        while not self._credential.usable:
            if self._vault is not None:
                await self._read(self._vault)
            self._credential.fall_back()
            wait = pause * random.uniform(0.75, 1)  # noqa: S311  # two secrets, many bots
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._credential.until(lambda: self._credential.usable)
            pause = min(2 * pause, self._pauses.longest)

    async def _read(self, vault: Vault) -> None:
        try:
            found = await vault.read(self._secret)
        except Exception as error:  # noqa: BLE001  # nothing that Azure's libraries do may end the bot
            self._failed("read", error)
            return
        taken = self._credential.offer(found.value, found.version)
        self._counted("read", "taken" if taken else "same")
        if not taken and not self._credential.usable:
            self._say("the vault has no other value yet", {"version": found.version.id})
        else:
            self._said = None

    async def _look(self, vault: Vault) -> bool:
        try:
            version = await vault.look(self._secret)
        except Exception as error:  # noqa: BLE001  # see _read
            self._failed("look", error)
            return False
        self._counted("look", "ok")
        self._said = None
        self._credential.describe(version)
        return True

    def _failed(self, operation: str, error: Exception) -> None:
        trouble = error if isinstance(error, VaultTrouble) else None
        self._counted(operation, trouble.label if trouble else "broken")
        if trouble is None:
            log.error("Key Vault poller failed", extra={"secret": self._secret}, exc_info=error)
            return
        what = {"error": trouble.label, "remedy": str(trouble)}
        self._say("Key Vault request failed", what)

    def _say(self, message: str, what: dict[str, str]) -> None:
        """Log a problem once until it changes: there may be a request every 3 s."""
        line = f"{message} {what}"
        if line != self._said:
            log.warning(message, extra={"secret": self._secret, **what})
        self._said = line

    def _counted(self, operation: str, outcome: str) -> None:
        self._metrics.vault.labels(self._secret, operation, outcome).inc()
