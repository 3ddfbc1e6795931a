"""Alerts as the set-up turns them on, and what people then see in Discord and on a commit."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from lightkube import AsyncClient
from lightkube.resources.core_v1 import Event, Secret

from clusters.azure.steps.alerts import kustomization
from tests.loop.cluster import kube, objects
from tests.loop.people.observe import NotSeen
from tests.loop.supervisor import state
from tests.servers.discord.control import DiscordControl

CHANNEL = "radio"
DISPATCH_FAILED = "NotificationDispatchFailed"  # the controller's reason, of an Event on the Alert
_SECRETS = {"discord": "discord-webhook", "github": "github-commit-status"}
_PART = "notification-controller"


@dataclass(frozen=True)
class Alerts:
    """What was told where; `webhook` is the address that Flux posts to."""

    api: AsyncClient
    discord: DiscordControl
    webhook: str

    async def told(self, *words: str, seconds: float = 60) -> str:
        """Wait for an alert in the channel that has all of WORDS; return its text."""

        async def look() -> str:
            for message in await self.discord.read(CHANNEL):
                for embed in message.embeds:
                    fields = [f"{one['name']}: {one['value']}" for one in embed["fields"]]
                    text = "\n".join([embed["author"]["name"], embed["description"], *fields])
                    if all(word in text for word in words):
                        return text
            return ""

        return await _until(look, f"an alert with {' and '.join(words)}", seconds)

    async def marked(self, commit: str, mark: str, seconds: float = 60) -> str:
        """Wait until GitHub shows MARK (success, failure) on COMMIT; return its description."""
        url = f"http://{state.GITHUB_LISTEN}/api/v3/repos/{state.GITHUB_REPOSITORY}"
        token = {"Authorization": f"Bearer {state.GITHUB_TOKEN_FILE.read_text()}"}
        async with httpx2.AsyncClient(headers=token, trust_env=False) as github:

            async def look() -> str:
                said = await github.get(f"{url}/commits/{commit}/statuses")
                said.raise_for_status()
                found: list[dict[str, str]] = said.json()
                return found[0]["description"] if found and found[0]["state"] == mark else ""

            return await _until(look, f"{mark} on {commit[:7]}", seconds)

    async def not_delivered(self, place: str, seconds: float = 60) -> str:
        """Wait for the Event that says why PLACE's alerts do not arrive; return its message."""

        async def look() -> str:
            async for event in self.api.list(Event, namespace=state.FLUX_NAMESPACE):
                about = (event.involvedObject.kind, event.involvedObject.name, event.reason)
                if about == ("Alert", place, DISPATCH_FAILED):
                    return event.message or ""
            return ""

        return await _until(look, f"{DISPATCH_FAILED} of Alert/{place}", seconds)

    async def use(self, place: str, **data: str) -> None:
        """Put DATA into the Secret of PLACE, as the set-up does."""
        await objects.apply(
            self.api,
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": _SECRETS[place], "namespace": state.FLUX_NAMESPACE},
                "stringData": data,
            },
        )


async def _until(look: Any, what: str, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := await look():
            return str(found)
        await asyncio.sleep(0.25)
    raise NotSeen(what, _PART, seconds)


@asynccontextmanager
async def turned_on(api: AsyncClient, discord: DiscordControl) -> AsyncIterator[Alerts]:
    """Within the block both alerts are on; their objects come from Git, by the set-up's own."""
    webhook = await discord.open_webhook(f"alerts {time.monotonic_ns()}", CHANNEL)
    alerts = Alerts(api, discord, webhook)
    await alerts.use("discord", address=webhook)
    token = state.GITHUB_TOKEN_FILE.read_text()
    await alerts.use("github", address=state.GITHUB_URL, token=token)
    for place in _SECRETS:
        wanted = kustomization(place)
        await objects.apply(api, wanted)
        name, namespace = wanted["metadata"]["name"], state.FLUX_NAMESPACE
        ready = await kube.until(
            api, kube.Kustomization, name, lambda one: kube.condition(one) == "True", namespace
        )
        assert ready is not None
    try:
        yield alerts
    finally:
        for place, secret in _SECRETS.items():
            await api.delete(kube.Kustomization, f"alerts-{place}", namespace=state.FLUX_NAMESPACE)
            await api.delete(Secret, secret, namespace=state.FLUX_NAMESPACE)


@contextmanager
def pushes_refused() -> Iterator[str]:
    """Within the block Git takes no push, and says the yielded words, as a ruleset does."""
    words = "changes must be made through a pull request"
    hook = state.GIT_REPOSITORY / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    hook.chmod(0o755)
    try:
        yield words
    finally:
        hook.unlink()
