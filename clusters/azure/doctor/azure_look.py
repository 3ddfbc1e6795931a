"""What only Azure knows, from az where somebody is logged in: identities, trust, roles, vault."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from clusters.azure.doctor.facts import Azure, Identity
from clusters.azure.doctor.party import BOT_PARTY, FLUX_PARTY, Party

_SECONDS = 60
_NOT_FOUND = 3  # az's exit code for what is not there
_IDENTITIES = "[].{name:name, group:resourceGroup, client:clientId, principal:principalId}"


class Silent(Exception):
    """az did not say; the message is its last line."""


def look(settings: dict[str, str], unseen: list[str]) -> Azure | None:
    """Ask az; None, with a sentence in UNSEEN, where it cannot be asked."""
    what = "identities, federated credentials and roles, as Azure has them"
    try:
        _az("account", "show")
    except Silent as error:
        unseen.append(f"{what}: {error}")
        return None
    try:
        with ThreadPoolExecutor() as pool:
            known = pool.submit(_az, "identity", "list", "--query", _IDENTITIES)
            vault = pool.submit(_vault, settings.get("KEYVAULT_NAME", ""))
            registry = pool.submit(_registry, settings.get("ACR_LOGIN_SERVER", ""))
            scopes = {BOT_PARTY: vault.result(), FLUX_PARTY: registry.result()}
            by_client = {str(one["client"]).lower(): one for one in known.result() or ()}
            found = {
                party: pool.submit(
                    _identity, by_client.get(settings.get(party.setting, "").lower()), scope
                )
                for party, scope in scopes.items()
            }
        bot, reflector = found[BOT_PARTY].result(), found[FLUX_PARTY].result()
    except Silent as error:
        unseen.append(f"{what}: {error}")
        return None
    return Azure(
        bot=bot,
        reflector=reflector,
        unknown_clients=_unknown(settings, bot=bot, reflector=reflector),
        vault=vault.result() is not None if settings.get("KEYVAULT_NAME") else None,
    )


def _unknown(
    settings: dict[str, str], *, bot: Identity | None, reflector: Identity | None
) -> tuple[str, ...]:
    both: tuple[tuple[Party, Identity | None], ...] = ((BOT_PARTY, bot), (FLUX_PARTY, reflector))
    return tuple(
        party.setting for party, found in both if found is None and settings.get(party.setting)
    )


def _identity(found: dict[str, str] | None, scope: str | None) -> Identity | None:
    if found is None:
        return None
    name, group = found["name"], found["group"]
    trusts = _az(
        *("identity", "federated-credential", "list", "--identity-name", name),
        *("--resource-group", group, "--query", "[].[issuer, subject]"),
    )
    roles = None
    if scope:
        roles = _az(
            *("role", "assignment", "list", "--assignee", found["principal"], "--scope", scope),
            *("--include-inherited", "--query", "[].roleDefinitionName"),
        )
    return Identity(
        name=name,
        group=group,
        trusts=tuple((issuer, subject) for issuer, subject in trusts or ()),
        roles=None if roles is None else tuple(roles),
    )


def _vault(name: str) -> str | None:
    """Return the vault's resource id; None if there is none of that name."""
    found = _az("keyvault", "show", "--name", name, "--query", "id") if name else None
    return str(found) if found else None


def _registry(login_server: str) -> str | None:
    """Return the registry's resource id; None if there is none of that address."""
    query = f"[?loginServer=='{login_server}'].id"
    found = _az("acr", "list", "--query", query) if login_server else None
    return str(found[0]) if found else None


def _az(*arguments: str) -> Any:
    """Run az and return its answer; None for what is not there. Raises Silent."""
    try:
        done = subprocess.run(
            ["az", *arguments, "--output", "json", "--only-show-errors"],
            check=False,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
    except FileNotFoundError:
        raise Silent("there is no az in PATH") from None
    except subprocess.TimeoutExpired:
        raise Silent(f"az said nothing for {_SECONDS} s") from None
    if done.returncode == _NOT_FOUND:
        return None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"az ended with code {done.returncode}"]
        raise Silent(lines[-1].strip())
    return json.loads(done.stdout) if done.stdout.strip() else None
