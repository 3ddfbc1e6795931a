"""The links that Azure decides: identity, federation, vault, role, secrets. Pure."""

from __future__ import annotations

from clusters.azure.doctor.causes import CAUSES
from clusters.azure.doctor.facts import Facts
from clusters.azure.doctor.party import BOT_PARTY, FLUX_PARTY, Party
from clusters.azure.doctor.verdict import Verdict, ok, unseen
from clusters.azure.doctor.voices import against, let_in, may_scan, told

_PLAIN = "no Key Vault here: the credentials are in the Secret discord-sky-secrets"


def identity(facts: Facts) -> Verdict:
    """Whether Entra knows both client ids."""
    if found := against(facts, "identity"):
        return found
    unknown = facts.azure.unknown_clients if facts.azure else ()
    for party in _unproven(facts):
        if party.setting in unknown:
            return _told("AADSTS700016", facts, party)
    return _known(facts, "both client ids")


def federation(facts: Facts) -> Verdict:
    """Whether both identities trust their ServiceAccount."""
    if found := against(facts, "federation"):
        return found
    for party in _unproven(facts):
        known = party.identity(facts)
        if known is None or known.trusts is None or not facts.issuer:
            continue
        if (facts.issuer, party.subject) not in known.trusts:
            issuers = {issuer for issuer, subject in known.trusts if subject == party.subject}
            return _told("AADSTS700211" if issuers else "AADSTS700213", facts, party)
    return _known(facts, "both trust their ServiceAccount")


def vault(facts: Facts) -> Verdict:
    """Whether there is a vault of that name, and it lets the cluster in."""
    if not facts.key_vault:
        return ok(_PLAIN)
    if found := against(facts, "vault"):
        return found
    seen = let_in(facts)
    gone = facts.vault_resolves is False or (facts.azure and facts.azure.vault is False)
    if gone and not any(look.label == "ok" for look in facts.secrets):
        return _told("no such host", facts, BOT_PARTY)
    if seen:
        return ok(f"{facts.setting('KEYVAULT_NAME')} answers the bot, {seen}")
    return unseen("nothing has asked the vault yet: there is no pod of the bot")


def role(facts: Facts) -> Verdict:
    """Whether the bot may read the vault, and Flux the registry."""
    if found := against(facts, "role"):
        return found
    for party in _unproven(facts):
        known = party.identity(facts)
        if known is None or known.roles is None:
            continue
        if not set(known.roles) & set(party.roles):
            return _told("ForbiddenByRbac", facts, party)
    return _known(facts, "bot and image-reflector may read")


def secrets(facts: Facts) -> Verdict:
    """Whether both secrets are there and enabled."""
    if not facts.key_vault:
        return ok(_PLAIN)
    if found := against(facts, "secrets"):
        return found
    if facts.secrets and all(look.label == "ok" for look in facts.secrets):
        return ok("both are in the vault, and enabled")
    if seen := let_in(facts):
        return ok(f"both could be read, {seen}")
    return unseen("nothing has read them yet: there is no pod of the bot")


def _unproven(facts: Facts) -> list[Party]:
    """Return those of whom only az can tell: nothing proves that they got through."""
    asked = any(look.label in {"ok", "disabled", "missing"} for look in facts.secrets)
    bot = [BOT_PARTY] if facts.key_vault and not asked else []
    return bot + ([] if may_scan(facts) else [FLUX_PARTY])


def _known(facts: Facts, said: str) -> Verdict:
    bot = _PLAIN if not facts.key_vault else let_in(facts)
    flux = "Flux reads the registry" if may_scan(facts) else ""
    if bot and flux:
        return ok(f"{said}, {bot}")
    azure = facts.azure
    if azure and azure.bot and azure.reflector:
        return ok(f"{said}, says az")
    missing = " and ".join(name for name, seen in (("the bot", bot), ("Flux", flux)) if not seen)
    return unseen(f"nothing shows it for {missing}; `az login`, and the doctor asks Azure itself")


def _told(code: str, facts: Facts, party: Party) -> Verdict:
    """Say what az showed in the words of the cause that CODE would have had."""
    return told(next(one for one in CAUSES if one.fits(code)), facts, party)
