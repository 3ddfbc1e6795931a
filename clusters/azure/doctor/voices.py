"""What was said about the two identities: by the kubelet, by Flux, and by Azure itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clusters.azure.doctor.causes import Cause, cause_of
from clusters.azure.doctor.facts import BOT, Facts
from clusters.azure.doctor.party import BOT_PARTY, FLUX_PARTY, Party, words
from clusters.azure.doctor.verdict import Verdict, broken

# Azure's words for what bot.credentials.keyvault calls by labels of its own.
_LABELS = {"denied": "ForbiddenByRbac", "disabled": "SecretDisabled", "missing": "SecretNotFound"}
_REACHED = {"ok", "disabled", "missing"}  # labels of a vault that let the bot in
_REGISTRY_LINKS = ("identity", "federation", "role")
_SECRET = re.compile(r"discord-token|openai-api-key")


@dataclass(frozen=True, slots=True)
class Voice:
    """One message against PARTY, and what it means."""

    party: Party
    message: str
    cause: Cause


def told(cause: Cause, facts: Facts, party: Party, message: str = "") -> Verdict:
    """Say in sentences what CAUSE means for PARTY; MESSAGE may name the secret."""
    found = _SECRET.search(message)
    names = {**words(facts, party), "secret": found[0] if found else "SECRET"}
    said = cause.said.format_map(names)
    commands = [command.format_map(names) for command in cause.commands]
    return broken(said[0].upper() + said[1:], cause.remedy.format_map(names), *commands)


def voices(facts: Facts) -> list[Voice]:
    """Return everything that is known against the two, the bot's first."""
    said: list[tuple[Party, str, tuple[str, ...]]] = []
    for look in facts.secrets:
        if look.label != "ok":
            word = _LABELS.get(look.label, look.label)
            said.append((BOT_PARTY, f"{word} {look.name} {look.detail}", ()))
    if facts.newest and facts.newest.mount:
        said.append((BOT_PARTY, facts.newest.mount, ()))
    repository = facts.object("ImageRepository", BOT)
    if repository and repository.ready == "False":
        said.append((FLUX_PARTY, repository.message, _REGISTRY_LINKS))
    found = [(party, message, cause_of(message, only)) for party, message, only in said]
    return [Voice(party, message, cause) for party, message, cause in found if cause]


def against(facts: Facts, link: str) -> Verdict | None:
    """Return the verdict of the first voice about LINK; None where nobody complains."""
    voice = next((one for one in voices(facts) if one.cause.link == link), None)
    return told(voice.cause, facts, voice.party, voice.message) if voice else None


def let_in(facts: Facts) -> str:
    """Say how it was seen that the vault knows the bot; "" where it was not."""
    if any(look.label in _REACHED for look in facts.secrets):
        return "as the bot was told just now"
    pod = facts.newest
    if pod and not pod.mount and not pod.stuck and pod.waiting != "ContainerCreating":
        return "as the newest pod showed at its start"
    return ""


def may_scan(facts: Facts) -> bool:
    """Say whether Flux reads the registry."""
    repository = facts.object("ImageRepository", BOT)
    return repository is not None and repository.ready == "True"
