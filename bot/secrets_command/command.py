"""The command as a whole: settings and arguments in, exit code out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.credentials.azure_vault import AzureVault
from bot.credentials.keyvault import VaultTrouble
from bot.errors import BadSettings
from bot.secrets_command import change, rights
from bot.secrets_command.check import check
from bot.secrets_command.desk import Desk, Options, Refused
from bot.secrets_command.kinds import kinds

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from typing import Any

    from bot.secrets_command.desk import Person
    from bot.settings.schema import Settings

_CHANGES = {"set": change.set_new, "rotate": change.rotate, "undo": change.undo}
_PATIENCE = 30.0  # seconds for one question to the vault: `az` itself takes some


async def run(
    chosen: argparse.Namespace,
    settings: Settings,
    environ: Mapping[str, str],
    person: Person,
    **azure: Any,
) -> bool:
    """Do what `chosen` says; returns whether all is well. Raises BadSettings without a vault."""
    url = chosen.vault or settings.credentials.keyvault_url
    if not url:
        where = "--vault https://my-vault.vault.azure.net or credentials.keyvault_url"
        raise BadSettings([f"no Key Vault is named. Name it with {where}."])
    vault = AzureVault(url, environ, _PATIENCE, **azure)
    desk = Desk(person, settings, vault, _options(chosen))
    every = kinds(settings)
    try:
        if chosen.action == "check":
            wanted = [kind for kind in every.values() if not _keyless(settings, kind.credential)]
            return await check(desk, wanted)
        return await _CHANGES[chosen.action](desk, every[chosen.secret])
    except Refused as error:
        person.say(f"{error}.")
    except VaultTrouble as trouble:
        person.say(str(trouble))
        for line in await rights.sentences(desk, trouble):
            person.say(line)
    finally:
        await vault.close()
    return False


def _keyless(settings: Settings, credential: str) -> bool:
    return credential == "openai" and settings.openai.auth == "entra"


def _options(chosen: argparse.Namespace) -> Options:
    return Options(
        expires_days=getattr(chosen, "expires_in", None) or None,
        wait=getattr(chosen, "wait", 0.0),
        watch=not chosen.no_bot,
        metrics_url=chosen.metrics_url,
        namespace=chosen.namespace,
        unchecked=getattr(chosen, "unchecked", False),
    )
