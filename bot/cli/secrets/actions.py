"""The command `secrets` and its subcommands: settings and arguments in, success out.

set, rotate, undo: write a new version to Key Vault after trying it, and wait until it is in use.
check: report where each secret is, and whether it is enabled, valid, accepted and in use.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bot.cli.secrets import probe, specs
from bot.cli.secrets.specs import secret_specs
from bot.credentials.credential import digest
from bot.credentials.keyvault import AzureVault, VaultTrouble
from bot.domain.errors import BadSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping
    from typing import Any

    from bot.cli.secrets.specs import SecretSpec
    from bot.credentials.keyvault import Secret
    from bot.settings.schema import Settings


@dataclass(frozen=True, slots=True)
class Terminal:
    """The person at the terminal: reads messages, and types a value without echo."""

    say: Callable[[str], None]
    type_unseen: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beside the subcommand and the secret."""

    expires_days: int | None = 90
    wait: float = 300.0
    watch: bool = True
    metrics_url: str | None = None
    namespace: str = "discord-sky"
    unchecked: bool = False


@dataclass(frozen=True, slots=True)
class SecretsSession:
    """One run of the command."""

    person: Terminal
    settings: Settings
    vault: AzureVault
    options: Options


class Refused(Exception):
    """The command stops here and nothing was changed; the message says why."""


_CONTENT_TYPE = "text/plain"
_LOOK_SECONDS = 1.0
_PATIENCE_SAID = 10.0  # seconds until the person is told why it takes so long
_MOST_OLDER = 10  # versions that are looked through for an earlier value


async def set_new(session: SecretsSession, spec: SecretSpec) -> bool:
    """Ask for a value and set it; return whether the bot uses it."""
    return await _set(session, spec, await _asked(session, spec, None))


async def rotate(session: SecretsSession, spec: SecretSpec) -> bool:
    """Replace the value of an existing secret, step by step."""
    try:
        old = await session.vault.read(spec.name)
    except VaultTrouble as trouble:
        if trouble.label != "missing":
            raise
        raise Refused(f"there is no {spec.name} to rotate: use `set` for the first one") from None
    session.person.say(spec.steps)
    value = await _asked(session, spec, old.value.strip())
    done = await _set(session, spec, value)
    if not done:
        return False
    verdict = await spec.attempt(session.settings, old.value.strip())
    if verdict.accepted and spec.overlap:
        session.person.say(
            f"The old value {digest(old.value.strip())} is still valid: revoke it now."
        )
    elif verdict.accepted:
        session.person.say("The old value is still accepted: was this a token of another bot?")
    else:
        session.person.say(
            f"The old value {digest(old.value.strip())} is refused, as it should be."
        )
    return True


async def undo(session: SecretsSession, spec: SecretSpec) -> bool:
    """Set the previous value again, as a new version."""
    earlier = await _earlier(session, spec)
    value = earlier.value.strip()
    await _try(session, spec, value)
    left = None if earlier.version.expires is None else earlier.version.expires - time.time()
    if left is not None and left <= 0:
        session.person.say("Its expiry has passed, so it gets a new one.")
    expires = (
        datetime.fromtimestamp(earlier.version.expires, UTC)
        if earlier.version.expires is not None and left is not None and left > 0
        else _expiry(session)
    )
    return await _set(session, spec, value, expires)


async def _earlier(session: SecretsSession, spec: SecretSpec) -> Secret:
    """Find the newest version whose value differs from the current one."""
    try:
        present = await session.vault.read(spec.name)
    except VaultTrouble as trouble:
        if trouble.label != "disabled":
            raise
        present = None
    versions = [version for version in await session.vault.versions(spec.name) if version.enabled]
    for version in versions[:_MOST_OLDER]:
        found = await session.vault.read_version(spec.name, version.id)
        if present is None or found.value.strip() != present.value.strip():
            session.person.say(
                f"Going back to version {version.id}, {digest(found.value.strip())}."
            )
            return found
    raise Refused(f"{spec.name} has no earlier version with another value that is enabled")


async def _asked(session: SecretsSession, spec: SecretSpec, old: str | None) -> str:
    """Let the person type a value until it may be one; raises Refused if it is not good."""
    value = session.person.type_unseen(f"New value of {spec.name} (not shown): ").strip()
    problem = spec.wrong(value) if value else "it is empty"
    if problem:
        raise Refused(f"not a valid {spec.name}: {problem}")
    if value == old:
        raise Refused("this is the value that is set already")
    await _try(session, spec, value)
    return value


async def _try(session: SecretsSession, spec: SecretSpec, value: str) -> None:
    verdict = await spec.attempt(session.settings, value)
    session.person.say(f"{digest(value)}: {verdict.said}.")
    if verdict.accepted or session.options.unchecked:
        return
    hint = "nothing was set; --unchecked sets it anyway"
    if verdict.accepted is False and not spec.overlap:
        hint = "nothing was set. A Discord token that was reset never comes back"
    raise Refused(hint)


