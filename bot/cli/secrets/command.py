"""The command as a whole: settings and arguments in, exit code out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.cli.secrets import actions, specs
from bot.cli.secrets.actions import Options, Refused, SecretsSession, check
from bot.cli.secrets.specs import secret_specs
from bot.credentials.keyvault import AzureVault, VaultTrouble
from bot.domain.errors import BadSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from typing import Any

    from bot.cli.secrets.actions import Terminal
    from bot.settings.schema import Settings


_CHANGES = {"set": actions.set_new, "rotate": actions.rotate, "undo": actions.undo}
_PATIENCE = 30.0  # seconds for one question to the vault: `az` itself takes some


async def run_secrets(
    chosen: argparse.Namespace,
    settings: Settings,
    environ: Mapping[str, str],
    person: Terminal,
    **azure: Any,
) -> bool:
    """Run the chosen subcommand; return its success. Raises BadSettings without a vault."""
    url = chosen.vault or settings.credentials.keyvault_url
    if not url:
        where = "--vault https://my-vault.vault.azure.net or credentials.keyvault_url"
        raise BadSettings([f"no Key Vault is named. Name it with {where}."])
    vault = AzureVault(url, environ, _PATIENCE, **azure)
    session = SecretsSession(person, settings, vault, _options(chosen))
    every = secret_specs(settings)
    try:
        if chosen.action == "check":
            wanted = [spec for spec in every.values() if not _keyless(settings, spec.credential)]
            return await check(session, wanted)
        return await _CHANGES[chosen.action](session, every[chosen.secret])
    except Refused as error:
        person.say(f"{error}.")
    except VaultTrouble as trouble:
        person.say(str(trouble))
        for line in await specs.sentences(session, trouble):
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
