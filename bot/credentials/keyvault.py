"""What is asked of Azure Key Vault, as values; azure_vault.py asks it.

Every failure is a VaultTrouble whose label is one of REMEDIES: what the operator has to mend.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from bot.errors import SkyError

REMEDIES = {
    "missing": "The vault has no such secret, or it was deleted: set it, or recover it.",
    "disabled": "The newest version of the secret is disabled: enable it, or set a new one.",
    "denied": "The identity may not do this: it lacks a role on the vault.",
    "firewall": "The vault's firewall does not let this address in.",
    "no_identity": "There is no identity to ask with: run `az login`, or set AZURE_CLIENT_ID, "
    "AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE as apps/discord-sky does.",
    "identity_expired": "Entra refused the pod's token as not valid now: it expired, or clocks "
    "disagree. The kubelet renews the file; compare the node's clock.",
    "identity_refused": "Entra refused the identity: compare the federated credential's issuer, "
    "subject and audience, the tenant and the client id.",
    "busy": "The vault has too many requests, or is failing.",
    "unreachable": "There is no connection to the vault or to Entra: look at DNS, proxy, egress.",
    "slow": "The vault did not answer in time.",
    "not_a_vault": "The address is not that of a Key Vault: look at credentials.keyvault_url.",
    "exists_deleted": "A deleted secret has this name: recover it first.",
    "refused": "The vault refused the request.",
    "broken": "The process that asks the vault broke: the log says where, or memory was short.",
}


class VaultTrouble(SkyError):
    """Key Vault did not do what it was asked; `detail` is a code, or who may not do what."""

    def __init__(self, label: str, detail: str = "") -> None:
        super().__init__(f"{REMEDIES[label]} {detail}".strip())
        self.label = label
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a secret, without its value; times are Unix seconds."""

    id: str
    created: float = 0.0
    expires: float | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Secret:
    """A value and its version."""

    value: str = field(repr=False)
    version: Version


class Vault(Protocol):
    """What the running bot asks. All methods raise VaultTrouble."""

    async def read(self, name: str) -> Secret:
        """Read the newest version's value."""

    async def look(self, name: str) -> Version:
        """Look at the newest version without its value."""

    async def close(self) -> None:
        """Close the connections."""
