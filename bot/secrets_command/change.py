"""set, rotate, undo: a new version in Key Vault, tried before and seen in use after."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bot.credentials.forms import digest
from bot.credentials.keyvault import VaultTrouble
from bot.secrets_command import running
from bot.secrets_command.desk import Refused

if TYPE_CHECKING:
    from bot.credentials.keyvault import Secret
    from bot.secrets_command.desk import Desk
    from bot.secrets_command.kinds import Kind

_CONTENT_TYPE = "text/plain"
_LOOK_SECONDS = 1.0
_PATIENCE_SAID = 10.0  # seconds until the person is told what is waited for
_MOST_OLDER = 10  # versions that are looked through for an earlier value


async def set_new(desk: Desk, kind: Kind) -> bool:
    """Ask for a value and set it; says whether the bot was seen to use it."""
    return await _set(desk, kind, await _asked(desk, kind, None))


async def rotate(desk: Desk, kind: Kind) -> bool:
    """Exchange the value of a secret that is there, step by step."""
    try:
        old = await desk.vault.read(kind.name)
    except VaultTrouble as trouble:
        if trouble.label != "missing":
            raise
        raise Refused(f"there is no {kind.name} to rotate: use `set` for the first one") from None
    desk.person.say(kind.steps)
    value = await _asked(desk, kind, old.value.strip())
    done = await _set(desk, kind, value)
    if not done:
        return False
    verdict = await kind.attempt(desk.settings, old.value.strip())
    if verdict.accepted and kind.overlap:
        desk.person.say(f"The old value {digest(old.value.strip())} is still valid: revoke it now.")
    elif verdict.accepted:
        desk.person.say("The old value is still accepted: was this a token of another bot?")
    else:
        desk.person.say(f"The old value {digest(old.value.strip())} is refused, as it should be.")
    return True


async def undo(desk: Desk, kind: Kind) -> bool:
    """Set the value before the present one again, as a new version."""
    earlier = await _earlier(desk, kind)
    value = earlier.value.strip()
    await _try(desk, kind, value)
    left = None if earlier.version.expires is None else earlier.version.expires - time.time()
    if left is not None and left <= 0:
        desk.person.say("Its expiry has passed, so it gets a new one.")
    expires = (
        datetime.fromtimestamp(earlier.version.expires, UTC)
        if earlier.version.expires is not None and left is not None and left > 0
        else _expiry(desk)
    )
    return await _set(desk, kind, value, expires)


async def _earlier(desk: Desk, kind: Kind) -> Secret:
    """Find the newest version whose value is another than the present one's."""
    try:
        present = await desk.vault.read(kind.name)
    except VaultTrouble as trouble:
        if trouble.label != "disabled":
            raise
        present = None
    versions = [version for version in await desk.vault.versions(kind.name) if version.enabled]
    for version in versions[:_MOST_OLDER]:
        found = await desk.vault.read_version(kind.name, version.id)
        if present is None or found.value.strip() != present.value.strip():
            desk.person.say(f"Going back to version {version.id}, {digest(found.value.strip())}.")
            return found
    raise Refused(f"{kind.name} has no earlier version with another value that is enabled")


async def _asked(desk: Desk, kind: Kind, old: str | None) -> str:
    """Let the person type a value until it may be one; raises Refused if it is not good."""
    value = desk.person.type_unseen(f"New value of {kind.name} (not shown): ").strip()
    problem = kind.wrong(value) if value else "it is empty"
    if problem:
        raise Refused(f"this is no {kind.name}: {problem}")
    if value == old:
        raise Refused("this is the value that is set already")
    await _try(desk, kind, value)
    return value


async def _try(desk: Desk, kind: Kind, value: str) -> None:
    verdict = await kind.attempt(desk.settings, value)
    desk.person.say(f"{digest(value)}: {verdict.said}.")
    if verdict.accepted or desk.options.unchecked:
        return
    hint = "nothing was set; --unchecked sets it all the same"
    if verdict.accepted is False and not kind.overlap:
        hint = "nothing was set. A Discord token that was reset never comes back"
    raise Refused(hint)


async def _set(desk: Desk, kind: Kind, value: str, expires: datetime | None = None) -> bool:
    expires = expires or _expiry(desk)
    version = await desk.vault.put(kind.name, value, expires=expires, content_type=_CONTENT_TYPE)
    until = f", expires {expires:%Y-%m-%d}" if expires else ", without an expiry"
    desk.person.say(f"Set: {kind.name}, version {version.id}, {digest(value)}{until}.")
    if not desk.options.watch:
        return True
    return await _seen(desk, kind, digest(value))


def _expiry(desk: Desk) -> datetime | None:
    days = desk.options.expires_days
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days) if days else None


async def _seen(desk: Desk, kind: Kind, wanted: str) -> bool:
    """Wait until the running bot says that it uses the value."""
    began, told = time.monotonic(), False
    problem = ""
    try:
        async with running.reached(desk.options.metrics_url, desk.options.namespace) as url:
            while (waited := time.monotonic() - began) < desk.options.wait:
                try:
                    used = await running.in_use(url, kind.credential)
                    problem = ""
                except running.BotUnseen as error:
                    used, problem = None, str(error)
                if used is not None and used.sha256 == wanted:
                    said = f"The bot uses it, from the {used.source}, after {waited:.1f} s."
                    desk.person.say(said)
                    return True
                if waited > _PATIENCE_SAID and not told:
                    told = True
                    desk.person.say(problem or _waiting(used))
                await asyncio.sleep(_LOOK_SECONDS)
    except running.BotUnseen as error:
        problem = str(error)
    desk.person.say(f"It is set, but the bot was not seen to use it: {problem or 'no change yet'}.")
    return False


def _waiting(used: running.InUse | None) -> str:
    has = f"has {used.sha256} from the {used.source}" if used else "has none"
    return f"The bot still {has}. Mounted files are refreshed every two minutes: waiting."
