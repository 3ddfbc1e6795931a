"""Who lacks which role on the vault, in sentences that end with the command that mends it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.credentials.keyvault import VaultTrouble

if TYPE_CHECKING:
    from bot.secrets_command.desk import Desk

READER, OFFICER = "Key Vault Secrets User", "Key Vault Secrets Officer"
_WRITING = ("setSecret", "update", "delete", "recover")


async def sentences(desk: Desk, trouble: VaultTrouble, *, writing: bool = False) -> list[str]:
    """Explain a refusal of the vault; empty where roles have nothing to do with it."""
    if trouble.label != "denied":
        return []
    try:
        who = await desk.vault.who()
    except VaultTrouble:
        who = "this identity"
    writing = writing or any(action in trouble.detail for action in _WRITING)
    role = OFFICER if writing else READER
    name = (urlsplit(desk.vault.url).hostname or "").split(".")[0]
    found = re.search(r"object ([0-9a-f-]{36})", trouble.detail)
    assignee = found[1] if found else "OBJECT-ID"
    scope = f"$(az keyvault show --name {name} --query id --output tsv)"
    give = f'az role assignment create --role "{role}" --assignee-object-id {assignee}'
    return [
        f'{who} lacks the role "{role}" on the vault {name}. Whoever owns the vault may give it:',
        f"{give} --scope {scope}",
        "A role that was given just now takes a few minutes to count.",
    ]
