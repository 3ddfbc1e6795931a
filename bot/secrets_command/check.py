"""check: each secret, where it is found, whether it is enabled, valid, accepted and in use."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bot.credentials.forms import digest
from bot.credentials.keyvault import VaultTrouble
from bot.secrets_command import rights, running

if TYPE_CHECKING:
    from bot.secrets_command.desk import Desk
    from bot.secrets_command.kinds import Kind

_DAY = 86_400
_SOON_DAYS = 14


async def check(desk: Desk, kinds: list[Kind]) -> bool:
    """Say everything about `kinds`; returns whether all is well."""
    well = True
    for kind in kinds:
        desk.person.say(f"{kind.name} (for {kind.service})")
        in_vault = await _in_vault(desk, kind)
        in_file = _in_file(desk, kind)
        well &= in_vault is not None
        if desk.options.watch:
            well &= await _in_bot(desk, kind, in_vault)
        if in_file and in_vault and in_file != in_vault:
            desk.person.say(f"  file    {in_file}: the file is behind the vault")
    return well


async def _in_vault(desk: Desk, kind: Kind) -> str | None:
    """Say what the vault has; gives its digest if that is usable."""
    try:
        found = await desk.vault.read(kind.name)
    except VaultTrouble as trouble:
        desk.person.say(f"  vault   {trouble}")
        for line in await rights.sentences(desk, trouble):
            desk.person.say(f"          {line}")
        return None
    value, version = found.value.strip(), found.version
    left = _left(version.expires)
    desk.person.say(f"  vault   version {version.id}, {digest(value)}, enabled, {left}")
    problem = kind.wrong(value) if value else "it is empty"
    if problem:
        desk.person.say(f"  value   not usable: {problem}")
        return None
    verdict = await kind.attempt(desk.settings, value)
    desk.person.say(f"  value   {verdict.said}")
    return None if verdict.accepted is False else digest(value)


def _left(expires: float | None) -> str:
    if expires is None:
        return "without an expiry"
    days = (expires - time.time()) / _DAY
    if days < 0:
        return f"EXPIRED {-days:.0f} days ago"
    return f"expires in {days:.0f} days" + (": rotate it soon" if days < _SOON_DAYS else "")


def _in_file(desk: Desk, kind: Kind) -> str | None:
    """Say what the file has that the settings name, where there is one."""
    discord, openai = desk.settings.discord, desk.settings.openai
    path = discord.token_file if kind.credential == "discord" else openai.api_key_file
    try:
        value = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    desk.person.say(f"  file    {path}: {digest(value) if value else 'empty'}")
    return digest(value)


async def _in_bot(desk: Desk, kind: Kind, wanted: str | None) -> bool:
    try:
        async with running.reached(desk.options.metrics_url, desk.options.namespace) as url:
            used = await running.in_use(url, kind.credential)
    except running.BotUnseen as error:
        desk.person.say(f"  bot     not seen: {error}; --no-bot leaves it out")
        return False
    if used is None:
        desk.person.say("  bot     runs without it")
        return False
    same = used.sha256 == wanted
    state = "the same" if same else "another value than the vault's"
    desk.person.say(f"  bot     uses {used.sha256} from the {used.source}: {state}")
    return same
