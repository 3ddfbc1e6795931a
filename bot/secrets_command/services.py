"""A value tried against the service that it is for, without changing anything there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from bot.settings.schema import Settings

_SECONDS = 15.0
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404
_AGENT = "DiscordBot (https://discord.com/developers, 0)"  # Discord asks bots for this form


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the service accepts a value (None: it did not say), and a sentence about it."""

    accepted: bool | None
    said: str


async def discord(settings: Settings, token: str) -> Verdict:
    """Ask Discord whose token this is."""
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
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, headers=headers) as answer,
        ):
            body = await answer.json(content_type=None) if answer.status == _OK else None
            return answer.status, body
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return 0, None
