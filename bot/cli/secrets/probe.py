"""Read from the running bot's metrics which value it uses, and try a value against its service.

Trying a value changes nothing at the service.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.settings.schema import Settings


_SECONDS = 5.0
_FORWARD_SECONDS = 20.0
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_FORWARDING = re.compile(rb"Forwarding from 127\.0\.0\.1:(\d+)")
_TARGET = "deployment/discord-sky-bot"


class BotUnseen(Exception):
    """The running bot cannot be asked; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class InUse:
    """What the bot says of one credential."""

    sha256: str
    source: str
    version: str


async def in_use(url: str, credential: str) -> InUse | None:
    """Read what the bot at `url` uses; None if it uses nothing. Raises BotUnseen."""
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, raise_for_status=True) as answer,
        ):
            text = await answer.text()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise BotUnseen(f"{url} does not answer ({type(error).__name__})") from None
    for line in text.splitlines():
        if line.startswith("discord_sky_credential_info{"):
            labels = dict(_LABEL.findall(line))
            if labels.get("name") == credential:
                return InUse(labels["sha256"], labels["source"], labels["version"])
    return None


@contextlib.asynccontextmanager
async def reached(url: str | None, namespace: str) -> AsyncIterator[str]:
    """Yield the address of the bot's metrics: the one named, or one that kubectl forwards."""
    if url:
        yield url if url.rstrip("/").endswith("/metrics") else f"{url.rstrip('/')}/metrics"
        return
    if shutil.which("kubectl") is None:
        raise BotUnseen("there is no kubectl; name the bot's address with --metrics-url")
    process = await asyncio.create_subprocess_exec(
        *("kubectl", "--namespace", namespace, "port-forward", _TARGET, ":8080"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield f"http://127.0.0.1:{await _port(process)}/metrics"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _port(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None
    assert process.stderr is not None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_FORWARD_SECONDS):
            async for line in process.stdout:
                found = _FORWARDING.search(line)
                if found:
                    return int(found[1])
            said = (await process.stderr.read()).decode(errors="replace").strip()
            raise BotUnseen(f"kubectl port-forward: {said.splitlines()[-1] if said else 'ended'}")
    raise BotUnseen(f"kubectl port-forward said nothing for {_FORWARD_SECONDS:g} s")


_SERVICES_SECONDS = 15.0
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404
_AGENT = "DiscordBot (https://discord.com/developers, 0)"  # Discord asks bots for this form


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the service accepts a value (None: it did not say), and a sentence about it."""

    accepted: bool | None
    said: str


async def discord(settings: Settings, token: str) -> Verdict:
    """Ask Discord which bot this token belongs to."""
    headers = {"Authorization": f"Bot {token}", "User-Agent": _AGENT}
    status, body = await _get(f"{settings.discord.api_url}/users/@me", headers)
    if status == _OK:
        name = body.get("username", "?") if isinstance(body, dict) else "?"
        return Verdict(accepted=True, said=f"Discord accepts it, as {name}")
    return _other("Discord", status)


async def openai(settings: Settings, key: str) -> Verdict:
    """Ask the model's provider which models there are, and look for the one in the settings."""
    headers = {"Authorization": f"Bearer {key}"}
    status, body = await _get(f"{settings.openai.base_url}/models", headers)
    if status == _FORBIDDEN:
        said = "the provider knows it, but it may not list the models"
        return Verdict(accepted=True, said=said)
    if status == _NOT_FOUND:
        said = "the provider has no list of models to try it with"
        return Verdict(accepted=None, said=said)
    if status != _OK:
        return _other("the model's provider", status)
    found = body.get("data") if isinstance(body, dict) else None
    names = {model.get("id") for model in found or () if isinstance(model, dict)}
    model = settings.openai.model
    missing = "" if not names or model in names else f"; it may not use the model {model}"
    return Verdict(accepted=True, said=f"the model's provider accepts it{missing}")


def _other(service: str, status: int) -> Verdict:
    if status == _UNAUTHORIZED:
        return Verdict(accepted=False, said=f"{service} refuses it")
    reason = f"answered with status {status}" if status else "cannot be reached"
    return Verdict(accepted=None, said=f"{service} {reason}, so it could not be tried")


async def _get(url: str, headers: dict[str, str]) -> tuple[int, Any]:
    """Status and JSON of an answer; status 0 if there was none."""
    timeout = aiohttp.ClientTimeout(total=_SERVICES_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, headers=headers) as answer,
        ):
            body = await answer.json(content_type=None) if answer.status == _OK else None
            return answer.status, body
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return 0, None
