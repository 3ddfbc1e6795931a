"""The running bot, as its metrics show it: which value it uses, told by the digest."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
    """Give the address of the bot's metrics: the one named, or one that kubectl forwards."""
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
