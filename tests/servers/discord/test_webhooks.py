"""Incoming webhooks, as Flux posts its alerts to them."""

import aiohttp
import pytest

from tests.servers.discord.control import DiscordControl

ALERT = {
    "channel": "",
    "username": "discord-sky",
    "icon_url": "",
    "icon_emoji": "",
    "attachments": [
        {
            "fallback": "",
            "color": "danger",
            "author_name": "kustomization/discord-sky.flux-system",
            "text": "health check failed",
            "mrkdwn_in": ["text"],
            "fields": [{"title": "summary", "value": "discord-sky", "short": False}],
        }
    ],
}


async def test_an_alert_becomes_an_embed_in_the_webhooks_channel(
    people: DiscordControl, http: aiohttp.ClientSession
) -> None:
    address = await people.open_webhook("alerts", "radio")

    async with http.post(f"{address}/slack", json=ALERT) as answer:
        assert (answer.status, await answer.text()) == (200, "ok")

    [message] = await people.read("radio")
    [embed] = message.embeds
    assert message.author == "alerts"
    assert embed["author"]["name"] == "kustomization/discord-sky.flux-system"
    assert embed["description"] == "health check failed"
    assert embed["fields"] == [{"name": "summary", "value": "discord-sky", "inline": False}]


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [("token", 401, 50027), ("id", 404, 10015), ("nothing to say", 400, 50006)],
)
async def test_a_webhook_is_refused_as_discord_refuses_it(
    people: DiscordControl, http: aiohttp.ClientSession, wrong: str, status: int, code: int
) -> None:
    address = await people.open_webhook("alerts", "radio")
    body = {} if wrong == "nothing to say" else ALERT
    if wrong == "token":
        address = address[:-4] + "xxxx"
    if wrong == "id":
        address = address.replace("/webhooks/", "/webhooks/1")

    async with http.post(f"{address}/slack", json=body) as answer:
        assert answer.status == status
        assert (await answer.json())["code"] == code