async def _set(
    session: SecretsSession, spec: SecretSpec, value: str, expires: datetime | None = None
) -> bool:
    expires = expires or _expiry(session)
    version = await session.vault.put(spec.name, value, expires=expires, content_type=_CONTENT_TYPE)
    until = f", expires {expires:%Y-%m-%d}" if expires else ", without an expiry"
    session.person.say(f"Set: {spec.name}, version {version.id}, {digest(value)}{until}.")
    if not session.options.watch:
        return True
    return await _seen(session, spec, digest(value))


def _expiry(session: SecretsSession) -> datetime | None:
    days = session.options.expires_days
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days) if days else None


async def _seen(session: SecretsSession, spec: SecretSpec, wanted: str) -> bool:
    """Wait until the running bot reports that it uses the value."""
    began, told = time.monotonic(), False
    problem = ""
    try:
        async with probe.reached(session.options.metrics_url, session.options.namespace) as url:
            while (waited := time.monotonic() - began) < session.options.wait:
                try:
                    used = await probe.in_use(url, spec.credential)
                    problem = ""
                except probe.BotUnseen as error:
                    used, problem = None, str(error)
                if used is not None and used.sha256 == wanted:
                    said = f"The bot uses it, from the {used.source}, after {waited:.1f} s."
                    session.person.say(said)
                    return True
                if waited > _PATIENCE_SAID and not told:
                    told = True
                    session.person.say(problem or _waiting(used))
                await asyncio.sleep(_LOOK_SECONDS)
    except probe.BotUnseen as error:
        problem = str(error)
    session.person.say(
        f"It is set, but the bot has not reported using it: {problem or 'no change yet'}."
    )
    return False


def _waiting(used: probe.InUse | None) -> str:
    has = f"has {used.sha256} from the {used.source}" if used else "has none"
    return f"The bot still {has}. Mounted files are refreshed every two minutes: waiting."


_DAY = 86_400
_SOON_DAYS = 14


async def check(session: SecretsSession, specs: list[SecretSpec]) -> bool:
    """Say everything about `kinds`; returns whether all is well."""
    well = True
    for spec in specs:
        session.person.say(f"{spec.name} (for {spec.service})")
        in_vault = await _in_vault(session, spec)
        in_file = _in_file(session, spec)
        well &= in_vault is not None
        if session.options.watch:
            well &= await _in_bot(session, spec, in_vault)
        if in_file and in_vault and in_file != in_vault:
            session.person.say(f"  file    {in_file}: the file is behind the vault")
    return well


async def _in_vault(session: SecretsSession, spec: SecretSpec) -> str | None:
    """Say what the vault has; gives its digest if that is usable."""
    try:
        found = await session.vault.read(spec.name)
    except VaultTrouble as trouble:
        session.person.say(f"  vault   {trouble}")
        for line in await specs.sentences(session, trouble):
            session.person.say(f"          {line}")
        return None
    value, version = found.value.strip(), found.version
    left = _left(version.expires)
    session.person.say(f"  vault   version {version.id}, {digest(value)}, enabled, {left}")
    problem = spec.wrong(value) if value else "it is empty"
    if problem:
        session.person.say(f"  value   not usable: {problem}")
        return None
    verdict = await spec.attempt(session.settings, value)
    session.person.say(f"  value   {verdict.said}")
    return None if verdict.accepted is False else digest(value)


def _left(expires: float | None) -> str:
    if expires is None:
        return "without an expiry"
    days = (expires - time.time()) / _DAY
    if days < 0:
        return f"EXPIRED {-days:.0f} days ago"
    return f"expires in {days:.0f} days" + (": rotate it soon" if days < _SOON_DAYS else "")


def _in_file(session: SecretsSession, spec: SecretSpec) -> str | None:
    """Say what the file has that the settings name, where there is one."""
    discord, openai = session.settings.discord, session.settings.openai
    path = discord.token_file if spec.credential == "discord" else openai.api_key_file
    try:
        value = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    session.person.say(f"  file    {path}: {digest(value) if value else 'empty'}")
    return digest(value)


async def _in_bot(session: SecretsSession, spec: SecretSpec, wanted: str | None) -> bool:
    try:
        async with probe.reached(session.options.metrics_url, session.options.namespace) as url:
            used = await probe.in_use(url, spec.credential)
    except probe.BotUnseen as error:
        session.person.say(f"  bot     not checked: {error}; --no-bot skips this")
        return False
    if used is None:
        session.person.say("  bot     runs without it")
        return False
    same = used.sha256 == wanted
    state = "the same" if same else "another value than the vault's"
    session.person.say(f"  bot     uses {used.sha256} from the {used.source}: {state}")
    return same


_CHANGES = {"set": set_new, "rotate": rotate, "undo": undo}
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
